"""What a stopping rule has answered, looked at once: what is stored of it is what tables and readers know."""

from __future__ import annotations

import math
from collections.abc import Mapping

from orchestrator.contracts import InputError
from orchestrator.stats.stopping import CHECK_COLUMNS, Decision
from orchestrator.storage.facts import check_of_rule


def checked_answer(rule: str, decision: object, rounds: int) -> Decision:
    """Return the decision of a rule after so many rounds.

    Raises
    ------
    InputError
        one line with the rule, what it has returned, what is allowed and the remedy.
    """
    where = f"measurement.rule={rule}: update"
    remedy = "repair the rule, or choose another"
    if not isinstance(decision, Decision):
        raise InputError(f"{where} returned {_shown(decision)}: must return a Decision(stop, reason, check); {remedy}")
    for name, value, fits, allowed in (
        ("stop", decision.stop, isinstance(decision.stop, bool), "True or False"),
        ("reason", decision.reason, decision.reason is None or isinstance(decision.reason, str), "text or None"),
        (
            "check",
            decision.check,
            decision.check is None or isinstance(decision.check, Mapping),
            "a mapping from columns to values, or None",
        ),
    ):
        if not fits:
            raise InputError(f"{where} returned {name}={_shown(value)}: must be {allowed}; {remedy}")
    if decision.check is not None:
        try:
            _look_at(dict(decision.check), rounds)
        except (ValueError, TypeError) as error:
            raise InputError(f"{where} returned a check whose column {error}; make it by check_row, and repair the rule") from error
    return decision


def _look_at(check: dict[str, object], rounds: int) -> None:
    """Raise ValueError for the first column that a table cannot hold, or that tells of rounds that are not there."""
    if check.get("rounds") is None:
        raise ValueError("rounds is missing: must be a whole number")
    check_of_rule(check)
    if int(str(check["rounds"])) > rounds:
        raise ValueError(f"rounds={check['rounds']} must be at most {rounds}, as many as there are")
    for name, value in check.items():
        if name not in CHECK_COLUMNS and (isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)):
            raise ValueError(f"{str(name)[:40]}={_shown(value)} must be a number, as all columns of a rule's own")


def _shown(value: object) -> str:
    try:
        return " ".join(repr(value).split())[:40]
    except Exception:
        return type(value).__name__
