"""The default rule: mean tail quality is known well enough."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.stats.constants import CONFIDENCE, FEWEST_UNITS, LOOKS_GROW
from orchestrator.stats.interval import mean_intervals
from orchestrator.stats.laws import t_quantile
from orchestrator.stats.stopping.rule import (
    AllClocks,
    Cadence,
    CheckRow,
    Decision,
    RoundObservation,
    RuleSettings,
    check_row,
)
from orchestrator.stats.thresholds import (
    DEFAULT_PRIMARY,
    FREEZING_ROUNDS,
    Threshold,
    primary_threshold,
    thresholds_from_percentiles,
)
from orchestrator.stats.times import Times
from orchestrator.stats.units import constant, degrees_of


class RunningThreshold:
    """The primary threshold as far as it is known while a trial runs.

    A time is known from the start. A percentile is the trial's own, frozen from its first 10 rounds and to be applied to the
    others; where more samples have no time than it allows, there is none.

    Raises
    ------
    InputError
        if the label is neither a percentile nor a time.
    """

    def __init__(self, label: str | None) -> None:
        chosen = (label or DEFAULT_PRIMARY).strip()
        self.threshold: Threshold | None = primary_threshold(chosen, None)
        self._percentile = None if self.threshold else float(chosen.removeprefix("p"))
        self._first_rounds: list[Times] = []

    def applies(self, observation: RoundObservation) -> Threshold | None:
        """Return the threshold to apply to this round; None to those that choose it, and where there is none."""
        if self._percentile is None or len(self._first_rounds) == FREEZING_ROUNDS:
            return self.threshold
        self._first_rounds.append(observation.primary_times)
        if len(self._first_rounds) == FREEZING_ROUNDS:
            found = thresholds_from_percentiles(np.concatenate(self._first_rounds), [self._percentile], "own")
            self.threshold = found[0] if found else None
        return None

    def columns(self) -> CheckRow:
        """Return the columns of the trajectory that name the threshold."""
        if self.threshold is None:
            return {}
        return {
            "primary_threshold": self.threshold.label,
            "primary_threshold_ns": self.threshold.ns,
            "primary_threshold_origin": self.threshold.origin,
        }


CONSTANT = "settled, quality constant"
"""A reason of its own: at a threshold where quality never moves, a trial could not have settled otherwise."""


class Settled:
    """Stop when mean tail quality is known well enough at the primary threshold.

    That is, when half the width of its 95 % interval, the one that the report prints, is at most ``half_width`` x ideal. Visits are its
    units, and at least 12 are needed. The rule looks at ``min_rounds`` and each time that rounds have doubled; where a bound ends the
    trial, that is a look, too. A trial that has not settled says how many more minutes it lacks. The convergence of densities (rJSD) is
    told and stops nothing.

    The trial's own p95, where the user has set no primary threshold, is frozen from its first 10 rounds and applied to the others.
    """

    name = "settled"

    def __init__(self, settings: RuleSettings) -> None:
        self._settings = settings
        self._next_look = settings.min_rounds
        self._densities = AllClocks()
        self._threshold = RunningThreshold(settings.primary)
        self._cadence = Cadence()
        self._qualities: list[float] = []
        self._visits: list[int | None] = []
        self._reason: str | None = None

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round."""
        self._densities.add(observation)
        threshold = self._threshold.applies(observation)
        if threshold is not None:
            self._qualities.append(observation.quality(threshold.ns))
            self._visits.append(observation.visit)
        look = observation.rounds >= min(self._next_look, self._settings.max_rounds)
        if look:
            self._next_look = math.ceil(LOOKS_GROW * observation.rounds)
        elif not self._cadence.due(observation.rounds, now_s):
            return Decision(False, self._reason)
        bound, half_width = self._settings.half_width * observation.ideal, None
        if len(self._qualities) > 1:
            half_width = self._half_width(observation)
            needed = self._needed(half_width, bound)
            self._reason = _lacking(needed, observation.round_s) if needed > 0 else self._settled()
        own: CheckRow = {
            "quality_mean": float(np.mean(self._qualities)) if self._qualities else None,
            "half_width": half_width,
            "half_width_bound": bound,
        }
        check = check_row(self._densities.check(), self._threshold.columns(), own)
        return Decision(look and half_width is not None and needed <= 0, self._reason, check)

    def _half_width(self, observation: RoundObservation) -> float:
        answers = observation.primary_times.size if observation.answers is None else observation.answers
        units = None if None in self._visits else np.array(self._visits)
        [found] = mean_intervals([self._qualities], observation.ideal, answers, units, bounded=observation.bounded)
        return (found.high - found.low) / 2

    def _needed(self, half_width: float, bound: float) -> float:
        """Return how many rounds are missing."""
        visits = None not in self._visits
        units = len(set(self._visits)) if visits else len(self._visits)
        wanted = max(units_for(half_width, bound, units), FEWEST_UNITS if visits else 0)
        return (wanted / units - 1) * len(self._qualities)

    def _settled(self) -> str:
        return CONSTANT if constant(np.array([self._qualities]))[0] else "settled"


def units_for(half_width: float, bound: float, units: int) -> float:
    """Return about how many units make a half-width of so many units as small as a bound.

    It falls with the root of their number, and with the quantile of Student's t, whose degrees of freedom grow.

    Examples
    --------
    >>> round(units_for(0.09, 0.045, 30))
    77
    """
    if half_width <= bound:
        return units * (half_width / bound) ** 2 if bound > 0 else 0.0
    more = units * (half_width / bound) ** 2
    now, then = (t_quantile((1 + CONFIDENCE) / 2, degrees_of(round(count))) for count in (units, more))
    return max(units + 1, more * float(then / now) ** 2)


def _lacking(rounds: float, round_s: float | None) -> str:
    """Return in a phrase what a trial lacks."""
    if round_s is None:
        return f"not settled: about {math.ceil(rounds):,} more rounds"
    minutes = math.ceil(rounds * round_s / 60)
    return f"not settled: about {minutes:,} more minute{'s' if minutes > 1 else ''}"
