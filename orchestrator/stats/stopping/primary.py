from __future__ import annotations

import numpy as np

from orchestrator.stats.moments import RunningMoments
from orchestrator.stats.stopping.rule import CheckRow, RoundObservation
from orchestrator.stats.thresholds import (
    DEFAULT_PRIMARY,
    FREEZING_ROUNDS,
    Threshold,
    primary_threshold,
    thresholds_from_percentiles,
)
from orchestrator.stats.times import Times

QUALITY_COLUMNS = ("primary_threshold", "primary_threshold_ns", "primary_threshold_origin", "quality_mean", "half_width")
"""What `PrimaryQuality.columns` fills."""


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
        self._first_rounds.append(observation.total_ns)
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
        self.log_medians.append(float(np.log(np.median(observation.total_ns))))

    def half_width(self) -> float | None:
        """Return the half-width of the 95 % interval of mean tail quality (Student's t); None of fewer than two rounds."""
        return self._moments.half_width()

    def columns(self) -> CheckRow:
        """Return the columns of the trajectory that tell how well tail quality is known."""
        mean = self._moments.mean if self._moments.count else None
        return {**self._threshold.columns(), "quality_mean": mean, "half_width": self.half_width()}
