"""The default rule: mean tail quality of rounds to come is known well enough."""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import NDArray

from orchestrator.stats.long_run import constant, depend_by_quality_or_time, enough, long_run_spreads, visits_alike
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


class PrimaryQuality:
    """Tail quality at the primary threshold, round by round, of the rounds to which the threshold was applied."""

    def __init__(self, label: str | None) -> None:
        self._threshold = RunningThreshold(label)
        self._qualities: list[float] = []
        self._log_medians: list[float] = []
        self._visits: list[int | None] = []
        self._at_stake = 0

    def add(self, observation: RoundObservation) -> None:
        """Take a round into account."""
        threshold = self._threshold.applies(observation)
        if threshold is None:
            return
        times = observation.primary_times
        self._qualities.append(observation.quality(threshold.ns))
        self._log_medians.append(float(np.log(np.median(times))))
        self._visits.append(observation.visit)
        self._at_stake = times.size

    @property
    def rounds(self) -> int:
        """How many rounds there are."""
        return len(self._qualities)

    @property
    def visits(self) -> NDArray[np.int64] | None:
        """The visit of each round, [R]; None where visits do not lie apart."""
        known = [visit for visit in self._visits if visit is not None]
        return np.array(known) if known and len(known) == self.rounds else None

    def dependent(self) -> bool:
        """Return whether rounds depend on each other, by their qualities or by their median times."""
        return self.rounds > 2 and bool(depend_by_quality_or_time([self._qualities], self._log_medians, self.visits)[0])

    def constant(self) -> bool:
        """Return whether quality is the same in all rounds, which says nothing of how it varies."""
        return bool(constant(np.array([self._qualities]))[0]) if self.rounds else False

    def half_width(self, dependent: bool, confidence: float = 0.95) -> float | None:
        """Return the half-width of the 95 % interval of mean tail quality of rounds to come (Student's t); None of fewer than two rounds.

        Where quality is constant, that of an interval in which 3 answers more might have been late: the rule of three (Hanley and
        Lippman-Hand, JAMA 249, 1983).
        """
        if self.rounds < 2:
            return None
        if self.constant():
            return 3 / (self.rounds * self._at_stake)
        alike = visits_alike(self._log_medians, self.visits)
        [found] = long_run_spreads([self._qualities], self.visits, dependent, alike)
        return float(scipy.special.stdtrit(found.degrees, (1 + confidence) / 2) * math.sqrt(found.variance))

    def columns(self) -> CheckRow:
        """Return the columns of the trajectory that tell of the threshold and of quality there."""
        return {**self._threshold.columns(), "quality_mean": float(np.mean(self._qualities)) if self.rounds else None}


DEPENDENT = "not settled: rounds depend on each other"
CONSTANT = "settled, quality constant"
"""A reason of its own: at a threshold where quality never moves, a trial could not have settled otherwise."""
ROUNDS_OF_DEPENDENT = 60


class Settled:
    """Stop when mean tail quality of rounds to come is known well enough at the primary threshold, from ``min_rounds`` on.

    That is, when the half-width of its 95 % interval is at most ``half_width`` x ideal. Where rounds depend on each other, the interval is
    that of visits, or of the long-run variance, and the trial goes on to 60 rounds or 12 visits at least: fewer cannot show how wide it
    is, and lucky ones look precise. The convergence of densities (rJSD) is told and stops nothing.

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
        self._reason: str | None = None

    def update(self, observation: RoundObservation, now_s: float) -> Decision:
        """Take in one round."""
        self._densities.add(observation)
        self._primary.add(observation)
        if not self._cadence.due(observation.rounds, now_s):
            return Decision(False, self._reason)
        dependent = self._primary.dependent()
        half_width, bound = self._primary.half_width(dependent), self._bound * observation.ideal
        own: CheckRow = {"half_width": half_width, "half_width_bound": bound, "not_exchangeable": dependent}
        check = check_row(self._densities.check(), self._primary.columns(), own)
        precise = half_width is not None and half_width <= bound
        if precise and observation.rounds >= self._min_rounds and not (dependent and self._few()):
            return Decision(True, CONSTANT if self._primary.constant() else "settled", check)
        self._reason = DEPENDENT if dependent else None
        return Decision(False, self._reason, check)

    def _few(self) -> bool:
        """Return whether there are too few rounds for their dependence."""
        return self._primary.rounds < ROUNDS_OF_DEPENDENT and not enough(self._primary.visits)
