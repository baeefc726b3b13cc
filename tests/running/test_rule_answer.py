"""What a stopping rule may answer, and one line for what it may not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from orchestrator.contracts import InputError
from orchestrator.running.rule_answer import checked_answer
from orchestrator.stats.stopping import Decision
from orchestrator.stats.stopping.rule import check_row


@pytest.mark.parametrize("check", [None, {"rounds": 3}, check_row({"rounds": 2, "rjsd_total": 0.1, "moved": 7})])
def test_what_tables_hold_is_let_through(check: Any) -> None:
    decision = Decision(True, "enough", check)
    assert checked_answer("mine", decision, 3) is decision


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "update returned None: must return a Decision"),
        (Decision(1), "stop=1: must be True or False"),  # type: ignore[arg-type]
        (Decision(True, 17), "reason=17: must be text or None"),  # type: ignore[arg-type]
        (Decision(False, None, 3), "check=3: must be a mapping"),  # type: ignore[arg-type]
        (Decision(False, None, {}), "column rounds is missing"),
        (Decision(False, None, {"rounds": "x"}), "column rounds=x must be a whole number of 32 bits"),
        (Decision(False, None, {"rounds": 4}), "column rounds=4 must be at most 3"),
        (Decision(False, None, {"rounds": 3, "quality_mean": math.nan}), "column quality_mean=nan must be a number"),
        (Decision(False, None, {"rounds": 3, "rjsd_bound": math.inf}), "column rjsd_bound=inf must be a number"),
        (Decision(False, None, {"rounds": 3, "moved": math.nan}), "column moved=nan must be a number"),
        (Decision(False, None, {"rounds": 3, "moved": "far"}), "column moved='far' must be a number"),
    ],
)
def test_anything_else_is_one_line_with_rule_column_value_and_what_is_allowed(answer: object, says: str) -> None:
    with pytest.raises(InputError, match=r"^measurement\.rule=mine: update returned ") as caught:
        checked_answer("mine", answer, 3)
    assert says in str(caught.value)
    assert "repair the rule" in str(caught.value)
    assert "\n" not in str(caught.value)
