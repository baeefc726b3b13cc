from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.comparison import holm_adjusted

EVERY_ORDER = 8
"""Up to this many rounds every order is looked at (40,320 of them), so that p-values are exact."""
SHUFFLED = 1000
"""Up to this many rounds the autocorrelation is compared with shuffled series, beyond with the normal law."""
SHUFFLES = 9999
ENOUGH = 100
"""Once so many shuffled series were as far from their mean, no further one is looked at."""
BLOCK = 2**17
ROUNDING = 1e-9
SEED = 0


def trend_p_value(series: ArrayLike) -> float:
    """Return the two-sided p-value of Mann and Kendall's test for a trend.

    S = sum over i < j of sign(x_j - x_i), that is Kendall's tau of the series against time (Mann, Econometrica 13, 1945;
    Kendall, *Rank Correlation Methods*, chapter 4). Exact for up to 33 rounds without ties and up to 8 with; otherwise by the
    normal law with the variance corrected for ties.

    Parameters
    ----------
    series : [R]
        one value per round; +inf is allowed.

    Returns
    -------
    1 for a series that says nothing: a constant one, or one of fewer than 3 rounds.

    Raises
    ------
    InputError
        if a value is NaN.

    Examples
    --------
    >>> round(trend_p_value([1, 2, 3, 4]), 4)
    0.0833
    """
    x = _checked(series)
    if _says_nothing(x):
        return 1.0
    ranks = scipy.stats.rankdata(x)
    if x.size <= EVERY_ORDER and np.unique(ranks).size < x.size:
        first, second = np.triu_indices(x.size, 1)
        ordered = ranks[_every_order(x.size)]
        s = np.sign(ordered[:, second] - ordered[:, first]).sum(axis=1)
        return float((np.abs(s) >= abs(s[0])).mean())
    return float(scipy.stats.kendalltau(np.arange(x.size), ranks).pvalue)


def autocorrelation_p_value(series: ArrayLike) -> float:
    """Return the two-sided p-value of the lag-1 autocorrelation, were the rounds in random order.

    T = sum of c_i c_{i+1} over the centred series, compared with its values over orders of the same series: all of them up to 8
    rounds, 9,999 shuffles (of a fixed seed) up to 1,000, or as many as it takes to see 100 as far out (Besag and Clifford,
    "Sequential Monte Carlo p-values", Biometrika 78, 1991: p-values above 0.01 need no more), beyond that the normal law with the
    exact mean and variance over orders (Wald and Wolfowitz, Annals of Mathematical Statistics 14, 1943, without their wrap-around).

    Parameters
    ----------
    series : [R]
        one value per round. Where one is +inf the autocorrelation of ranks is taken.

    Returns
    -------
    1 for a series that says nothing: a constant one, or one of fewer than 3 rounds.

    Raises
    ------
    InputError
        if a value is NaN.

    Examples
    --------
    >>> round(autocorrelation_p_value([1, 1, 1, 1, 9, 9, 9, 9]), 4)
    0.0571
    """
    x = _checked(series)
    if _says_nothing(x):
        return 1.0
    values = x if np.isfinite(x).all() else scipy.stats.rankdata(x)
    centred = values - values.mean()
    centred /= np.abs(centred).max()
    mean, variance = _moments(centred)
    distance = abs(float(centred[:-1] @ centred[1:]) - mean)
    if x.size > SHUFFLED:
        return float(2 * scipy.stats.norm.sf(distance / math.sqrt(variance)))
    if x.size <= EVERY_ORDER:
        return float((np.abs(_products(centred[_every_order(x.size)]) - mean) >= distance - ROUNDING).mean())
    found, drawn = 0, 0
    for shuffled in _shuffles(centred):
        as_far = np.flatnonzero(np.abs(_products(shuffled) - mean) >= distance - ROUNDING)
        if found + as_far.size >= ENOUGH:
            return ENOUGH / (drawn + int(as_far[ENOUGH - found - 1]) + 1)
        found, drawn = found + as_far.size, drawn + len(shuffled)
    return (found + 1) / (SHUFFLES + 1)


def _checked(series: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(series, dtype=np.float64)
    if np.isnan(x).any():
        raise InputError("a series over rounds with NaN has no order: every round needs a value")
    return x


def _says_nothing(x: NDArray[np.float64]) -> bool:
    return x.size < 3 or bool((x == x[0]).all())


def _every_order(n: int) -> NDArray[np.intp]:
    """Return all orders of n things, [n!, n], the given one first."""
    return np.array(list(itertools.permutations(range(n))), dtype=np.intp)


def _shuffles(x: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield shuffled copies, [some, R], `SHUFFLES` in all."""
    random = np.random.default_rng(SEED)
    step = max(1, BLOCK // x.size)
    for start in range(0, SHUFFLES, step):
        yield random.permuted(np.tile(x, (min(step, SHUFFLES - start), 1)), axis=1)


def _products(orders: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return T of each row."""
    products: NDArray[np.float64] = np.einsum("ij,ij->i", orders[:, :-1], orders[:, 1:])
    return products


def _moments(centred: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and variance of T over all orders of a centred series of at least 3.

    Expectations of products over distinct places follow from the power sums p2 and p4, p1 being 0: E[ab] = -p2/n(n-1),
    E[aabb] = (p2^2 - p4)/n(n-1), E[abbc] = (2 p4 - p2^2)/n(n-1)(n-2), E[abcd] = (3 p2^2 - 6 p4)/n(n-1)(n-2)(n-3). Of the
    (n-1)^2 pairs of neighbouring products n-1 are equal, 2(n-2) share a place and (n-2)(n-3) share none.
    """
    n = centred.size
    p2, p4 = float((centred**2).sum()), float((centred**4).sum())
    equal = (p2**2 - p4) / n
    sharing = 2 * (2 * p4 - p2**2) / (n * (n - 1))
    apart = (3 * p2**2 - 6 * p4) / (n * (n - 1)) if n > 3 else 0.0
    mean = -p2 / n
    return mean, equal + sharing + apart - mean**2


LEVEL = 0.01
"""Of all four tests together."""
DIGITS = 12
"""Qualities that agree to this many digits are tied: what differs further on is the rounding of sums."""


@dataclass(frozen=True)
class Exchangeability:
    """Whether the order of rounds matters; if so, intervals and figures that take rounds as exchangeable do not hold.

    flagged
        a test rejects after Holm's adjustment for the four.
    trend_log_median, autocorrelation_log_median, trend_quality, autocorrelation_quality
        unadjusted two-sided p-values; 1 for a series that says nothing (a constant one, or one of fewer than 3 rounds).
    """

    flagged: bool
    trend_log_median: float
    autocorrelation_log_median: float
    trend_quality: float
    autocorrelation_quality: float


def exchangeability_flag(log_medians: ArrayLike, qualities: ArrayLike, level: float = LEVEL) -> Exchangeability:
    """Return whether rounds drift or resemble their neighbours: Mann-Kendall and lag-1 autocorrelation on two series.

    To be computed once per trial, when the stopping rule would otherwise stop: looked at again and again it raises false flags.

    Parameters
    ----------
    log_medians : [R]
        logarithm of each round's median total time; +inf where most samples have none.
    qualities : [R]
        tail quality of each round at the primary threshold.
    level
        family-wise error of the four tests, as a fraction.

    Raises
    ------
    InputError
        if a value is NaN.

    Examples
    --------
    >>> exchangeability_flag(np.linspace(1, 2, 30), np.ones(30)).flagged
    True
    """
    medians = np.asarray(log_medians, dtype=np.float64)
    quality = np.round(np.asarray(qualities, dtype=np.float64), DIGITS)
    if not 0 < level < 1:
        raise InputError(f"level {level}: must lie between 0 and 1, such as 0.01")
    if medians.ndim != 1 or medians.shape != quality.shape:
        raise ValueError(f"series of shapes {medians.shape} and {quality.shape}: both must be [rounds]")
    p_values = [test(series) for series in (medians, quality) for test in (trend_p_value, autocorrelation_p_value)]
    return Exchangeability(bool(holm_adjusted(p_values).min() <= level), *p_values)
