from __future__ import annotations

from orchestrator.analysis.loading import known_answers


def test_an_answer_after_none_is_no_other_one() -> None:
    answers, different, changed = known_answers(
        ["a", None, None, None], {3: {0: "x", 1: "b"}, 4: {1: "c", 2: "d"}, 5: {0: "x", 1: "b", 2: "d"}}, 6
    )
    assert answers == ["a", "b", "d", None]
    assert different.tolist() == [0, 0, 0, 1, 1, 1]
    assert changed == 2
