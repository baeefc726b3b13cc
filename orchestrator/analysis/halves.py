"""A trial divided into rounds that predict and rounds that test the prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.density import Floats
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.prediction import Figures, figures_of, shares_on_time
from orchestrator.stats.times import checked_times
from orchestrator.stats.units import Units

Curve: TypeAlias = Callable[[ArrayLike, ArrayLike], Floats]
"""Tail quality [M, R] of times [R, S] at time bounds [M], both in ns."""
ROUNDS_TO_VALIDATE = 20
"""With fewer rounds none can be spared for a test."""
MOST_TEST_ROUNDS = 30
VALIDATED_PERCENTILES = (60.0, 90.0, 95.0, 99.0)


class Halves:
    """A trial's first rounds, and its last min(30, R // 2) as their test: with visits, a test begins where one of them does.

    fit, test
        times, [R, S].
    units
        of the fitted rounds, [R]; None where there are none.
    percentiles, bounds : [M]
        of the fitted rounds, in percent and ns; one that falls on a sample without a time is left out.
    recomputed : [M]
        the same percentiles of the test rounds' own times.
    quality : [M, R]
        of the fitted rounds.
    observed, at_recomputed
        figures of the test rounds at either. The paper compares with the latter: an own percentile fixes the share of samples on
        time, so that the mean agrees by construction, however much slower the test rounds are.
    """

    def __init__(
        self,
        curve: Curve,
        times: ArrayLike,
        inferences: ArrayLike | None = None,
        units: Units | None = None,
        percentiles: Sequence[float] = VALIDATED_PERCENTILES,
    ) -> None:
        """Divide times, [R, S], by the percentiles of ``inferences``, [R, B], where samples share some. Raises InputError."""
        checked, pooled = checked_times(times), checked_times(times if inferences is None else inferences)
        rounds = len(checked)
        if rounds < ROUNDS_TO_VALIDATE:
            raise InputError(f"validation of a prediction on {rounds} rounds: at least {ROUNDS_TO_VALIDATE} are needed; measure more")
        tests = min(MOST_TEST_ROUNDS, rounds // 2)
        if units is not None:
            starts = np.flatnonzero(np.diff(units)) + 1
            later = starts[starts >= rounds - tests]
            tests = rounds - int(later[0]) if later.size else tests
        self.fit, self.test = checked[:-tests], checked[-tests:]
        self.units = None if units is None else units[:-tests]
        bounds = np.array(percentiles_inverted_cdf(pooled[:-tests], percentiles))
        self.percentiles, self.bounds = np.array(percentiles)[np.isfinite(bounds)], bounds[np.isfinite(bounds)]
        self.recomputed = np.array(percentiles_inverted_cdf(pooled[-tests:], self.percentiles.tolist()))
        self._curve = curve
        self.quality = curve(self.fit, self.bounds)
        self.observed, self.at_recomputed = (figures_of(curve(self.test, at), tests) for at in (self.bounds, self.recomputed))

    @cached_property
    def on_time(self) -> Floats:
        """Share of the fitted rounds in which each sample was on time, [M, S]."""
        return shares_on_time(self.fit, self.bounds)

    @cached_property
    def difference_as_in_paper_program(self) -> Figures:
        """Absolute differences as the program takes them: it predicts nothing, and compares the least of R rounds with that of n.

        Variances are divided by the number of rounds; each side has its own linear percentile of all samples' times, where what
        takes that long is late. NaN if a sample has no time.
        """
        sides = []
        for times in (self.fit, self.test):
            quality = np.full((self.percentiles.size, 1), math.nan)
            if np.isfinite(times).all():
                quality = self._curve(times, np.nextafter(np.percentile(times, self.percentiles), 0))
            sides.append(Figures(quality.mean(axis=1), quality.var(axis=1), quality.min(axis=1)))
        return sides[0].difference(sides[1])
