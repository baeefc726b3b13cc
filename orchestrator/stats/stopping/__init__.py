"""Stopping rules, found by name: one file each."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from orchestrator.contracts import InputError
from orchestrator.stats.stopping.certify import Certify
from orchestrator.stats.stopping.paper import Paper
from orchestrator.stats.stopping.rounds import Rounds
from orchestrator.stats.stopping.rule import CHECK_COLUMNS, Bounded, Decision, RoundObservation, RuleSettings, StoppingRule, check_columns
from orchestrator.stats.stopping.settled import Settled

__all__ = ["CHECK_COLUMNS", "Decision", "RoundObservation", "StoppingRule", "make_rule"]


def make_rule(
    name: str,
    *,
    min_rounds: int,
    max_rounds: int,
    max_seconds: float | None = None,
    half_width: float = 0.02,
    primary: str | None = None,
) -> StoppingRule:
    """Return the rule of that name, held to its bounds.

    Parameters
    ----------
    half_width
        of rule ``settled``, as a share of ideal quality.
    primary
        the user's primary threshold such as ``50 ms`` or ``p95``. While a trial runs there is no reference yet, so that a percentile
        is the trial's own.

    Raises
    ------
    InputError
        for an unknown rule, one whose checks would fill a column that no trajectory has, or a primary threshold that is none.
    """
    rules: dict[str, Callable[[], StoppingRule]] = {
        "settled": lambda: Settled(min_rounds, half_width, primary),
        "paper": Paper,
        "rounds": Rounds,
        "certify": Certify,
    }
    if name not in rules:
        nearest = difflib.get_close_matches(name, rules, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"choose one of {', '.join(rules)}"
        raise InputError(f"measurement.rule={name}: there is no such rule; {hint}")
    rule = rules[name]()
    check_columns(name, rule.columns)
    return Bounded(rule, RuleSettings(min_rounds, max_rounds, max_seconds))
