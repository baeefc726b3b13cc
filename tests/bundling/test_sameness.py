import pytest

from orchestrator.bundling.verification import difference


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        ({"a": [0.1 + 0.2]}, {"a": [0.3]}, True),
        ({"a": [1e9]}, {"a": [1e9 + 1]}, True),
        ({"a": [0.5]}, {"a": [0.50001]}, False),
        ({"a": [float("nan")]}, {"a": [float("nan")]}, True),
        ({"a": [float("nan")]}, {"a": [0.0]}, False),
        ({"a": [None]}, {"a": [0.0]}, False),
        ({"a_ns": [10]}, {"a_ns": [11]}, True),
        ({"a_ns": [10]}, {"a_ns": [12]}, False),
        ({"rounds": [10]}, {"rounds": [11]}, False),
        ({"a": [True]}, {"a": [False]}, False),
        ({"a": ["x"]}, {"a": ["y"]}, False),
        ({"a": [["x", "y"]]}, {"a": [["x"]]}, False),
        ({"a": [1.0, 2.0]}, {"a": [1.0]}, False),
        ({"a": [1.0], "b": [1.0]}, {"a": [1.0]}, False),
    ],
)
def test_values_are_the_same_but_for_rounding(mine: dict[str, list[object]], theirs: dict[str, list[object]], same: bool) -> None:
    assert (difference(mine, theirs) is None) == same
