import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tasks.models.classifier import likeliest


@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.one_of(st.integers(-2, 2).map(float), st.floats(width=32, allow_nan=False)),
    )
)
def test_the_five_largest_come_first_and_of_equals_the_lower_index(logits: np.ndarray) -> None:
    expected = [sorted(range(len(row)), key=lambda index, row=row: (-row[index], index))[:5] for row in logits]
    answers = likeliest(logits)
    assert answers == expected
    assert all(type(index) is int for row in answers for index in row)


def test_nan_is_an_error_and_no_answer() -> None:
    with pytest.raises(ArithmeticError, match="NaN"):
        likeliest(np.array([[0.0, np.nan]], dtype=np.float32))
