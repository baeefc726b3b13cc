"""How far two densities of time are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.stats.density import REACH_IQRS, Bandwidth, Floats, select_bandwidth
from orchestrator.stats.histogram import REACH, FewTimes, LogHistogram, smoothed
from orchestrator.stats.sheather_jones import BINS


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Return the Jensen-Shannon divergence in natural units: the mean of KL(p, m) and KL(q, m) with m = (p + q) / 2.

    Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information Theory 37 (1991). 0 log 0 is 0, so
    nothing is added to empty places. With d = (p - q) / (p + q) a place contributes
    (p + q) / 4 x ((1 + d) log(1 + d) + (1 - d) log(1 - d)), which keeps its digits where p and q are nearly equal.

    Parameters
    ----------
    p, q : [..., n]
        probability masses over the last axis; they are divided by their sums. Leading axes broadcast.

    Returns
    -------
    [...] divergences within 0 and ln 2.

    Raises
    ------
    ValueError
        if a mass is negative or not finite, or all masses are 0.

    Examples
    --------
    >>> float(jensen_shannon_divergence([1, 0], [0, 1]).round(4))
    0.6931
    """
    first, second = _masses(p), _masses(q)
    total = first + second
    d = np.divide(first - second, total, out=np.zeros_like(total), where=total > 0)
    divergence = (total / 4 * (scipy.special.xlog1py(1 + d, d) + scipy.special.xlog1py(1 - d, -d))).sum(axis=-1)
    return np.asarray(np.clip(divergence, 0, np.log(2)))


def jensen_shannon_distance(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Return the Jensen-Shannon distance, the square root of the divergence: what SciPy calls ``jensenshannon``.

    Endres and Schindelin, "A New Metric for Probability Distributions", IEEE Transactions on Information Theory 49 (2003).
    Parameters and errors are those of `jensen_shannon_divergence`; the result lies within 0 and sqrt(ln 2).
    """
    return np.sqrt(jensen_shannon_divergence(p, q))


def _masses(weights: ArrayLike) -> NDArray[np.float64]:
    """Return weights divided by their sum over the last axis."""
    masses = np.asarray(weights, dtype=np.float64)
    sums = masses.sum(axis=-1, keepdims=True)
    if not (np.isfinite(sums).all() and (masses >= 0).all() and (sums > 0).all()):
        raise ValueError("probability masses must be finite, not negative, and not all zero")
    return np.asarray(masses / sums)


NS_PER_S = 1e9
CELLS_PER_BIN = 4
"""How many cells of kept counts make a bin of the grid on which a bandwidth is found."""
MOST_CELLS = 2**15
"""Densities are compared on at most this many cells, so that no outlier can make a check slow. Where times reach over more than
8,000 bandwidths, cells are wider than a quarter of one, and densities seem slightly more alike than they are."""


@dataclass(frozen=True)
class Fit:
    """A Gaussian kernel density of log time, kept as counts and bandwidth so that it can be evaluated on any later grid."""

    cells: LogHistogram
    bandwidth: Bandwidth


def fit_density(history: LogHistogram | FewTimes) -> Fit:
    """Return the density of all times counted so far.

    The counts are first merged into cells of at most a quarter of a bin of the bandwidth's grid, so that the work depends on
    the shape of the times and not on their number.

    Parameters
    ----------
    history
        counts of log time, at least one.
    """
    q1, median, q3 = history.quantiles([0.25, 0.5, 0.75])
    wanted = (2 * REACH_IQRS + 1) * (q3 - q1) / BINS / CELLS_PER_BIN
    factor = 2 ** max(0, int(np.floor(np.log2(max(wanted, history.step) / history.step))))
    cells = history.coarsened(factor)
    one_ns = float(np.exp(-median))
    return Fit(cells, select_bandwidth(*cells.occupied(), resolution=max(cells.step, one_ns)))


def masses_on_common_grid(fits: Sequence[Fit]) -> Floats:
    """Return the probability that each density gives to every cell of one grid over log time.

    The grid reaches 8 bandwidths beyond all times; a cell holds the integral of the density and not a value of it.

    Returns
    -------
    [fits, cells] masses, each row summing to 1.
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
    masses = smoothed(np.stack([fit.cells.on_grid(step, first, size) for fit in fits]), bandwidths / step)
    return np.asarray(masses / masses.sum(axis=1, keepdims=True))


def divergences(current: Fit, earlier: Sequence[Fit]) -> Floats:
    """Return the Jensen-Shannon divergence between the current density and each earlier one, [earlier]."""
    masses = masses_on_common_grid([current, *earlier])
    return jensen_shannon_divergence(masses[0], masses[1:])
