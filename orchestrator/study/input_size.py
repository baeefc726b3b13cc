"""How the time of a sample goes with the size of its input."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.density import Floats


class Line(NamedTuple):
    """A straight line by least squares, y = intercept + slope x, and the share of the variance of y that it explains."""

    slope: float
    intercept: float
    r_squared: float


def least_squares(x: Floats, y: Floats) -> Line:
    """Return the line of least squares through points, [n] each; R^2 is NaN where y does not vary.

    Examples
    --------
    >>> least_squares(np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.0, 7.0]))
    Line(slope=2.0, intercept=1.0, r_squared=1.0)
    """
    if np.unique(x).size < 2:
        raise InputError(f"a line through {x.size} points of one size: at least 2 sizes are needed")
    centred, deviations = x - x.mean(), y - y.mean()
    slope = float(centred @ deviations / (centred @ centred))
    left, total = float(((deviations - slope * centred) ** 2).sum()), float((deviations**2).sum())
    return Line(slope, float(y.mean() - slope * x.mean()), 1 - left / total if total > 0 else math.nan)


def time_on_size(times_ns: ArrayLike, sizes: ArrayLike) -> tuple[Line, Line]:
    """Return the lines of each sample's mean time in ms, and of its variance (ddof 1) in ms^2, on its input size, [S]."""
    means, variances = moments(times_ns)
    usable = np.isfinite(variances)
    size = np.asarray(sizes, dtype=np.float64)[usable]
    return least_squares(size, means[usable]), least_squares(size, variances[usable])


def moments(times_ns: ArrayLike) -> tuple[Floats, Floats]:
    """Return each sample's mean time in ms and variance in ms^2, [S] each, of the times it has among [R, S]; NaN with fewer than 2."""
    times = np.asarray(times_ns, dtype=np.float64) / 1e6
    has = np.isfinite(times)
    count = has.sum(axis=0)
    mean = np.where(has, times, 0.0).sum(axis=0) / np.maximum(count, 1)
    variance = (np.where(has, times - mean, 0.0) ** 2).sum(axis=0) / np.maximum(count - 1, 1)
    return np.where(count < 2, np.nan, mean), np.where(count < 2, np.nan, variance)
