"""The thresholds at which a page can be read: fixed here, so that nothing is computed twice in two ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean
from orchestrator.report.figures.pools import Pool
from orchestrator.report.figures.times import NS_PER_MS, Times
from orchestrator.stats.thresholds import Threshold

EVENLY, BY_SHARE = 48, 48
"""Thresholds spaced evenly in log time, and at shares of all samples being on time."""
FEWER = 12
"""Of each where the metric is no mean of scores and has to be evaluated anew at every threshold."""


@dataclass(frozen=True)
class Grid:
    """Rising thresholds of one clock.

    labels
        what each is called: several names where they coincide, empty for the points between the common thresholds.
    start
        index of the primary threshold, or of the middle one where there is none.
    """

    ns: NDArray[np.int64]
    labels: tuple[str, ...]
    start: int

    @property
    def ms(self) -> NDArray[np.float64]:
        """The thresholds in ms."""
        return self.ns / NS_PER_MS


def threshold_grid(pool: Pool, clock: str, times: Sequence[Times]) -> Grid:
    """Return the common thresholds of a clock and others between the fastest and the slowest time of all trials."""
    common = pool.thresholds.common(clock)
    mean = isinstance(pool.group.trials[0].judged(pool.metric), JudgedMean)
    evenly, by_share = (EVENLY, BY_SHARE) if mean else (FEWER, FEWER)
    timed = [member for member in times if member.timed]
    between: list[int] = []
    if timed:
        quantiles = np.concatenate([member.at(member.shares()) for member in timed])
        quantiles = np.sort(quantiles[np.isfinite(quantiles)]) * NS_PER_MS
        spread = np.geomspace(quantiles[0], quantiles[-1], evenly)
        some = quantiles[np.linspace(0, len(quantiles) - 1, by_share).astype(np.int64)]
        between = [int(np.ceil(ns)) for ns in (*spread, *some)]
    ns = np.array(sorted({*(threshold.ns for threshold in common), *between}), dtype=np.int64)
    labels = tuple(_label([threshold for threshold in common if threshold.ns == bound]) for bound in ns)
    primary = pool.thresholds.primary
    start = int(np.searchsorted(ns, primary.ns)) if primary is not None else len(ns) // 2
    return Grid(ns, labels, min(start, len(ns) - 1))


def _label(thresholds: Sequence[Threshold]) -> str:
    return ", ".join(dict.fromkeys(threshold.label for threshold in thresholds))
