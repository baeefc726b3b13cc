"""Tail quality to be expected of rounds like those observed, and what later rounds showed."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.density import Floats
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.tail_quality import Curve, quality_curve
from orchestrator.stats.times import Times
from orchestrator.stats.units import Units, enough_units, spread, t_quantile, units_of

ANYTHING = (-math.inf, math.inf)  # Where nothing bounds a quality.
ROUNDING = 1e-9
# Points of the law of a weighted sum, and least steps of its largest weight: a multiple of 60, so
# that few right answers of one batch lie on the lattice.
LATTICE, FEWEST_LEVELS = 2**15, 60


class Compared(NamedTuple):
    """Quality of rounds that predict (``fit``) and of those predicted, at their percentiles.

    bounds, own_bounds : [M]
        the percentiles of the fitted and of the predicted rounds' times.
    fit, frozen, own : [M, n], [M, m], [M, m]
        of each round: fitted and predicted at ``bounds``, and predicted at ``own_bounds``.
        The paper compares with the latter: an own percentile fixes the share of samples on time, so
        that the mean agrees by construction, however much slower the predicted rounds are.
    """

    percentiles: Floats
    bounds: Floats
    own_bounds: Floats
    fit: Floats
    frozen: Floats
    own: Floats


def compare(
    curves: Sequence[Curve],
    parts: Sequence[Times],
    percentiles: Sequence[float],
    pooled: Sequence[Times] | None = None,
    *,
    as_in_program: bool = False,
) -> Compared:
    """Compare rounds that predict with those predicted, at each percentile that has a finite time.

    Of both there are curves, times, [R, S], and, where samples share some, one time per inference,
    [R, B]. With ``as_in_program`` percentiles are linear, and what takes exactly that long is late,
    as in ``calculate_stats.py`` of the paper's program.
    """
    sides = parts if pooled is None else pooled
    if as_in_program:
        both = np.array([np.percentile(side, percentiles) for side in sides])
    else:
        both = np.array([percentiles_inverted_cdf(side, percentiles) for side in sides])
    finite = np.isfinite(both[0])
    bounds, own_bounds = both[:, finite]
    at, own_at = np.nextafter(both[:, finite], 0) if as_in_program else (bounds, own_bounds)
    qualities = (curves[0](parts[0], at), curves[1](parts[1], at), curves[1](parts[1], own_at))
    return Compared(np.array(percentiles)[finite], bounds, own_bounds, *qualities)


class Figures(NamedTuple):
    """Mean, variance of one round, and minimum of several, of quality at each threshold, [M]."""

    mean: Floats
    variance: Floats
    minimum: Floats

    @classmethod
    def of(cls, qualities: Floats) -> Self:
        """Return those of qualities, [M, R], as they are; the variance is divided by R."""
        return cls(qualities.mean(axis=-1), qualities.var(axis=-1), qualities.min(axis=-1))

    def difference(self, other: Self) -> Self:
        """Return how far apart two sets of figures are, as absolute values."""
        return type(self)(*(np.abs(mine - its) for mine, its in zip(self, other, strict=True)))


class Prediction(NamedTuple):
    """Tail quality to be expected, of one round: unbiased, and the median of the worst to come.

    low, high : [M]
        95 % limits of the mean of the rounds to come; NaN where the rounds at hand do not vary.
    degrees
        of freedom of the limits.
    """

    figures: Figures
    low: Floats
    high: Floats
    degrees: int


def predict_rounds(
    qualities: Floats,
    rounds: int,
    units: Units | None = None,
    within: tuple[float, float] = ANYTHING,
) -> Prediction:
    """Predict from whole rounds, [M, R], each as likely as the others.

    So samples of a round stay together. The law of infinitely many resamples is known without
    drawing, see `figures_of`. The mean of n rounds lies within mean +- t_nu sqrt(v (1 + R/n)), v
    being the variance of the mean of the R rounds at hand (`units.spread`) and v R/n that of n
    rounds to come (Hahn and Meeker, *Statistical Intervals*, section 4.7), clipped to ``within``.
    """
    count = qualities.shape[1]
    variance, degrees, _ = spread(qualities, units_of(count, units))
    return _with_limits(
        figures_of(qualities, rounds, units), variance * (1 + count / rounds), degrees, within
    )


def predict_independent(scores: Floats, on_time: Floats, fitted: int, rounds: int) -> Prediction:
    """Predict from samples that are on time independently, with shares [M, S] of the fitted rounds.

    The (generalised) Poisson-binomial law: mean and variance in closed form, the minimum from the
    law itself.
    """
    mean, variance = _independent_moments(scores, on_time)
    if np.isin(scores, (0, 1)).all():
        laws = [(law, 1.0) for law in poisson_binomial_pmf(on_time[:, scores == 1])]
    else:
        laws = [weighted_sum_pmf(shares, scores) for shares in on_time]
    level = _level_of_median_minimum(rounds)
    minimum = [float((np.cumsum(law) >= level).argmax()) * step / scores.size for law, step in laws]
    figures = Figures(mean, variance * _unbiased(fitted), np.array(minimum))
    of_mean = figures.variance * (1 / fitted + 1 / rounds)
    return _with_limits(figures, of_mean, fitted - 1, (0.0, float(scores.mean())))


def _with_limits(
    figures: Figures, variance: Floats, degrees: int, within: tuple[float, float]
) -> Prediction:
    sd = np.sqrt(np.where(variance > 0, variance, math.nan))
    half = t_quantile((1 + CONFIDENCE) / 2, degrees) * sd
    low, high = (
        np.maximum(figures.mean - half, within[0]),
        np.minimum(figures.mean + half, within[1]),
    )
    return Prediction(figures, low, high, degrees)


def figures_of(qualities: Floats, rounds: int, units: Units | None = None) -> Figures:
    """Return mean, unbiased variance and median minimum of n rounds that are equally likely, [M].

    The minimum is the smallest q of the qualities, [M, R], with P(Q <= q) >= 1 - 2^(-1/n): an order
    statistic, nothing worse than the worst round is ever predicted. With at least 12 units it is
    that of as many whole units as hold n rounds.
    """
    if not np.isfinite(qualities).all():
        raise InputError("a prediction from qualities that are not finite: each must be a number")
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
    """Return the share of rounds in which each sample is on time, [M, S], of times [R, S]."""
    of_samples = np.asarray(times).T
    return quality_curve(np.ones(of_samples.shape[1]), of_samples, thresholds)


def ratio_of_variances(scores: Floats, qualities: Floats, on_time: Floats) -> Floats:
    """Return by how much quality varies more between rounds than if samples were independent, [M].

    var(Q_r) / ((1/S^2) sum of s_i^2 var([t_ri <= theta])), both with divisor R - 1, from qualities
    [M, R] and shares on time [M, S]: about 1 if samples are independent, far above if whole rounds
    are slow; NaN where no sample varies.
    """
    observed = figures_of(qualities, 1).variance
    independent = _independent_moments(scores, on_time)[1] * _unbiased(qualities.shape[1])
    unknown = np.full(observed.shape, math.nan)
    return np.asarray(np.divide(observed, independent, out=unknown, where=independent > 0))


def _independent_moments(scores: Floats, on_time: Floats) -> tuple[Floats, Floats]:
    variance = (on_time * (1 - on_time)) @ scores**2 / scores.size**2
    return on_time @ scores / scores.size, variance


# What makes a variance around the observed rounds' own mean unbiased.
def _unbiased(count: int) -> float:
    return count / (count - 1) if count > 1 else math.nan


def _level_of_median_minimum(rounds: float) -> float:
    """Return the level of one round that is the median of the minimum of several, rounded down."""
    return -math.expm1(-math.log(2) / rounds) * (1 - ROUNDING)


def poisson_binomial_pmf(chances: Floats) -> Floats:
    """Return the law of how many of n independent events happen: [M, n + 1] of chances [M, n].

    Events are joined in pairs, and these in pairs again, by fast Fourier transforms (Biscarri, Zhao
    and Brunner, "A simple and fast method for computing the Poisson binomial distribution
    function", Computational Statistics and Data Analysis 122, 2018). Masses are right
    to about n x 1e-16, not in relation to their own size.

    Examples
    --------
    >>> np.abs(poisson_binomial_pmf(np.array([[0.5, 0.5], [0.0, 1.0]])).round(9))
    array([[0.25, 0.5 , 0.25],
           [0.  , 1.  , 0.  ]])
    """
    events = np.stack([1 - chances, chances], axis=-1)
    return _summed(events)[:, : chances.shape[1] + 1]


def weighted_sum_pmf(chances: Floats, weights: Floats) -> tuple[Floats, float]:
    """Return the law of the sum of the weights of events that happen, on a lattice, and its step.

    The generalised Poisson-binomial law (Zhang, Hong, Balakrishnan, Journal of Statistical
    Computation and Simulation 88, 2018), from 0. A weight between two points is shared between
    them, so that the mean is exact.

    Examples
    --------
    >>> law, step = weighted_sum_pmf(np.array([0.5, 0.5]), np.array([1.0, 2.0]))
    >>> places = np.flatnonzero(law > 1e-9)
    >>> (places * step).round(9).tolist(), law[places].round(9).tolist()
    ([0.0, 1.0, 2.0, 3.0], [0.25, 0.25, 0.25, 0.25])
    """
    events = np.arange(weights.size)
    levels = max(1, LATTICE // (FEWEST_LEVELS * weights.size)) * FEWEST_LEVELS
    step = float(weights.max()) / levels or 1.0
    place = np.floor(weights / step).astype(np.int64)
    beyond = chances * (weights / step - place)
    laws = np.zeros((1, weights.size, levels + 2))
    laws[0, :, 0] = 1 - chances
    laws[0, events, place] += chances - beyond
    laws[0, events, place + 1] += beyond
    return _summed(laws)[0], step


def _summed(laws: Floats) -> Floats:
    """Return the laws of sums of independent counts, [m, counts, size]."""
    # As many as a power of two: the others are always 0.
    more = (1 << max(laws.shape[1] - 1, 0).bit_length()) - laws.shape[1]
    laws = np.pad(laws, ((0, 0), (0, more), (0, 0)))
    laws[:, laws.shape[1] - more :, 0] = 1
    while laws.shape[1] > 1:
        length = 2 * laws.shape[2] - 1
        size = scipy.fft.next_fast_len(length, real=True)
        product = scipy.fft.rfft(laws[:, 0::2], size) * scipy.fft.rfft(laws[:, 1::2], size)
        laws = np.maximum(scipy.fft.irfft(product, size)[..., :length], 0)  # what is left below 0
        laws /= laws.sum(axis=-1, keepdims=True)
    return np.asarray(laws[:, 0] / laws[:, 0].sum(axis=-1, keepdims=True))
