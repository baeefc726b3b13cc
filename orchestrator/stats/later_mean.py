"""The mean of rounds that are yet to come: within which limits it will lie."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.stats.korn_graubard import check_confidence
from orchestrator.stats.laws import t_quantile
from orchestrator.stats.long_run import Unit, Visits, constant, long_run_spreads

Floats: TypeAlias = NDArray[np.float64]
Within: TypeAlias = tuple[float, float]
ANYTHING: Within = (-math.inf, math.inf)
"""Where nothing bounds a quality."""


class LaterMeans(NamedTuple):
    """Prediction intervals of the mean of later rounds.

    low, high : [M]
        limits; NaN where the rounds at hand do not vary, and so do not say by how much others will.
    degrees : [M]
        of freedom of the variance that the limits come from.
    units
        what was taken as independent, one per series.
    """

    low: Floats
    high: Floats
    degrees: Floats
    units: tuple[Unit, ...]


def later_means(
    series: ArrayLike,
    rounds: int,
    *,
    dependent: NDArray[np.bool_],
    visits: Visits | None = None,
    confidence: float = 0.95,
    within: Within = ANYTHING,
) -> LaterMeans:
    """Return between which limits the mean of so many later rounds of each series will lie, if they are like those at hand.

    mean +- t se, with se^2 = v (1 + R/n): v is the variance of the mean of the R rounds at hand, and v R/n that of the mean of n later
    ones (Hahn and Meeker, *Statistical Intervals*, section 4.7). Where rounds depend on each other, v and its degrees of freedom are those
    of the long run (`long_run.long_run_spreads`), else s^2/R and R - 1.

    Parameters
    ----------
    series : [M, R]
        one value per round, in order.
    rounds
        how many later rounds, at least 1.
    dependent : [M]
        in which series rounds depend on each other, see `long_run.depend`.
    visits : [R]
        number of each round's visit; None where there are none.
    confidence
        as a fraction.
    within
        the least and the greatest value possible, to which limits are clipped.

    Examples
    --------
    >>> found = later_means([[1.0, 2.0, 3.0]], 3, dependent=np.array([False]))
    >>> found.low.round(2), found.high.round(2)
    (array([-1.51]), array([5.51]))
    """
    values = np.asarray(series, dtype=np.float64)
    count = values.shape[1]
    spreads = long_run_spreads(values, visits, dependent)
    variance = np.where(constant(values), math.nan, [spread.variance for spread in spreads])
    degrees, units = np.array([float(spread.degrees) for spread in spreads]), tuple(spread.unit for spread in spreads)
    return _limits(values.mean(axis=1), variance, degrees, units, 1 + count / rounds, confidence, within)


def later_means_of_independent(
    mean: Floats, variance: Floats, fitted: int, rounds: int, confidence: float = 0.95, within: Within = ANYTHING
) -> LaterMeans:
    """Return the same where every sample of a round goes its own way, as `later_means` does where the rounds themselves tell.

    Parameters
    ----------
    mean, variance : [M]
        of one round, from the samples' own distributions; 0 where no sample varies.
    fitted
        how many rounds these come from.
    """
    unit: Unit = "rounds"
    known = np.where(variance > 0, variance / fitted, math.nan)
    return _limits(mean, known, np.full(len(mean), fitted - 1.0), (unit,) * len(mean), 1 + fitted / rounds, confidence, within)


def _limits(
    mean: Floats, variance: Floats, degrees: Floats, units: tuple[Unit, ...], more: float, confidence: float, within: Within
) -> LaterMeans:
    check_confidence(confidence)
    half = t_quantile((1 + confidence) / 2, degrees) * np.sqrt(variance * more)
    return LaterMeans(np.maximum(mean - half, within[0]), np.minimum(mean + half, within[1]), degrees, units)
