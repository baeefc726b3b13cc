"""How the time of a sample goes with the size of its input."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError


class Line(NamedTuple):
    """A straight line by least squares, y = intercept + slope x, and the share of the variance of y that it explains."""

    slope: float
    intercept: float
    r_squared: float


def least_squares(x: ArrayLike, y: ArrayLike) -> Line:
    """Return the line of least squares through points, [n] each; R^2 is NaN where y does not vary.

    Raises
    ------
    InputError
        if x has fewer than 2 distinct values.

    Examples
    --------
    >>> least_squares([1, 2, 3], [3, 5, 7])
    Line(slope=2.0, intercept=1.0, r_squared=1.0)
    """
    at, value = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if np.unique(at).size < 2:
        raise InputError(f"a line through {at.size} points of one size: at least 2 sizes are needed")
    centred, deviations = at - at.mean(), value - value.mean()
    slope = float(centred @ deviations / (centred @ centred))
    left, total = float(((deviations - slope * centred) ** 2).sum()), float((deviations**2).sum())
    return Line(slope, float(value.mean() - slope * at.mean()), 1 - left / total if total > 0 else math.nan)


def time_on_size(times_ns: ArrayLike, sizes: ArrayLike) -> tuple[Line, Line]:
    """Return the lines of each sample's mean time in ms, and of its variance (ddof 1) in ms^2, on input size, as the paper fits them.

    Parameters
    ----------
    times_ns : [R, S]
        times in ns, +inf for a sample without one; a sample with fewer than 2 times takes no part.
    sizes : [S]
        input size of each sample.
    """
    means, variances = moments(times_ns)
    usable = np.isfinite(variances)
    size = np.asarray(sizes, dtype=np.float64)[usable]
    return least_squares(size, means[usable]), least_squares(size, variances[usable])


def moments(times_ns: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each sample's mean time in ms and variance in ms^2, [S] and [S], of the times it has; NaN with fewer than 2."""
    times = np.asarray(times_ns, dtype=np.float64) / 1e6
    has = np.isfinite(times)
    count = has.sum(axis=0)
    mean = np.where(has, times, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(has, times - mean, 0.0) ** 2
    variance = squares.sum(axis=0) / np.maximum(count - 1, 1)
    few = count < 2
    return np.where(few, np.nan, mean), np.where(few, np.nan, variance)
