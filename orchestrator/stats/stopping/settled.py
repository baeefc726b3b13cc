"""The default rule: the densities have settled, tail quality is known well enough, and the rounds do not drift."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from orchestrator.stats.exchangeability import exchangeability_flag
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.stopping.densities import BothClocks, Cadence
from orchestrator.stats.stopping.rule import RoundObservation, Value, Verdict
from orchestrator.stats.thresholds import FREEZING_ROUNDS

CONFIDENCE = 0.95
OWN_PERCENTILE = 95


class Settled:
    """Stop when all of it holds at a check.

    rJSD within its bound on both clocks; at the primary threshold, Student's t half-width of mean tail quality at most
    ``half_width`` x ideal; no exchangeability flag. The flag is computed once, when the rest holds for the first time: looked at
    again and again it would be raised falsely. Once it is raised the trial goes on to its bound.

    Parameters
    ----------
    half_width
        largest half-width of a 95 % interval, as a share of ideal quality.
    primary_ns
        the user's absolute primary threshold, or None: then the trial's own p95, frozen from its first 10 rounds and applied to
        the later ones.
    """

    def __init__(self, half_width: float, primary_ns: float | None = None) -> None:
        self._bound = half_width
        self._primary_ns = primary_ns
        self._freezing = primary_ns is None
        self._first_rounds: list[np.ndarray] = []
        self._densities = BothClocks()
        self._cadence = Cadence()
        self._qualities: list[float] = []
        self._log_medians: list[float] = []
        self._sum = self._sum_of_squares = 0.0
        self._flagged: bool | None = None

    def update(self, observation: RoundObservation, now_s: float) -> Verdict:
        """Take in one round."""
        self._densities.add(observation)
        self._take_quality(observation)
        rounds = observation.number + 1
        if not self._cadence.due(rounds, now_s):
            return Verdict()
        half_width = self._half_width()
        check: dict[str, Value] = {
            **self._densities.check(),
            "primary_ns": self._primary_ns,
            "half_width": half_width if math.isfinite(half_width) else None,
            "half_width_bound": self._bound * observation.ideal,
        }
        precise = half_width <= self._bound * observation.ideal
        if self._densities.converged and precise and self._flagged is None and rounds >= 2 * FREEZING_ROUNDS:
            self._flagged = exchangeability_flag(self._log_medians, self._qualities).flagged
            check["not_exchangeable"] = int(self._flagged)
        stops = self._densities.converged and precise and self._flagged is False
        return Verdict("settled" if stops else None, check)

    def unsettled(self) -> str | None:
        """Return the trend that stood against stopping."""
        return "not settled: trend" if self._flagged else None

    def _take_quality(self, observation: RoundObservation) -> None:
        if self._primary_ns is None:
            self._first_rounds.append(observation.total_ns)
            if len(self._first_rounds) == FREEZING_ROUNDS:
                self._primary_ns = float(percentile_inverted_cdf(np.concatenate(self._first_rounds), OWN_PERCENTILE))
                self._first_rounds.clear()
            return
        quality = observation.quality(self._primary_ns)
        self._qualities.append(quality)
        with np.errstate(all="ignore"):
            self._log_medians.append(float(np.log(np.median(observation.total_ns))))
        # About the first quality, so that equal values leave no rounding behind.
        difference = quality - self._qualities[0]
        self._sum += difference
        self._sum_of_squares += difference * difference

    def _half_width(self) -> float:
        """Return Student's t half-width of mean tail quality, in units of quality; inf below 2 rounds."""
        count = len(self._qualities)
        if count < 2:
            return math.inf
        variance = max(0.0, (self._sum_of_squares - self._sum**2 / count) / (count - 1))
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * math.sqrt(variance / count)
