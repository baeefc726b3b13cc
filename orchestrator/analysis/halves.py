"""A trial divided into rounds that predict and rounds that test the prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.density import Floats
from orchestrator.stats.prediction import Figures, compare, figures_of, shares_on_time
from orchestrator.stats.tail_quality import Curve
from orchestrator.stats.times import checked_times
from orchestrator.stats.units import Units

ROUNDS_TO_VALIDATE = 20  # With fewer rounds none can be spared for a test.
MOST_TEST_ROUNDS = 30
VALIDATED_PERCENTILES = (60.0, 90.0, 95.0, 99.0)


class Halves:
    """A trial's first rounds, and its last min(30, R // 2) as their test.

    With visits, a test begins where one of them does.

    fit, test
        times, [R, S].
    units
        of the fitted rounds, [R]; None where there are none.
    percentiles, bounds, recomputed : [M]
        of the fitted rounds, in percent and ns, and the same of the test rounds, in ns.
    quality : [M, R]
        of the fitted rounds.
    observed, at_recomputed
        figures of the test rounds at either.
    """

    def __init__(
        self,
        curve: Curve,
        times: ArrayLike,
        inferences: ArrayLike | None = None,
        units: Units | None = None,
        percentiles: Sequence[float] = VALIDATED_PERCENTILES,
    ) -> None:
        """Divide times, [R, S], by percentiles of ``inferences``, [R, B]. Raises InputError."""
        checked, pooled = (
            checked_times(times),
            checked_times(times if inferences is None else inferences),
        )
        rounds = len(checked)
        if rounds < ROUNDS_TO_VALIDATE:
            raise InputError(
                f"validation of a prediction on {rounds} rounds: at least {ROUNDS_TO_VALIDATE} are "
                "needed; measure more"
            )
        tests = min(MOST_TEST_ROUNDS, rounds // 2)
        if units is not None:
            starts = np.flatnonzero(np.diff(units)) + 1
            later = starts[starts >= rounds - tests]
            tests = rounds - int(later[0]) if later.size else tests
        self.fit, self.test = checked[:-tests], checked[-tests:]
        self.units = None if units is None else units[:-tests]
        self._curves = (curve, curve)
        found = compare(
            self._curves, (self.fit, self.test), percentiles, (pooled[:-tests], pooled[-tests:])
        )
        self.percentiles, self.bounds, self.recomputed, self.quality, *_ = found
        self.observed, self.at_recomputed = (
            figures_of(quality, tests) for quality in (found.frozen, found.own)
        )

    @cached_property
    def on_time(self) -> Floats:
        """Share of the fitted rounds in which each sample was on time, [M, S]."""
        return shares_on_time(self.fit, self.bounds)

    @cached_property
    def difference_as_in_paper_program(self) -> Figures:
        """Absolute differences as the program takes them: the least of R rounds and of n.

        NaN if a sample has no time.
        """
        unknown = np.full(self.percentiles.size, math.nan)
        if not (np.isfinite(self.fit).all() and np.isfinite(self.test).all()):
            return Figures(unknown, unknown, unknown)
        sides = compare(
            self._curves, (self.fit, self.test), self.percentiles.tolist(), as_in_program=True
        )
        return Figures.of(sides.fit).difference(Figures.of(sides.own))
