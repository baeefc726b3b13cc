from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.stats.density import Floats, log_times

LOG_STEP = 2.0**-16
"""One part in 65,536: 15 ns at 1 ms. Finer differences of time are not kept."""


class LogHistogram:
    """Counts of log time in bins at fixed multiples of one log step.

    Bin k holds the times from exp(k step) to exp((k + 1) step). Since no bin depends on the data, the counts of two rounds add
    up, and pairs of bins merge exactly into bins of twice the width. Its size is that of the range of times, whatever their
    number: 1.2 MB where the longest time is 10 times the shortest.

    Parameters
    ----------
    step
        width of a bin in log time, a power of two times `LOG_STEP`.
    first
        number k of the first bin.
    counts : [n]
        number of times in each bin.
    """

    def __init__(self, step: float = LOG_STEP, first: int = 0, counts: NDArray[np.int64] | None = None) -> None:
        self.step = step
        self.first = first
        self.counts = np.zeros(0, dtype=np.int64) if counts is None else counts

    @property
    def end(self) -> int:
        """Number of the bin after the last."""
        return self.first + self.counts.size

    def occupied(self) -> tuple[Floats, Floats]:
        """Return the log time in the middle of every bin that holds a time, and how many it holds."""
        index = np.flatnonzero(self.counts)
        return np.asarray((self.first + index + 0.5) * self.step, dtype=np.float64), self.counts[index].astype(np.float64)

    def add(self, times_ns: ArrayLike) -> int:
        """Count the times that samples have and return their number; +inf is left out.

        Raises InputError if a time is NaN, zero or negative.
        """
        bins, counts = np.unique(np.floor(log_times(times_ns) / self.step).astype(np.int64), return_counts=True)
        if bins.size:
            self._reach(int(bins[0]), int(bins[-1]) + 1)
            self.counts[bins - self.first] += counts
        return int(counts.sum())

    def quantiles(self, shares: ArrayLike) -> Floats:
        """Return the log times in the middle of the bins where the distribution function reaches each share."""
        cumulated = np.cumsum(self.counts)
        index = np.searchsorted(cumulated, np.asarray(shares) * cumulated[-1])
        return np.asarray((self.first + index + 0.5) * self.step, dtype=np.float64)

    def coarsened(self, factor: int) -> LogHistogram:
        """Return the same counts in bins ``factor`` times as wide, again at multiples of their width."""
        first = self.first // factor
        end = -(-self.end // factor)
        padded = np.pad(self.counts, (self.first - first * factor, end * factor - self.end))
        return LogHistogram(self.step * factor, first, padded.reshape(-1, factor).sum(axis=1))

    def on_grid(self, step: float, first: int, size: int) -> Floats:
        """Return [size] weights in bins of ``step`` from bin ``first`` on, the count of every wider bin shared evenly."""
        source = self if step <= self.step else self.coarsened(round(step / self.step))
        factor = round(source.step / step)
        weights = np.zeros(size)
        start = source.first * factor - first
        weights[start : start + source.counts.size * factor] = np.repeat(source.counts / factor, factor)
        return weights

    def _reach(self, first: int, end: int) -> None:
        """Make room for bins from ``first`` to the one before ``end``."""
        if not self.counts.size:
            self.first, self.counts = first, np.zeros(end - first, dtype=np.int64)
        before, after = max(self.first - first, 0), max(end - self.end, 0)
        if before or after:
            self.counts = np.pad(self.counts, (before, after))
            self.first -= before


class FewTimes:
    """What `LogHistogram` counts, of times so few that they are kept one by one: the same in every number, without its empty bins.

    Parameters
    ----------
    times_ns : [n]
        in ns, at least one that is finite; +inf is left out.

    Examples
    --------
    >>> few, many = FewTimes([1e6, 3e6, 2e6]), LogHistogram()
    >>> many.add([1e6, 3e6, 2e6])
    3
    >>> bool((few.coarsened(8).counts == many.coarsened(8).counts).all()), few.quantiles([0.5]) == many.quantiles([0.5])
    (True, array([ True]))
    """

    def __init__(self, times_ns: ArrayLike) -> None:
        self.step = LOG_STEP
        self._bins = np.sort(np.floor(log_times(times_ns) / self.step).astype(np.int64))

    def quantiles(self, shares: ArrayLike) -> Floats:
        """Return what `LogHistogram.quantiles` does."""
        rank = np.searchsorted(np.arange(1, self._bins.size + 1), np.asarray(shares) * self._bins.size)
        return np.asarray((self._bins[rank] + 0.5) * self.step, dtype=np.float64)

    def coarsened(self, factor: int) -> LogHistogram:
        """Return what `LogHistogram.coarsened` does."""
        cells = self._bins // factor
        return LogHistogram(self.step * factor, int(cells[0]), np.bincount(cells - cells[0]))


REACH = 8
"""In bandwidths: what lies further away is below 1e-15 of a kernel."""


def smoothed(weights: Floats, bandwidths: Floats) -> Floats:
    """Return the mass in every cell of a regular grid after Gaussian smoothing.

    Weight stands in the middle of its cell; a cell receives the integral of the kernel over it, so that the result is a
    distribution whatever the bandwidth. The work is that of a few fast Fourier transforms.

    Parameters
    ----------
    weights : [densities, cells]
        the outermost 8 bandwidths on either side must be empty.
    bandwidths : [densities]
        standard deviations of the kernels, in cells.

    Returns
    -------
    [densities, cells] masses, each row of the same sum as its weights.

    Examples
    --------
    >>> smoothed(np.array([[0.0, 0.0, 1.0, 0.0, 0.0]]), np.array([0.2])).round(4)
    array([[0.    , 0.0062, 0.9876, 0.0062, 0.    ]])
    """
    cells = weights.shape[1]
    size = scipy.fft.next_fast_len(cells, real=True)
    reach = min(int(np.ceil(REACH * bandwidths.max())), (size - 1) // 2)
    distance, half_cell = np.arange(reach + 1) / bandwidths[:, np.newaxis], 0.5 / bandwidths[:, np.newaxis]
    on_one_side = scipy.special.ndtr(half_cell - distance) - scipy.special.ndtr(-half_cell - distance)
    kernels = np.zeros((len(bandwidths), size))
    kernels[:, : reach + 1] = on_one_side
    kernels[:, size - reach :] = on_one_side[:, :0:-1]
    masses = scipy.fft.irfft(scipy.fft.rfft(weights, size) * scipy.fft.rfft(kernels), size)[:, :cells]
    return np.maximum(masses, 0)
