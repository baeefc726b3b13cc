"""Tail quality to be expected of rounds that are like those observed."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.density import Floats
from orchestrator.stats.poisson_binomial import poisson_binomial_pmf, weighted_sum_pmf
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.units import Units, enough_units, spread, t_quantile, units_of

Method: TypeAlias = Literal["block-bootstrap", "poisson-binomial"]

ANYTHING = (-math.inf, math.inf)
"""Where nothing bounds a quality."""
ROUNDING = 1e-9


class Figures(NamedTuple):
    """Mean, variance of one round, and minimum of several, of tail quality at each threshold, [M] each."""

    mean: Floats
    variance: Floats
    minimum: Floats

    def difference(self, other: Figures) -> Figures:
        """Return how far apart two sets of figures are, as absolute values."""
        return Figures(*(np.abs(mine - its) for mine, its in zip(self, other, strict=True)))


class Prediction(NamedTuple):
    """Tail quality to be expected of rounds that are like those observed.

    mean, variance, minimum : [M]
        of one round, unbiased, and the median of the worst of the rounds to come.
    low, high : [M]
        95 % limits of their mean; NaN where the rounds at hand do not vary, and so do not say by how much others will.
    degrees, units
        of freedom of the limits, and how many units they come from.
    """

    mean: Floats
    variance: Floats
    minimum: Floats
    low: Floats
    high: Floats
    degrees: int
    units: int

    @property
    def figures(self) -> Figures:
        """What is compared with the rounds that came."""
        return Figures(self.mean, self.variance, self.minimum)


def predict_quality(
    scores: ArrayLike,
    times: ArrayLike,
    thresholds: ArrayLike,
    *,
    rounds: int,
    method: Method = "block-bootstrap",
    units: Units | None = None,
) -> Prediction:
    """Predict tail quality of a metric that is a mean over samples (Yang et al., arXiv 2212.13925v3).

    ``block-bootstrap`` takes whole rounds, see `predict_rounds`; ``poisson-binomial`` takes every sample as independent, see
    `predict_independent`.

    Parameters
    ----------
    scores : [S]
        score of each sample when it is on time, finite and not negative.
    times : [R, S]
        times in ns, +inf for samples without one.
    thresholds : [M]
        time bounds in ns, chosen without these rounds or frozen.
    rounds
        how many rounds the minimum and the limits are of.
    units : [R]
        unit of each round, for ``block-bootstrap``.

    Examples
    --------
    >>> times = [[10, 10], [10, 30], [30, 30], [10, 10]]
    >>> found = predict_quality([1, 1], times, [20], rounds=4)
    >>> found.mean, found.minimum
    (array([0.625]), array([0.]))
    """
    score = np.asarray(scores, dtype=np.float64)
    qualities = quality_curve(score, times, thresholds)
    if method == "block-bootstrap":
        return predict_rounds(qualities, rounds, units, (0.0, float(score.mean())))
    if method != "poisson-binomial":
        raise InputError(f"prediction method {method!r}: must be block-bootstrap or poisson-binomial")
    return predict_independent(score, shares_on_time(times, thresholds), qualities.shape[1], rounds)


def predict_rounds(qualities: Floats, rounds: int, units: Units | None = None, within: tuple[float, float] = ANYTHING) -> Prediction:
    """Predict from whole rounds, [M, R], each as likely as the others, so that samples of a round stay together.

    The law of infinitely many resamples is known without drawing, see `figures_of`. The mean of n rounds lies within
    mean +- t_nu sqrt(v (1 + R/n)), v being the variance of the mean of the R rounds at hand (`units.spread`) and v R/n that of n
    rounds to come (Hahn and Meeker, *Statistical Intervals*, section 4.7), clipped to what is possible.
    """
    figures, count = figures_of(qualities, rounds, units), qualities.shape[1]
    found = spread(qualities, units_of(count, units))
    return _with_limits(figures, found.variance, found.degrees, found.units, 1 + count / rounds, within)


def predict_independent(scores: Floats, on_time: Floats, fitted: int, rounds: int) -> Prediction:
    """Predict from samples that are on time independently of each other, with the shares [M, S] of the fitted rounds.

    The (generalised) Poisson-binomial law: mean and variance in closed form, the minimum from the law itself.
    """
    _check(rounds)
    mean, variance = _independent_moments(scores, on_time)
    if np.isin(scores, (0, 1)).all():
        laws = [(law, 1.0) for law in poisson_binomial_pmf(on_time[:, scores == 1])]
    else:
        laws = [weighted_sum_pmf(shares, scores) for shares in on_time]
    level = _level_of_median_minimum(rounds)
    minimum = np.array([float((np.cumsum(law) >= level).argmax()) * step for law, step in laws]) / scores.size
    figures, within = Figures(mean, variance * _unbiased(fitted), minimum), (0.0, float(scores.mean()))
    return _with_limits(figures, figures.variance / fitted, fitted - 1, fitted, 1 + fitted / rounds, within)


def _with_limits(figures: Figures, variance: Floats, degrees: int, units: int, more: float, within: tuple[float, float]) -> Prediction:
    half = t_quantile((1 + CONFIDENCE) / 2, degrees) * np.sqrt(np.where(variance > 0, variance, math.nan) * more)
    low, high = np.maximum(figures.mean - half, within[0]), np.minimum(figures.mean + half, within[1])
    return Prediction(*figures, low, high, degrees, units)


def figures_of(qualities: Floats, rounds: int, units: Units | None = None) -> Figures:
    """Return mean, unbiased variance and median minimum of n rounds, [M] each, of qualities [M, R] that are equally likely.

    The minimum is the smallest q with P(Q <= q) >= 1 - 2^(-1/n): an order statistic, nothing worse than the worst round is ever
    predicted. With at least 12 units it is that of as many whole units as hold n rounds.
    """
    _check(rounds)
    if not np.isfinite(qualities).all():
        raise InputError("a prediction from qualities that are not finite: every round needs a number at every threshold")
    count = qualities.shape[1]
    worst, drawn = qualities, float(rounds)
    if units is not None and enough_units(units):
        starts = np.unique(units, return_index=True)[1]
        worst, drawn = np.minimum.reduceat(qualities, starts, axis=1), rounds * starts.size / count
    rank = max(1, math.ceil(worst.shape[1] * _level_of_median_minimum(drawn)))
    ordered = np.sort(qualities, axis=1)
    # Equal qualities vary by rounding alone.
    variance = np.where(ordered[:, 0] < ordered[:, -1], ordered.var(axis=1), 0.0) * _unbiased(count)
    return Figures(ordered.mean(axis=1), variance, np.sort(worst, axis=1)[:, rank - 1])


def shares_on_time(times: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Return the share of rounds in which each sample was on time, [M, S], from times [R, S] at time bounds [M] in ns."""
    of_samples = np.asarray(times).T
    return quality_curve(np.ones(of_samples.shape[1]), of_samples, thresholds)


def variance_ratio(scores: ArrayLike, times: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Return by how much quality varies more between rounds than if every sample went its own way, [M].

    var(Q_r) / ((1/S^2) sum of s_i^2 var([t_ri <= theta])), both with divisor R - 1: about 1 if samples are independent, far above
    if whole rounds are slow; NaN where no sample varies.

    Examples
    --------
    >>> variance_ratio([1, 1], [[10, 10], [30, 30]], [5, 20])
    array([nan,  2.])
    """
    score = np.asarray(scores, dtype=np.float64)
    return ratio_of_variances(score, quality_curve(score, times, thresholds), shares_on_time(times, thresholds))


def ratio_of_variances(scores: Floats, qualities: Floats, on_time: Floats) -> Floats:
    """Return what `variance_ratio` does, from qualities [M, R] and shares on time [M, S]."""
    observed = figures_of(qualities, 1).variance
    independent = _independent_moments(scores, on_time)[1] * _unbiased(qualities.shape[1])
    ratio: Floats = np.divide(observed, independent, out=np.full(observed.shape, math.nan), where=independent > 0)
    return ratio


def _independent_moments(scores: Floats, on_time: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of quality, [M] each, where samples are on time independently with probabilities [M, S]."""
    return on_time @ scores / scores.size, (on_time * (1 - on_time)) @ scores**2 / scores.size**2


def _unbiased(count: int) -> float:
    """Return what makes a variance around the observed rounds' own mean unbiased."""
    return count / (count - 1) if count > 1 else math.nan


def _level_of_median_minimum(rounds: float) -> float:
    """Return the level of the quantile of one round that is the median of the minimum of several, rounded down."""
    return -math.expm1(-math.log(2) / rounds) * (1 - ROUNDING)


def _check(rounds: int) -> None:
    if rounds < 1:
        raise InputError(f"minimum of {rounds} rounds: at least one round is needed")
