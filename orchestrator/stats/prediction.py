from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.density import Floats
from orchestrator.stats.later_mean import ANYTHING, LaterMeans, Within, later_means, later_means_of_independent
from orchestrator.stats.long_run import Visits, depend_by_quality_or_time, enough
from orchestrator.stats.per_sample import EmpiricalTimes, SmoothedTimes, Source, per_sample_times
from orchestrator.stats.poisson_binomial import binomial_sum_pmf, poisson_binomial_pmf
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.times import Times

Curve: TypeAlias = Callable[[ArrayLike, ArrayLike], Floats]
"""Tail quality [M, R] of times [R, S] at time bounds [M], both in ns."""
Method: TypeAlias = Literal["block-bootstrap", "monte-carlo", "poisson-binomial"]

DRAWS = 4000
"""Rounds drawn by Monte Carlo: of 30 rounds the median minimum is a 2.3 % quantile, so that 91 draws lie below it."""
TIMES_AT_ONCE = 2**21
ROUNDING = 1e-9


class Figures(NamedTuple):
    """What is predicted, or observed, of tail quality at one threshold: mean, variance of one round, minimum of several."""

    mean: float
    variance: float
    minimum: float

    def difference(self, other: Figures) -> Figures:
        """Return how far apart two sets of figures are, as absolute values."""
        return Figures(*(abs(mine - its) for mine, its in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Prediction:
    """Tail quality to be expected of rounds that are like those observed.

    mean, variance : [M]
        of the quality of one round at each threshold; the variance is NaN from a single observed round.
    minimum : [M]
        the worst quality among ``rounds`` rounds, its median.
    later
        95 % intervals of the mean of ``rounds`` rounds.
    method
        ``block-bootstrap`` keeps the samples of a round together; the others take every sample as independent.
    per_sample
        how each sample's own distribution was found; None for the block bootstrap, which needs none.
    rounds
        how many rounds the minimum and the intervals are of.
    draws
        number of rounds drawn; None where the law is known exactly.
    """

    mean: Floats
    variance: Floats
    minimum: Floats
    later: LaterMeans
    method: Method
    per_sample: Source | None
    rounds: int
    draws: int | None = None

    def at(self, index: int) -> Figures:
        """Return the figures at the threshold of that index."""
        return Figures(float(self.mean[index]), float(self.variance[index]), float(self.minimum[index]))


@dataclass(frozen=True)
class Fitted:
    """Rounds that several methods look at at the same time bounds, with what these take of them, each found once.

    scores, times, thresholds
        as in `predict_quality`, checked.
    """

    scores: Floats
    times: Times
    thresholds: Floats

    @cached_property
    def quality(self) -> Floats:
        """Tail quality of each round, [M, R]."""
        return quality_curve(self.scores, self.times, self.thresholds)

    @cached_property
    def on_time(self) -> Floats:
        """Share of rounds in which each sample was on time, [M, S]."""
        return EmpiricalTimes(self.times).on_time(self.thresholds)


def predict_quality(
    scores: ArrayLike,
    times: ArrayLike,
    thresholds: ArrayLike,
    *,
    rounds: int,
    random: np.random.Generator,
    method: Method = "block-bootstrap",
    draws: int = DRAWS,
    smooth_from: int | None = None,
    visits: Visits | None = None,
    fitted: Fitted | None = None,
) -> Prediction:
    """Predict tail quality of a metric that is a mean over samples (Yang et al., arXiv 2212.13925v3).

    See `predict_from_curve` for the block bootstrap and Monte Carlo. ``poisson-binomial`` is the exact law of independence for
    scores of 0 and 1: the number of right answers on time is a sum of independent events, each with the sample's own
    probability to be on time; its quantiles, and so the minimum, come from no draw.

    Parameters
    ----------
    scores : [S]
        score of each sample when it is on time, finite and not negative.
    times : [R, S]
        times in ns, +inf for samples without one.
    thresholds : [M]
        time bounds in ns, chosen without these rounds or frozen.
    rounds
        how many rounds the minimum is to be of.
    random
        source of the draws of ``monte-carlo``; the other methods take none.
    draws
        number of rounds ``monte-carlo`` draws.
    smooth_from
        number of observed rounds from which on a sample's distribution is a kernel density; None: never, which predicts better
        (see `per_sample.per_sample_times`).
    visits : [R]
        number of each round's visit, for ``block-bootstrap``; None where there are none.
    fitted
        the same scores, times and thresholds, where several methods share what they take of them.

    Raises
    ------
    InputError
        if there are no rounds or samples, a time, score, threshold or parameter is out of range, or ``poisson-binomial`` is asked
        of scores other than 0 and 1.

    Examples
    --------
    >>> times = [[10, 10], [10, 30], [30, 30], [10, 10]]
    >>> found = predict_quality([1, 1], times, [20], rounds=4, random=np.random.default_rng(0))
    >>> found.mean, found.minimum
    (array([0.625]), array([0.]))
    """
    score = np.asarray(scores, dtype=np.float64)
    if method == "poisson-binomial":
        return _exact_independence(score, times, thresholds, rounds, smooth_from, fitted)
    predict = partial(predict_from_curve, partial(quality_curve, scores), times, thresholds, rounds=rounds, random=random, method=method)
    within = (0.0, float(score.mean()) if score.size else 0.0)
    known = fitted.quality if fitted is not None and method == "block-bootstrap" else None
    return predict(draws=draws, smooth_from=smooth_from, visits=visits, within=within, known=known)


def predict_from_curve(
    curve: Curve,
    times: ArrayLike,
    thresholds: ArrayLike,
    *,
    rounds: int,
    random: np.random.Generator,
    method: Method = "block-bootstrap",
    draws: int = DRAWS,
    smooth_from: int | None = None,
    visits: Visits | None = None,
    within: Within = ANYTHING,
    known: Floats | None = None,
) -> Prediction:
    """Predict tail quality of any metric (Yang et al., arXiv 2212.13925v3).

    ``block-bootstrap`` draws whole rounds with replacement. A drawn round has the quality of an observed one, so that the law of
    infinitely many resamples is known without drawing: the mean of the observed qualities, their variance, and as median minimum
    of n rounds the smallest q with P(Q <= q) >= 1 - 2^(-1/n) (an order statistic; nothing worse than the worst round is ever
    predicted). With at least 12 visits whole visits are drawn, and the minimum is that of as many as hold n rounds; intervals are
    widened where the rounds' qualities or median times depend on each other. ``monte-carlo`` draws every sample's time from that
    sample's own distribution, whatever the others take.

    Variances of both are multiplied by R / (R - 1), which makes them unbiased: R rounds spread less around their own mean than
    around the true one. (For metrics that are no mean, Monte Carlo's is so in first order; where kernel densities stand for the
    samples, nothing is multiplied.)

    Parameters
    ----------
    curve
        tail quality [M, R] of times [R, S] in ns at time bounds [M] in ns.
    within
        the least and the greatest quality possible, to which intervals are clipped.
    known : [M, R]
        tail quality of these rounds, for ``block-bootstrap``, if that is known already.

    The others, and the errors, are those of `predict_quality`.

    Examples
    --------
    >>> slowest_half = lambda times, thresholds: (np.median(times, axis=1) <= np.asarray(thresholds)[:, None]).astype(float)
    >>> times = [[10, 10, 30], [10, 30, 30], [10, 10, 10]]
    >>> predict_from_curve(slowest_half, times, [20], rounds=30, random=np.random.default_rng(0)).minimum
    array([0.])
    """
    _check(rounds, draws)
    observed = per_sample_times(times, smooth_from)
    if method == "block-bootstrap":
        qualities = curve(observed.times, thresholds) if known is None else known
        figures = figures_of(qualities, rounds, visits)
        dependent = depend_by_quality_or_time(qualities, np.log(np.median(observed.times, axis=1)), visits)
        later = later_means(qualities, rounds, dependent=dependent, visits=visits, within=within)
        return Prediction(*figures, later, method, None, rounds)
    if method != "monte-carlo":
        raise InputError(f"prediction method {method!r}: must be block-bootstrap or monte-carlo for a metric that is no mean of 0 and 1")
    step = max(1, TIMES_AT_ONCE // max(1, observed.times.shape[1]))
    parts = [curve(observed.draw(random, min(step, draws - done)), thresholds) for done in range(0, draws, step)]
    mean, variance, minimum = figures_of(np.concatenate(parts, axis=1), rounds)
    unbiased = variance * _for_own_mean(observed)
    later = later_means_of_independent(mean, unbiased, len(observed.times), rounds, within=within)
    return Prediction(mean, unbiased, minimum, later, method, observed.source, rounds, draws)


def variance_ratio(scores: ArrayLike, times: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Return by how much quality varies more between rounds than it would if every sample went its own way.

    var(Q_r) / ((1/S^2) sum of s_i^2 var([t_ri <= theta])), both variances over the observed rounds with divisor R - 1: about 1
    if samples are independent, far above if whole rounds are slow. The samples' distributions are empirical, whatever the number
    of rounds, since a kernel density would add to the variance below.

    Parameters
    ----------
    scores : [S]
        score of each sample when it is on time, finite and not negative.
    times : [R, S]
        times in ns, +inf for samples without one.
    thresholds : [M]
        time bounds in ns.

    Returns
    -------
    [M] ratios; NaN where no sample varies, so that independence knows no variance, and for a single round. Errors are those of
    `predict_quality`.

    Examples
    --------
    >>> variance_ratio([1, 1], [[10, 10], [30, 30]], [5, 20])
    array([nan,  2.])
    """
    checked = per_sample_times(times).times
    return variance_ratio_of(Fitted(np.asarray(scores, dtype=np.float64), checked, np.asarray(thresholds)))


def variance_ratio_of(fitted: Fitted) -> Floats:
    """Return what `variance_ratio` does."""
    observed = figures_of(fitted.quality, 1)[1]
    _, independent = _independent_moments(fitted.scores, fitted.on_time)
    return _ratio(observed, independent * _unbiased(len(fitted.times)))


def _exact_independence(
    scores: Floats, times: ArrayLike, thresholds: ArrayLike, rounds: int, smooth_from: int | None, fitted: Fitted | None
) -> Prediction:
    """Return the Poisson-binomial prediction of scores of 0 and 1."""
    _check(rounds, DRAWS)
    observed = per_sample_times(times, smooth_from)
    quality_curve(scores, observed.times[:1], thresholds)  # refuses scores and thresholds that are none
    if not np.isin(scores, (0, 1)).all():
        raise InputError("a Poisson-binomial prediction needs scores of 0 and 1; choose monte-carlo for others")
    on_time = fitted.on_time if fitted is not None and smooth_from is None else observed.on_time(thresholds)
    mean, variance = _independent_moments(scores, on_time)
    laws = _laws_of_counts(on_time[:, scores == 1], observed)
    fewest = (np.cumsum(laws, axis=1) >= _level_of_median_minimum(rounds)).argmax(axis=1)
    unbiased = variance * _for_own_mean(observed)
    later = later_means_of_independent(mean, unbiased, len(observed.times), rounds, within=(0.0, float(scores.mean())))
    return Prediction(mean, unbiased, fewest / scores.size, later, "poisson-binomial", observed.source, rounds)


def _laws_of_counts(on_time: Floats, observed: EmpiricalTimes | SmoothedTimes) -> Floats:
    """Return the probability of 0 to n samples on time, [M, n + 1], from the probability of each, [M, n]."""
    if isinstance(observed, SmoothedTimes):
        return poisson_binomial_pmf(on_time)
    trials = len(observed.times)
    shares = np.arange(trials + 1) / trials
    hits = np.rint(on_time * trials).astype(np.int64)
    laws = [binomial_sum_pmf(shares, np.bincount(row, minlength=trials + 1)) for row in hits]
    return np.array(laws).reshape(len(hits), on_time.shape[1] + 1)


def _independent_moments(scores: Floats, on_time: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of quality, [M] each, where samples are on time independently with probabilities [M, S]."""
    return on_time @ scores / scores.size, (on_time * (1 - on_time)) @ scores**2 / scores.size**2


def _for_own_mean(observed: EmpiricalTimes | SmoothedTimes) -> float:
    """Return what makes a variance around the observed rounds' own mean unbiased; a kernel density's is left as it is."""
    return _unbiased(len(observed.times)) if isinstance(observed, EmpiricalTimes) else 1.0


def _unbiased(count: int) -> float:
    return count / (count - 1) if count > 1 else math.nan


def figures_of(curve: Floats, rounds: int, visits: Visits | None = None) -> tuple[Floats, Floats, Floats]:
    """Return mean, variance and median minimum of so many rounds, [M] each, of qualities [M, R] that are equally likely.

    With at least 12 ``visits``, [R], the minimum is that of as many whole visits as hold so many rounds.
    """
    if not np.isfinite(curve).all():
        raise InputError("a prediction from qualities that are not finite: every round needs a number at every threshold")
    ordered = np.sort(curve, axis=1)
    count = ordered.shape[1]
    worst, drawn = ordered, float(rounds)
    if enough(visits):
        starts = np.unique(visits, return_index=True)[1]
        worst, drawn = np.sort(np.minimum.reduceat(curve, starts, axis=1), axis=1), rounds * starts.size / count
    rank = max(1, math.ceil(worst.shape[1] * _level_of_median_minimum(drawn)))
    spreads = ordered[:, 0] < ordered[:, -1]  # equal qualities vary by rounding alone
    variance = np.where(spreads, ordered.var(axis=1), 0.0) * _unbiased(count)
    return ordered.mean(axis=1), variance, worst[:, rank - 1]


def _level_of_median_minimum(rounds: float) -> float:
    """Return the level of the quantile of one round that is the median of the minimum of several: 1 - 2^(-1/n), rounded down."""
    return -math.expm1(-math.log(2) / rounds) * (1 - ROUNDING)


def _ratio(observed: Floats, independent: Floats) -> Floats:
    ratio: Floats = np.divide(observed, independent, out=np.full(observed.shape, math.nan), where=independent > 0)
    return ratio


def _check(rounds: int, draws: int) -> None:
    if rounds < 1:
        raise InputError(f"minimum of {rounds} rounds: at least one round is needed")
    if draws < 2:
        raise InputError(f"draws={draws}: a variance takes at least 2")
