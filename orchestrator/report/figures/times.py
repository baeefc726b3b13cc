"""The distribution of a trial's times, counted once for every figure that shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.report.figures.chart import Floats
from orchestrator.stats.fit import Fit, fit_density
from orchestrator.stats.histogram import LOG_STEP, LogHistogram
from orchestrator.stats.smoothing import REACH, smoothed

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
        """Return the density of log time, None where no inference has a time."""
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
