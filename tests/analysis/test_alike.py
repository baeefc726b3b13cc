from __future__ import annotations

import pytest

from orchestrator.analysis.groups import alike


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        (3, 3, True),
        (3, 4, False),
        ("A", "A", True),
        (None, "A", False),
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ({"labels": [1], "scores": [0.5]}, {"labels": [1], "scores": [0.5000001]}, True),
        ({"labels": [1], "scores": [0.5]}, {"labels": [1], "scores": [0.51]}, False),
        ({"labels": [1], "scores": [0.5]}, {"labels": [2], "scores": [0.5]}, False),
        ({"boxes": [[0.0, 1.0, 200.0, 3.0]]}, {"boxes": [[0.0001, 1.0, 200.1, 3.0]]}, True),
    ],
)
def test_answers_are_alike_to_within_rounding(mine: object, theirs: object, same: bool) -> None:
    assert alike(mine, theirs) is same
    assert alike(theirs, mine) is same
