from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contracts import InputError
from orchestrator.metrics import Answers
from orchestrator.metrics.accuracy import Accuracy


@given(st.lists(st.tuples(st.sampled_from(["A", "B", "C", "D", None]), st.sampled_from("ABCD")), max_size=30))
def test_mean_score_is_the_share_of_right_choices(pairs):
    scores = Accuracy().score(Answers([choice for choice, _ in pairs], [truth for _, truth in pairs]))
    assert scores.shape == (len(pairs),)
    assert scores.sum() == sum(choice == truth for choice, truth in pairs)


def test_numbers_and_arrays():
    choices, truth = np.array([0, 1, 2, 3]), np.array([0, 1, 3, 3])
    assert Accuracy().score(Answers(choices, truth)).tolist() == [1, 1, 0, 1]
    assert Accuracy().score(Answers(choices.tolist(), truth)).tolist() == [1, 1, 0, 1]
    assert Accuracy().score(Answers([None, None], [0, 1])).tolist() == [0, 0]
    assert Accuracy().score(Answers([True, None, True], [True, False, False])).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("choices", "truth"),
    [
        (["A"], [0]),
        ([0], ["A"]),
        (["A", 1], ["A", "B"]),
        ([0.0], [0]),
        ([["A"]], ["A"]),
        (["A"], [None]),
        ([True, False], [1, 0]),
        ([1], [True]),
    ],
)
def test_text_never_meets_numbers(choices, truth):
    with pytest.raises(InputError, match="all text, all whole numbers, or all true and false"):
        Accuracy().score(Answers(choices, truth))
