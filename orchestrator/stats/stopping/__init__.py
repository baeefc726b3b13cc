"""Stopping rules, found by name: one file each."""

from __future__ import annotations

import difflib

from orchestrator.contracts import InputError
from orchestrator.stats.stopping.certify import Certify
from orchestrator.stats.stopping.paper import Paper
from orchestrator.stats.stopping.rounds import Rounds
from orchestrator.stats.stopping.rule import Bounded, Decision, RoundObservation, Rule, Verdict
from orchestrator.stats.stopping.settled import Settled
from orchestrator.stats.thresholds import primary_threshold

__all__ = ["RULES", "Bounded", "Decision", "RoundObservation", "Rule", "Verdict", "check_rule", "make_rule"]

RULES = ("settled", "paper", "rounds", "certify")


def make_rule(
    name: str,
    *,
    min_rounds: int,
    max_rounds: int,
    max_seconds: float | None = None,
    half_width: float = 0.02,
    primary: str | None = None,
) -> Bounded:
    """Return the rule of that name within its bounds.

    Parameters
    ----------
    half_width
        of rule ``settled``, as a share of ideal quality.
    primary
        the user's primary threshold such as ``50 ms``; a percentile needs the reference, which does not exist while a trial runs,
        so then and for None the trial's own p95 stands in.

    Raises
    ------
    InputError
        for an unknown rule or a primary threshold that is none.
    """
    check_rule(name)
    rules: dict[str, Rule] = {
        "settled": Settled(half_width, _absolute_ns(primary)),
        "paper": Paper(),
        "rounds": Rounds(),
        "certify": Certify(),
    }
    return Bounded(rules[name], min_rounds, max_rounds, max_seconds)


def check_rule(name: str) -> None:
    """Raise InputError for a name that is no rule."""
    if name not in RULES:
        nearest = difflib.get_close_matches(name, RULES, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"choose one of {', '.join(RULES)}"
        raise InputError(f"measurement.rule={name}: there is no such rule; {hint}")


def _absolute_ns(primary: str | None) -> float | None:
    threshold = None if primary is None else primary_threshold(primary, None)
    return None if threshold is None else float(threshold.ns)
