"""The default rule: the densities have settled, tail quality is known well enough, and the rounds do not drift."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from orchestrator.stats.exchangeability import exchangeability_flag
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
from orchestrator.stats.times import PRIMARY_CLOCK, Times


class RunningMoments:
    """Mean and variance of numbers that arrive one by one: Welford, Technometrics 4 (1962).

    Examples
    --------
    >>> moments = RunningMoments()
    >>> for x in (1.0, 2.0, 3.0):
    ...     moments.add(x)
    >>> moments.mean, moments.variance
    (2.0, 1.0)
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self._squares = 0.0

    def add(self, x: float) -> None:
        """Take one more number into account."""
        self.count += 1
        difference = x - self.mean
        self.mean += difference / self.count
        self._squares += difference * (x - self.mean)

    @property
    def variance(self) -> float | None:
        """Unbiased variance; None of fewer than two numbers."""
        return self._squares / (self.count - 1) if self.count > 1 else None

    def half_width(self, confidence: float = 0.95) -> float | None:
        """Return half the width of Student's t interval of the mean; None of fewer than two numbers."""
        if self.variance is None:
            return None
        return float(stdtrit(self.count - 1, (1 + confidence) / 2) * math.sqrt(self.variance / self.count))


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
        self._first_rounds.append(observation.times[PRIMARY_CLOCK])
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


class PrimaryQuality:
    """Tail quality at the primary threshold, round by round.

    log_medians, qualities : [R]
        of the rounds to which the threshold was applied: logarithm of the median total time (+inf where most samples have
        none), and tail quality.
    """

    def __init__(self, label: str | None) -> None:
        self._threshold = RunningThreshold(label)
        self._moments = RunningMoments()
        self.log_medians: list[float] = []
        self.qualities: list[float] = []

    def add(self, observation: RoundObservation) -> None:
        """Take a round into account."""
        threshold = self._threshold.applies(observation)
        if threshold is None:
            return
        quality = observation.quality(threshold.ns)
        self._moments.add(quality)
        self.qualities.append(quality)
        self.log_medians.append(float(np.log(np.median(observation.times[PRIMARY_CLOCK]))))

    def half_width(self) -> float | None:
        """Return the half-width of the 95 % interval of mean tail quality (Student's t); None of fewer than two rounds."""
        return self._moments.half_width()

    def columns(self) -> CheckRow:
        """Return the columns of the trajectory that tell how well tail quality is known."""
        mean = self._moments.mean if self._moments.count else None
        return {**self._threshold.columns(), "quality_mean": mean, "half_width": self.half_width()}


TREND = "not settled: trend"


class Settled:
    """Stop when all of it holds at a check from ``min_rounds`` on.

    rJSD within its bound on both clocks; at the primary threshold, Student's t half-width of mean tail quality at most
    ``half_width`` x ideal; no exchangeability flag. The flag is computed once, when the rest holds for the first time: looked at
    again and again it would be raised falsely. Once it is raised the trial goes on to its bound.

    No check before ``min_rounds`` counts as one that would stop. The trial's own p95, where the user has set no primary threshold, is
    frozen from its first 10 rounds.
    """

    name = "settled"

    def __init__(self, settings: RuleSettings) -> None:
        self._min_rounds = settings.min_rounds
        self._bound = settings.half_width
        self._densities = AllClocks()
        self._primary = PrimaryQuality(settings.primary)
        self._cadence = Cadence()
        self._flagged: bool | None = None

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round."""
        self._densities.add(observation)
        self._primary.add(observation)
        if not self._cadence.due(observation.rounds, now_s):
            return Decision(False, TREND if self._flagged else None)
        half_width = self._primary.half_width()
        bound = self._bound * observation.ideal
        densities = self._densities.check()
        precise = half_width is not None and half_width <= bound
        enough = self._densities.converged and precise and observation.rounds >= self._min_rounds
        if enough and self._flagged is None:
            self._flagged = exchangeability_flag(self._primary.log_medians, self._primary.qualities).flagged
        check = check_row(densities, self._primary.columns(), {"half_width_bound": bound, "not_exchangeable": self._flagged})
        if enough and not self._flagged:
            return Decision(True, "settled", check)
        return Decision(False, TREND if self._flagged else None, check)
