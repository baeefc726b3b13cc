from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.stats.sheather_jones import BINS, bin_linearly, solve_bandwidth
from orchestrator.stats.times import checked_times

Floats: TypeAlias = NDArray[np.float64]

REACH_IQRS = 12
"""The grid of the bandwidth's equation ends this many interquartile ranges beyond the quartiles."""
FEWEST_VALUES = 10
"""With fewer distinct values the bandwidth's equation says nothing."""
EXACT_UP_TO = 2**14
"""More points than this are gathered on a fine lattice before a density is evaluated."""
LATTICE = 64
"""Steps of that lattice in one bandwidth."""
KERNEL_REACH = 38.7
"""In bandwidths: further away the Gaussian kernel is zero in double precision."""
PAIRS_AT_ONCE = 2**20


class Bandwidth(NamedTuple):
    """A bandwidth in the unit of the points, and how it was found: Improved Sheather-Jones or the fall-back."""

    value: float
    method: Literal["isj", "silverman"]


def bandwidth_isj(x: ArrayLike) -> float:
    """Return the Improved Sheather-Jones bandwidth for a Gaussian kernel density of x as given (no logarithm is taken).

    See `select_bandwidth`, which also tells whether Silverman's rule had to stand in.

    Parameters
    ----------
    x : [n]
        finite values, at least one.

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=1000)
    >>> round(bandwidth_isj(x), 3)
    0.264
    """
    return select_bandwidth(x).value


def select_bandwidth(x: ArrayLike, weights: ArrayLike | None = None, resolution: float = 0.0) -> Bandwidth:
    """Return the bandwidth of a Gaussian kernel density and the method that found it.

    Improved Sheather-Jones (see `sheather_jones.solve_bandwidth`) on a grid of 2,048 bins from 12 interquartile ranges below
    the first quartile to 12 above the third; points outside have no say, so that one outlier cannot coarsen the grid.
    Silverman's rule stands in where the interquartile range is 0, where fewer than 10 values differ, or where the equation has
    no root. Scaling x scales the result.

    Parameters
    ----------
    x : [n]
        finite values, in any order.
    weights : [n]
        how often each value occurs; None is once.
    resolution
        the least difference x can show (the clock's, a histogram's bin), in the unit of x. No bandwidth is below it.

    Raises
    ------
    ValueError
        if there are no values or one is not finite.

    Examples
    --------
    >>> select_bandwidth([3, 3, 3, 4], resolution=0.5)
    Bandwidth(value=0.5, method='silverman')
    """
    points, counts = _ordered(x, weights)
    q1, q3 = _quantile(points, counts, 0.25), _quantile(points, counts, 0.75)
    found = None
    distinct = 1 + np.count_nonzero(np.diff(points))
    if q3 > q1 and distinct >= FEWEST_VALUES:
        length = (2 * REACH_IQRS + 1) * (q3 - q1)
        width = max(length / BINS, resolution)
        low = (q1 + q3 - width * BINS) / 2
        found = solve_bandwidth(bin_linearly(points, counts, low, width, BINS), width, resolution)
    if found is not None:
        return Bandwidth(found, "isj")
    finest = float(np.spacing(np.abs(points).max()))
    return Bandwidth(float(max(_silverman(points, counts, q3 - q1), resolution, finest)), "silverman")


def kde_on_grid(x: ArrayLike, grid: ArrayLike, bandwidth: float) -> Floats:
    """Return the Gaussian kernel density of x at the points of a grid: (1 / n h) sum of phi((grid - x) / h).

    Exact up to 16,384 points. More are first shared between the neighbouring points of a lattice of h / 64, which moves the
    density by at most 3.1e-5 of the kernel's peak 1 / (h sqrt(2 pi)).

    Parameters
    ----------
    x : [n]
        finite values, in any order.
    grid : [m]
        where to evaluate, in any order; spacing is free.
    bandwidth
        standard deviation h of the kernel, in the unit of x.

    Returns
    -------
    [m] densities per unit of x.

    Raises
    ------
    ValueError
        if there are no values, one is not finite, a point of the grid is NaN, or the bandwidth is not a positive number.

    Examples
    --------
    >>> kde_on_grid([0.0], [0.0, 1.0], 1.0).round(4)
    array([0.3989, 0.242 ])
    """
    points, weights = _ordered(x, None)
    places = np.asarray(grid, dtype=np.float64)
    if not 0 < bandwidth < np.inf:
        raise ValueError(f"bandwidth {bandwidth}: must be a positive number; select_bandwidth finds one")
    if np.isnan(places).any():
        raise ValueError("a density at NaN: every point of the grid must be a number")
    if points.size > EXACT_UP_TO:
        points, weights = _gathered(points, bandwidth / LATTICE)
    order = np.argsort(places)
    density = np.empty(places.shape)
    density[order] = mixture(points, weights / weights.sum(), places[order], bandwidth)
    return density


def mixture(centres: Floats, weights: Floats, grid: Floats, bandwidth: float) -> Floats:
    """Return the weighted sum of Gaussian densities around ``centres`` at the points of a rising grid.

    Parameters
    ----------
    centres, weights : [n]
        of the kernels.
    grid : [m]
        where to evaluate, in rising order.
    bandwidth
        standard deviation of every kernel.

    Returns
    -------
    [m] densities, scaled by the sum of the weights.
    """
    first = np.searchsorted(grid, centres - KERNEL_REACH * bandwidth)
    reached = np.searchsorted(grid, centres + KERNEL_REACH * bandwidth, side="right") - first
    density = np.zeros(grid.size)
    blocks = np.searchsorted(np.cumsum(reached), np.arange(0, reached.sum(), PAIRS_AT_ONCE)[1:])
    for block in np.split(np.arange(centres.size), blocks):
        kernel = np.repeat(block, reached[block])
        start = np.cumsum(reached[block]) - reached[block]
        place = np.arange(kernel.size) + np.repeat(first[block] - start, reached[block])
        offset = (grid[place] - centres[kernel]) / bandwidth
        density += np.bincount(place, weights[kernel] * np.exp(-0.5 * offset * offset), grid.size)
    return np.asarray(density / (bandwidth * np.sqrt(2 * np.pi)))


def log_times(times_ns: ArrayLike) -> Floats:
    """Return the logarithm of the times that samples have, those without one (+inf) left out.

    Parameters
    ----------
    times_ns : any shape
        times in ns.

    Returns
    -------
    [n] natural logarithm of the time in ns.

    Raises
    ------
    InputError
        if a time is NaN, zero or negative.

    Examples
    --------
    >>> log_times([1, np.inf])
    array([0.])
    """
    times = checked_times(times_ns)
    return np.log(times[np.isfinite(times)].astype(np.float64))


def _ordered(x: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    """Return values in rising order with their weights, those of weight 0 left out."""
    points = np.asarray(x, dtype=np.float64).ravel()
    counts = np.ones(points.size) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
    if not counts.any():
        raise ValueError("a density of no values: give at least one")
    if not np.isfinite(points).all():
        raise ValueError("a density of values that are not finite: leave out NaN and infinity first")
    order = np.argsort(points, kind="stable")
    order = order[counts[order] > 0]
    return points[order], counts[order]


def _quantile(points: Floats, weights: Floats, share: float) -> float:
    """Return the inverted weighted distribution function of values in rising order."""
    cumulated = np.cumsum(weights)
    return float(points[np.searchsorted(cumulated, share * cumulated[-1])])


def _silverman(points: Floats, weights: Floats, iqr: float) -> float:
    """Return 0.9 min(sd, IQR / 1.349) n^(-1/5), the IQR left out where it is 0: Silverman, *Density Estimation*, (3.31)."""
    size = weights.sum()
    mean = weights @ points / size
    deviation = float(np.sqrt(weights @ (points - mean) ** 2 / size))
    spread = min(deviation, iqr / 1.349) if iqr > 0 else deviation
    return float(0.9 * spread * size**-0.2)


def _gathered(points: Floats, step: float) -> tuple[Floats, Floats]:
    """Return the points of a lattice that carry the given points, each shared between its two neighbours."""
    position = points / step
    left = np.floor(position)
    share = position - left
    places, index = np.unique(np.concatenate([left, left + 1]), return_inverse=True)
    weights = np.bincount(index, np.concatenate([1 - share, share]), places.size)
    return places * step, weights.astype(np.float64)
