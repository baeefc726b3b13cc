"""Counts of log time that add up, and densities smoothed from them."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.stats.density import Floats, log_times

LOG_STEP = 2.0**-16
"""One part in 65,536: 15 ns at 1 ms. Finer differences of time are not kept."""
REACH = 8
"""In bandwidths: what lies further away is below 1e-15 of a kernel."""


class LogHistogram:
    """Counts of log time: bin k, from ``first`` on, is that from k step to (k + 1) step.

    Since no bin depends on the data, the counts of two rounds add up, and pairs of bins merge
    exactly into bins of twice the width. Its size is that of the range of times, whatever their
    number: 1.2 MB where the longest time is 10 times the shortest.
    """

    def __init__(
        self, step: float = LOG_STEP, first: int = 0, counts: NDArray[np.int64] | None = None
    ) -> None:
        self.step = step
        self.first = first
        self.counts = np.zeros(0, dtype=np.int64) if counts is None else counts

    @property
    def end(self) -> int:
        """Number of the bin after the last."""
        return self.first + self.counts.size

    def occupied(self) -> tuple[Floats, Floats]:
        """Return the log time in the middle of every occupied bin, and how many it holds."""
        index = np.flatnonzero(self.counts)
        return np.asarray((self.first + index + 0.5) * self.step), self.counts[index].astype(
            np.float64
        )

    def add(self, times_ns: ArrayLike) -> None:
        """Count the times that samples have; InputError for one that is NaN, zero or negative."""
        bins = np.floor(log_times(times_ns) / self.step).astype(np.int64)
        if not bins.size:
            return
        first, end = int(bins.min()), int(bins.max()) + 1
        if not self.counts.size:
            self.first, self.counts = first, np.zeros(end - first, dtype=np.int64)
        before, after = max(self.first - first, 0), max(end - self.end, 0)
        if before or after:
            self.first, self.counts = self.first - before, np.pad(self.counts, (before, after))
        np.add.at(self.counts, bins - self.first, 1)

    def quantiles(self, shares: ArrayLike) -> Floats:
        """Return the middles of the bins where the distribution reaches each share."""
        cumulated = np.cumsum(self.counts)
        index = np.searchsorted(cumulated, np.asarray(shares) * cumulated[-1])
        return np.asarray((self.first + index + 0.5) * self.step)

    def coarsened(self, factor: int) -> LogHistogram:
        """Return the same counts in bins ``factor`` times as wide, at multiples of their width."""
        first = self.first // factor
        size = -(-self.end // factor) - first
        before = self.first - first * factor
        padded = np.pad(self.counts, (before, size * factor - before - self.counts.size))
        return LogHistogram(self.step * factor, first, padded.reshape(-1, factor).sum(axis=1))

    def on_grid(self, step: float, first: int, size: int) -> Floats:
        """Return weights in ``size`` bins of ``step`` from ``first`` on; wider bins are shared."""
        source = self if step <= self.step else self.coarsened(round(step / self.step))
        factor = round(source.step / step)
        before = source.first * factor - first
        weights = np.repeat(source.counts / factor, factor)
        return np.pad(weights, (before, size - before - weights.size))


def smoothed(weights: Floats, bandwidths: Floats) -> Floats:
    """Return the mass in every cell of a regular grid after Gaussian smoothing.

    Weight stands in the middle of its cell; a cell receives the integral of the kernel over it, so
    that the result is a distribution whatever the bandwidth.

    Parameters
    ----------
    weights : [densities, cells]
        the outermost 8 bandwidths on either side must be empty.
    bandwidths : [densities]
        standard deviations of the kernels, in cells.

    Examples
    --------
    >>> smoothed(np.array([[0.0, 0.0, 1.0, 0.0, 0.0]]), np.array([0.2])).round(4)
    array([[0.    , 0.0062, 0.9876, 0.0062, 0.    ]])
    """
    cells = weights.shape[1]
    size = scipy.fft.next_fast_len(cells, real=True)
    reach = min(int(np.ceil(REACH * bandwidths.max())), (size - 1) // 2)
    edges = (np.arange(reach + 2) - 0.5) / bandwidths[:, np.newaxis]
    on_one_side = -np.diff(scipy.special.ndtr(-edges))
    kernels = np.zeros((len(bandwidths), size))
    kernels[:, : reach + 1] = on_one_side
    kernels[:, size - reach :] = on_one_side[:, :0:-1]
    masses = scipy.fft.irfft(scipy.fft.rfft(weights, size) * scipy.fft.rfft(kernels), size)
    return np.maximum(masses[:, :cells], 0)
