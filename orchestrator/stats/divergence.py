"""How far two densities of time are apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.stats.density import BINS, REACH_IQRS, Bandwidth, Floats, select_bandwidth
from orchestrator.stats.histogram import REACH, LogHistogram, smoothed

CELLS_PER_BIN = 4
"""How many cells of kept counts make a bin of the grid on which a bandwidth is found."""
MOST_CELLS = 2**15
"""Densities are compared on at most so many cells, so that no outlier can make a check slow. Where
times reach over more than 8,000 bandwidths, cells are wider than a quarter of one, and densities
seem slightly more alike than they are."""


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the Jensen-Shannon divergence of masses [..., n], in natural units: within 0 and ln 2.

    Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information Theory
    37 (1991). With d = (p - q) / (p + q) a place contributes
    (p + q) / 4 x ((1 + d) log(1 + d) + (1 - d) log(1 - d)), which keeps its digits where p and q
    are nearly equal. Masses are divided by their sums; leading axes broadcast.

    Examples
    --------
    >>> float(jensen_shannon_divergence([1, 0], [0, 1]).round(4))
    0.6931
    """
    first, second = (np.asarray(of) / np.sum(of, axis=-1, keepdims=True) for of in (p, q))
    total = first + second
    d = np.divide(first - second, total, out=np.zeros_like(total), where=total > 0)
    terms = scipy.special.xlog1py(1 + d, d) + scipy.special.xlog1py(1 - d, -d)
    return np.asarray(np.clip((total / 4 * terms).sum(axis=-1), 0, np.log(2)))


def jensen_shannon_distance(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the square root of the divergence, which is a metric: SciPy's ``jensenshannon``.

    Endres and Schindelin, "A New Metric for Probability Distributions", IEEE Transactions on
    Information Theory 49 (2003).
    """
    return np.sqrt(jensen_shannon_divergence(p, q))


class Fit(NamedTuple):
    """A Gaussian kernel density of log time, kept as counts so that any later grid can hold it."""

    cells: LogHistogram
    bandwidth: Bandwidth


def fit_density(history: LogHistogram) -> Fit:
    """Return the density of all times counted so far, at least one.

    Counts are first merged into cells of at most a quarter of a bin of the bandwidth's grid, so
    that the work depends on the shape of the times and not on their number.
    """
    q1, median, q3 = history.quantiles([0.25, 0.5, 0.75])
    wanted = (2 * REACH_IQRS + 1) * (q3 - q1) / BINS / CELLS_PER_BIN
    factor = 2 ** int(np.floor(np.log2(max(wanted / history.step, 1))))
    cells = history.coarsened(factor)
    one_ns = float(np.exp(-median))
    return Fit(cells, select_bandwidth(*cells.occupied(), resolution=max(cells.step, one_ns)))


def fit_times(times_ns: ArrayLike) -> Fit:
    """Return the density of the log of those times that samples have, at least one."""
    history = LogHistogram()
    history.add(times_ns)
    return fit_density(history)


def masses_on_common_grid(fits: Sequence[Fit]) -> Floats:
    """Return the probability that each density gives to every cell of one grid, [fits, cells].

    The grid reaches 8 bandwidths beyond all times; a cell holds the integral of the density.
    """
    bandwidths = np.array([fit.bandwidth.value for fit in fits])
    margin = REACH * bandwidths.max()
    low = min(fit.cells.first * fit.cells.step for fit in fits) - margin
    high = max(fit.cells.end * fit.cells.step for fit in fits) + margin
    step = min(fit.cells.step for fit in fits)
    while (high - low) / step > MOST_CELLS:
        step *= 2
    first = int(np.floor(low / step))
    size = int(np.ceil(high / step)) - first
    weights = np.stack([fit.cells.on_grid(step, first, size) for fit in fits])
    masses = smoothed(weights, bandwidths / step)
    return np.asarray(masses / masses.sum(axis=1, keepdims=True))


def divergences(current: Fit, earlier: Sequence[Fit]) -> Floats:
    """Return the Jensen-Shannon divergence of the current density from each earlier one."""
    masses = masses_on_common_grid([current, *earlier])
    return jensen_shannon_divergence(masses[0], masses[1:])
