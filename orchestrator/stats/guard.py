"""Whether a mean is high enough, whatever its law: what units that have not been seen may still lower it to."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError

MOST_UNITS = 10**6
"""More units than these are never measured."""
STEP = 0.05
NODES = np.arange(0.0, 12.0, STEP)
"""Of the rule of trapezoids over x, u = sinh(x), which is exact to many digits: the function is analytic near the real line."""


def risk_of_mean(gains: ArrayLike, at_least: float, times: float = 1.0) -> float:
    """Return the risk of saying that units like these gain ``at_least`` so much in the mean, which holds whatever their law is.

    To the n units is added one that gained nothing, the least there can be, and all get random weights: the spacings of n uniform numbers.
    The risk is the probability that the weighted mean lies below what is asked [1, 2]. Of n units that all gained the same g it is
    (at_least/g)^n: so probable are n good units where a share 1 - at_least/g of all gains nothing. Of units that gained 0 or 1 it is that
    of Clopper and Pearson. No law is known for which it errs more often than it says, and the proof is open.

    Parameters
    ----------
    gains : [n]
        what each independent unit gained, at least 0.
    at_least
        the mean that is asked for, above 0.
    times
        as if each of the units had been seen so many times.

    Notes
    -----
    A weighted sum of spacings lies below a where sum (a - g_i) E_i > 0, E_i exponential. Its probability is an integral of the sum's
    moment generating function along a line through the saddle point [3], by the rule of trapezoids after u = sinh(x).

    References
    ----------
    .. [1] N. Gaffke. Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable. Mathematical
       Methods of Statistics 14(4), 2005.
    .. [2] E. Learned-Miller, P. S. Thomas. A new confidence interval for the mean of a bounded random variable. arXiv:1905.06208, 2019.
    .. [3] H. E. Daniels. Tail probability approximations. International Statistical Review 55(1), 1987.

    Examples
    --------
    >>> round(risk_of_mean([0.9] * 72, 0.95 * 0.9), 4), round(0.95**72, 4)
    (0.0249, 0.0249)
    >>> round(risk_of_mean([1] * 99 + [0], 0.95), 4), round(float(scipy.stats.binom.cdf(1, 100, 0.05)), 4)
    (0.0371, 0.0371)
    """
    given = np.asarray(gains, dtype=np.float64)
    if given.ndim != 1 or not given.size or not np.isfinite(given).all() or not at_least > 0:
        raise InputError(f"gains of shape {given.shape}, at least {at_least}: finite numbers, one per unit, and a mean above 0 are needed")
    values, counts = np.unique(np.maximum(given, 0.0), return_counts=True)
    return risk_of_counted(values, np.asarray(counts * times, dtype=np.float64), at_least)


def units_to_show(gains: ArrayLike, at_least: float, error: float) -> int | None:
    """Return the fewest units that show a mean with no more risk than ``error``, were all like these; None where no 10^6 do.

    Examples
    --------
    >>> units_to_show([1.0] * 30, 0.95, 0.025), units_to_show([1.0, 0.0], 0.95, 0.025)
    (72, None)
    """
    given = np.asarray(gains, dtype=np.float64)
    if given.mean() <= at_least:
        return None
    return fewest(lambda units: risk_of_mean(given, at_least, units / given.size) <= error)


def risk_of_counted(gains: NDArray[np.float64], counts: NDArray[np.float64], at_least: float) -> float:
    """Return the probability that sum c_i E_i is above 0, where c_i = 1 - g_i/at_least comes counts_i times, and once c = 1."""
    each = np.append(1.0, 1 - gains / at_least)
    number = np.append(1.0, counts)

    def slope(s: float) -> float:
        return float((number * each / (1 - s * each)).sum()) - 1 / s

    saddle = float(scipy.optimize.brentq(slope, 1e-12, 1 - 1e-12, xtol=1e-14))
    curvature = float((number * (each / (1 - saddle * each)) ** 2).sum()) + 1 / saddle**2
    along = saddle + 1j * np.sinh(NODES) / math.sqrt(curvature)
    logs = -(number * np.log(1 - along[:, None] * each)).sum(axis=1) - np.log(along)
    heights = np.exp(logs - logs[0].real).real * np.cosh(NODES)
    area = STEP * (heights.sum() - heights[0] / 2) / math.sqrt(curvature)
    return float(min(max(math.exp(logs[0].real) * area / math.pi, 0.0), 1.0))


def fewest(shows: Callable[[int], bool], least: int = 1) -> int | None:
    """Return the fewest units that show something, where more show it all the better; None where no 10^6 do."""
    low, high = least - 1, least
    while not shows(high):
        if high >= MOST_UNITS:
            return None
        low, high = high, min(2 * high, MOST_UNITS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high
