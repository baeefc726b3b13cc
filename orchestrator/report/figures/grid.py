"""The thresholds at which a page can be read: fixed here, so that nothing is computed twice in two ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import JudgedMean
from orchestrator.report.figures.chart import Floats
from orchestrator.stats.divergence import Fit, fit_density
from orchestrator.stats.histogram import LOG_STEP, REACH, LogHistogram, smoothed
from orchestrator.stats.queueing import SECOND_NS
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import Clock

NS_PER_MS = 1e6
MOST_CELLS = 2**14
PER_DECADE = 20
"""Points of a percentile plot from 90 % to 99 %, and so on."""


@dataclass(frozen=True)
class Times:
    """All times of one trial on one clock, one per inference, in bins of one part in 65,536.

    histogram
        of those inferences that have a time.
    size
        how many there were, in all rounds.
    """

    histogram: LogHistogram
    size: int

    @property
    def timed(self) -> int:
        """How many inferences have a time."""
        return int(self.histogram.counts.sum())

    def shares(self) -> Floats:
        """Return the shares of inferences at which the distribution is drawn: close to 1 they come by decades."""
        if not self.size:
            return np.zeros(0)
        decades = max(1.0, np.log10(self.size))
        return np.concatenate([[0.0], 1 - 10 ** -np.linspace(0.05, decades, int(PER_DECADE * decades))])

    def at(self, shares: Floats) -> Floats:
        """Return the time in ms that each share of inferences keeps to, NaN where it falls on those without a time."""
        if not self.timed:
            return np.full(shares.shape, np.nan)
        of_timed = shares * self.size / self.timed
        found = np.exp(self.histogram.quantiles(np.minimum(of_timed, 1))) / NS_PER_MS
        found[of_timed > 1 + 1e-12] = np.nan
        return np.asarray(found)

    def fit(self) -> Fit | None:
        """Return the density of log time, None if no inference has a time."""
        return fit_density(self.histogram) if self.timed else None


def counted(times: NDArray[np.float64]) -> Times:
    """Count times, [R, B] in ns, one per inference."""
    with np.errstate(divide="ignore"):
        logs = np.log(times.ravel())
    bins = np.floor(logs[np.isfinite(logs)] / LOG_STEP).astype(np.int64)
    if not bins.size:
        return Times(LogHistogram(), times.size)
    first = int(bins.min())
    return Times(LogHistogram(LOG_STEP, first, np.bincount(bins - first)), times.size)


def pooled(several: Sequence[Times]) -> Times:
    """Return the times of all processes of one system together."""
    found = [times.histogram for times in several if times.timed]
    size = sum(times.size for times in several)
    if not found:
        return Times(LogHistogram(), size)
    first = min(histogram.first for histogram in found)
    length = max(histogram.end for histogram in found) - first
    counts = np.sum([histogram.on_grid(LOG_STEP, first, length) for histogram in found], axis=0)
    return Times(LogHistogram(LOG_STEP, first, counts.astype(np.int64)), size)


def density_on(fit: Fit, log_ns: Floats) -> Floats:
    """Return the density of log time at places [n] of log time in ns; it integrates to 1 over the natural logarithm."""
    step = fit.cells.step
    margin = REACH * fit.bandwidth.value
    low, high = fit.cells.first * fit.cells.step - margin, fit.cells.end * fit.cells.step + margin
    while (high - low) / step > MOST_CELLS:
        step *= 2
    first = int(np.floor(low / step))
    size = int(np.ceil(high / step)) - first
    masses = smoothed(fit.cells.on_grid(step, first, size)[None, :], np.array([fit.bandwidth.value / step]))[0]
    centres = (first + np.arange(size) + 0.5) * step
    return np.asarray(np.interp(log_ns, centres, masses / masses.sum() / step, left=0, right=0))


EVENLY, BY_SHARE = 48, 48
"""Thresholds spaced evenly in log time, and at shares of all samples being on time."""
FEWER = 12
"""As many of each if the metric is no mean of scores and is evaluated at every threshold."""


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


def grid_of(group: Group, clock: Clock, times: Sequence[Times]) -> Grid:
    """Return the common thresholds of a clock and others between the fastest and the slowest time of all trials.

    Where there is neither, because no inference has a time, one stands for all: all answers are late at it, as at any other.
    """
    common = group.thresholds.common(clock)
    mean = isinstance(group.trials[0].judged(group.trials[0].metric), JudgedMean)
    evenly, by_share = (EVENLY, BY_SHARE) if mean else (FEWER, FEWER)
    timed = [member for member in times if member.timed]
    between: list[int] = []
    if timed:
        quantiles = np.concatenate([member.at(member.shares()) for member in timed])
        quantiles = np.sort(quantiles[np.isfinite(quantiles)]) * NS_PER_MS
        spread = roundest(np.geomspace(quantiles[0], quantiles[-1], evenly))
        some = quantiles[np.linspace(0, len(quantiles) - 1, by_share).astype(np.int64)]
        between = [int(np.ceil(ns)) for ns in (*spread, *some)]
    primary = group.thresholds.primary
    alone = SECOND_NS if primary is None else primary.ns
    ns = np.array(sorted({*(threshold.ns for threshold in common), *between} or {alone}), dtype=np.int64)
    labels = tuple(_label([threshold for threshold in common if threshold.ns == bound]) for bound in ns)
    start = int(np.searchsorted(ns, primary.ns)) if primary is not None else len(ns) // 2
    return Grid(ns, labels, min(start, len(ns) - 1))


def roundest(places: Floats) -> Floats:
    """Return rising times each with as few digits as tell it from its neighbours: of 27.3, 29.1 and 31 that in the middle is 30.

    The first and the last are kept as they are.

    Examples
    --------
    >>> [float(place) for place in roundest(np.array([18.4, 27.3, 29.1, 31.0, 33.2]))]
    [18.4, 25.0, 30.0, 32.0, 33.2]
    """
    rounded = places.copy()
    for index in range(1, len(places) - 1):
        low, high = np.sqrt(places[index - 1 : index + 1] * places[index : index + 2])
        for step in (10.0 ** np.floor(np.log10(high)) * part for part in (1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001)):
            nearest = np.round(np.round(places[index] / step) * step, 3)
            if low < nearest <= high:
                rounded[index] = nearest
                break
    return rounded


def _label(thresholds: Sequence[Threshold]) -> str:
    return ", ".join(dict.fromkeys(threshold.label for threshold in thresholds))
