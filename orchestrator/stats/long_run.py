"""Rounds that depend on each other: how well their mean is known as that of rounds to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, TypeGuard

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.laws import ranks, t_sf
from orchestrator.stats.neighbours import moments_of_products, scores_by_three_moments

Floats: TypeAlias = NDArray[np.float64]
Visits: TypeAlias = NDArray[np.integer]
"""Number of the visit that each round belongs to, [R], never falling."""
Unit: TypeAlias = Literal["rounds", "visits", "cosines"]

COSINES = 3
"""How many low frequencies the long-run variance is taken from, which is its degrees of freedom."""
MIN_VISITS = 12
"""From so many visits on a visit is the unit; of fewer, rounds are, and their long-run variance."""
ALIKE_VISITS = 0.3
"""Level of the test whether neighbouring visits resemble each other, where rounds do: where it is missed an interval is too narrow."""
COSINES_OF_VISITS = 2
"""How many low frequencies of the visits' means the variance is then taken from."""
LEVEL = 0.02
"""Of each of the two tests for dependence. Independent rounds fail one in 4 % of trials, and then have a wider interval."""
WIDENS_FROM, WIDENS_TO = 1.8, 2.6
"""Between these normal scores of likeness an interval goes from that of independent rounds to that of dependent ones (ADR 092)."""
FREQUENCIES = 8
"""How many low frequencies tell by how much a share of rounds varies more, and the drift of a series, which the first of them holds."""
CONSTANT = 1e-12


@dataclass(frozen=True)
class Spread:
    """How well the mean of a series is known.

    variance, degrees
        of the mean, and the degrees of freedom of that variance.
    unit
        what was taken as independent: rounds, visits, or the cosines of low frequencies.
    """

    variance: float
    degrees: float
    unit: Unit


def enough(visits: Visits | None) -> TypeGuard[Visits]:
    """Return whether there are visits enough, [R] numbers, to be the unit."""
    return visits is not None and np.unique(visits).size >= MIN_VISITS


def cosine_variance(series: ArrayLike, count: int = COSINES) -> Floats:
    """Return the long-run variance of each series, by equally weighted cosines.

    X_j = sqrt(2/R) sum over r = 1..R of Q_r cos(pi j (r - 1/2)/R), omega^2 = mean of X_j^2 over j = 1..count: the variance of a mean
    of R rounds is omega^2/R however near ones resemble each other, with ``count`` degrees of freedom (Lazarus, Lewis, Stock and
    Watson, "HAR inference: recommendations for practice", Journal of Business & Economic Statistics 36, 2018).

    Parameters
    ----------
    series : [M, R]
        one value per round, in order.
    count
        number of cosines, below R.

    Returns
    -------
    [M] variances, in the squared unit of the series; 0 for a constant one.

    Examples
    --------
    >>> cosine_variance([[1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]]).round(2)
    array([0.  , 0.47])
    """
    values = _checked(series)
    x = cosines(values, count)
    found: Floats = (x**2).mean(axis=1)
    found[constant(values)] = 0
    return found


def cosines(series: Floats, count: int) -> Floats:
    """Return X_1 to X_count of each series, [M, count]; see `cosine_variance`."""
    rounds = series.shape[1]
    if not 0 < count < rounds:
        raise InputError(f"{count} cosines of {rounds} rounds: there must be more rounds than cosines, and at least one cosine")
    basis = np.cos(np.pi * np.arange(1, count + 1)[:, None] * (np.arange(rounds) + 0.5) / rounds)
    centred = series - series.mean(axis=1, keepdims=True)
    found: Floats = np.sqrt(2 / rounds) * (centred @ basis.T)
    return found


def long_run_spreads(
    series: ArrayLike, visits: Visits | None = None, dependent: ArrayLike = True, alike: ArrayLike = False
) -> list[Spread]:
    """Return how well the long-run mean of each series is known.

    Where rounds do not depend on each other, s^2/R with R - 1 degrees of freedom. Where they do and there are at least 12 visits, these are
    the unit: variance of the mean with visits as clusters (of R rounds, m_v of them in visit v, whose mean is Q_v: V/(V-1) sum of
    (m_v (Q_v - Q))^2/R^2; Cochran, *Sampling Techniques*, section 9A.1). Its degrees of freedom are V/3: dependent rounds come in
    stretches, so that the means of visits are skewed (found by simulation, see docs/statistics.md). Where neighbouring visits resemble each
    other too (`depend` on their means at the level 0.3, or ``alike``), the variance is not below that of 2 cosines of the visits'
    means, and has 2 degrees of freedom. With fewer visits the variance is that of the rounds' cosines, where it is above that of
    independent rounds, with as many degrees of freedom as cosines.

    Parameters
    ----------
    series : [M, R]
        one value per round, in order.
    visits : [R]
        number of each round's visit, of visits that lie apart in time; None where there are none.
    dependent : [M], or one for all
        whether rounds depend on each other.
    alike : [M], or one for all
        whether times say that neighbouring visits resemble each other (`visits_alike`), whatever the series says.

    Examples
    --------
    >>> [found] = long_run_spreads([[0.0] * 6 + [1.0] * 6])
    >>> round(found.variance, 3), found.degrees, found.unit
    (0.076, 3, 'cosines')
    """
    values = _checked(series)
    rounds = values.shape[1]
    independent = _of_independent(values)
    apart = [Spread(each, max(rounds - 1, 1), "rounds") for each in independent.tolist()]
    widened = np.broadcast_to(dependent, len(values))
    if rounds <= COSINES or not widened.any():
        return apart
    unit: Unit = "visits" if enough(visits) else "cosines"
    if enough(visits):
        variance, degrees = _of_visits(values, visits, alike)
    else:
        variance, degrees = cosine_variance(values) / rounds, np.full(len(values), COSINES)
    together = map(Spread, np.maximum(variance, independent).tolist(), degrees.tolist(), [unit] * len(values))
    return [one if wide else other for one, other, wide in zip(together, apart, widened.tolist(), strict=True)]


def variance_ratios(series: ArrayLike, visits: Visits | None = None, reserve: float = 1.0) -> Floats:
    """Return how many rounds are worth one independent round, [M], for the mean of each series whose rounds depend on each other.

    Long-run variance over variance: with visits as clusters where there are at least 12. Where these resemble their neighbours too
    (`depend`, level 0.3), times what their means show as a series of their own. Without visits, and for those means: from 8 cosines (more
    than for a mean: what counts in a share are the few rounds of short stretches), and not below (1 + r)/(1 - r), which it is in an
    autoregressive process whose neighbours have the correlation r. 1 for a constant series, and of at most 8 rounds.

    Parameters
    ----------
    series : [M, R]
        one value per round, in order.
    visits : [R]
        as in `long_run_spreads`.
    reserve
        factor on what cosines show, of which there are few, so that every other figure is too low.

    Examples
    --------
    >>> variance_ratios([[1.0] * 20, [0.0] * 10 + [1.0] * 10]).round(1)
    array([ 1. , 12.3])
    """
    values = _checked(series)
    found = np.ones(len(values))
    varies = ~constant(values)
    if values.shape[1] <= FREQUENCIES:
        return found
    if enough(visits):
        means = means_of_visits(values[varies], visits)
        ratio = _of_clusters(values[varies], visits, means) / _of_independent(values[varies])
        alike = depend(means, level=ALIKE_VISITS)
        ratio[alike] *= np.maximum(_of_neighbours(means[alike], reserve), 1)
    else:
        ratio = _of_neighbours(values[varies], reserve)
    found[varies] = np.maximum(ratio, 1)
    return found


def _of_neighbours(values: Floats, reserve: float) -> Floats:
    """Return long-run variance over variance of series that vary, [M], by 8 cosines and the correlation of neighbours."""
    centred = values - values.mean(axis=1, keepdims=True)
    alike = (centred[:, :-1] * centred[:, 1:]).sum(axis=1) / (centred**2).sum(axis=1)
    of_cosines = cosine_variance(centred, FREQUENCIES) / centred.var(axis=1, ddof=1)
    found: Floats = reserve * np.maximum(of_cosines, (1 + alike) / (1 - alike))
    return found


def _of_independent(values: Floats) -> Floats:
    """Return the variance of the mean of independent rounds, [M]."""
    rounds = values.shape[1]
    found: Floats = values.var(axis=1, ddof=1) / rounds if rounds > 1 else np.zeros(len(values))
    found[constant(values)] = 0
    return found


def _of_visits(values: Floats, visits: Visits, by_times: ArrayLike) -> tuple[Floats, NDArray[np.integer]]:
    """Return the variance of the mean with visits as the unit, and its degrees of freedom, [M] each."""
    means = means_of_visits(values, visits)
    count = means.shape[1]
    alike = depend(means, level=ALIKE_VISITS) | np.asarray(by_times)
    variance, slow = _of_clusters(values, visits, means), cosine_variance(means, COSINES_OF_VISITS) / count
    return np.where(alike, np.maximum(variance, slow), variance), np.where(alike, COSINES_OF_VISITS, count // 3)


def _of_clusters(values: Floats, visits: Visits, means: Floats) -> Floats:
    """Return the variance of the mean with visits as clusters, whose means are given, [M]."""
    sizes = np.unique(visits, return_counts=True)[1]
    totals = sizes * (means - values.mean(axis=1, keepdims=True))
    found: Floats = sizes.size / (sizes.size - 1) * (totals**2).sum(axis=1) / values.shape[1] ** 2
    return found


def depend(series: ArrayLike, visits: Visits | None = None, level: float = LEVEL) -> NDArray[np.bool_]:
    """Return which series resemble their neighbours more than rounds in random order would.

    T = sum of c_r c_{r+1} of the centred series, the last round being the neighbour of the first; with at least 12 visits over neighbours
    of one visit alone. Its mean and variance over all orders of the same values are exact (Wald and Wolfowitz, Annals of Mathematical
    Statistics 14, 1943), its law is taken as normal, and only likeness counts: it is what makes an interval too narrow.

    Parameters
    ----------
    series : [M, R]
        one value per round, in order; ranks are taken of one with +inf.
    visits : [R]
        as in `long_run_spreads`.
    level
        of the one-sided test, as a fraction.

    Returns
    -------
    [M]; false for a constant series, or one of fewer than 3 rounds.

    Examples
    --------
    >>> depend([[1, 1, 1, 1, 1, 9, 9, 9, 9, 9], [1, 9] * 5, [3] * 10])
    array([ True, False, False])
    """
    return _exceeds(_Likeness(series, visits).normal(), level)


def _exceeds(scores: Floats, level: float) -> NDArray[np.bool_]:
    return np.asarray(scores > -scipy.special.ndtri(level))


class _Likeness:
    """How much each of M series resembles its neighbours: T of `depend` as normal scores, -inf where nothing can resemble."""

    def __init__(self, series: ArrayLike, visits: Visits | None) -> None:
        values = _checked(series)
        self._neighbours = np.ones(values.shape[1], dtype=bool)
        if enough(visits):
            self._neighbours = np.append(np.diff(visits) == 0, False)
        self._varies = ~constant(values)
        if values.shape[1] < 3 or not self._neighbours.any():
            self._varies[:] = False
        if not self._varies.any():
            return
        centred = values if self._varies.all() else values[self._varies]
        centred -= centred.mean(axis=1, keepdims=True)
        centred /= np.maximum(centred.max(axis=1), -centred.min(axis=1))[:, None]
        self._centred = centred
        self._products = np.einsum("mr,mr->m", centred * self._neighbours, np.roll(centred, -1, axis=1))
        self._moments = moments_of_products(centred, self._neighbours)

    def normal(self) -> Floats:
        """Return scores of a law that is normal, [M]."""
        found = np.full(self._varies.size, -np.inf)
        if self._varies.any():
            mean, variance = self._moments
            found[self._varies] = (self._products - mean) / np.sqrt(np.maximum(variance, CONSTANT))
        return found

    def skewed(self) -> Floats:
        """Return scores of a law with three moments, [M]."""
        found = np.full(self._varies.size, -np.inf)
        if self._varies.any():
            found[self._varies] = scores_by_three_moments(self._products, self._centred, self._neighbours, self._moments)
        return found


def depend_by_quality_or_time(qualities: ArrayLike, log_medians: ArrayLike, visits: Visits | None = None) -> NDArray[np.bool_]:
    """Return which figures come from rounds that depend on each other, [M].

    A figure's own series shows it, or that of the rounds' median times: where few answers are late, quality alone shows little. Takes
    ``qualities`` [M, R], the logarithm of each round's median time [R], and ``visits`` [R] as in `long_run_spreads`.

    Examples
    --------
    >>> depend_by_quality_or_time([[0.9, 0.8] * 10], [1.0] * 10 + [2.0] * 10)
    array([ True])
    """
    return depend(qualities, visits) | depend(np.asarray(log_medians)[None], visits)


def weights_of_dependence(qualities: ArrayLike, log_medians: ArrayLike, visits: Visits | None = None) -> Floats:
    """Return how far a figure's interval goes from that of independent rounds (0) to that of dependent ones (1), [M].

    By the likeness of neighbours that `depend` asks for: 0 up to a normal score of 1.8 (exceeded by 3.6 % of independent rounds), 1 from
    2.6 on (by 0.5 %), in proportion between: little evidence widens little (ADR 092). The larger score counts, of the figure's own series,
    by a law that is skewed as that of few losses is (`neighbours.scores_by_three_moments`), or of the rounds' median times. Takes what
    `depend_by_quality_or_time` does.

    Examples
    --------
    >>> weights_of_dependence([[0.9, 0.8] * 10, [0.9] * 10 + [0.8] * 10], [1.0] * 20)
    array([0., 1.])
    """
    return dependence(qualities, log_medians, visits).weights


class Dependence(NamedTuple):
    """Which figures come from rounds that depend on each other, [M], and how far their intervals go to those of dependent rounds, [M]."""

    found: NDArray[np.bool_]
    weights: Floats


def dependence(qualities: ArrayLike, log_medians: ArrayLike, visits: Visits | None = None) -> Dependence:
    """Return what `depend_by_quality_or_time` and `weights_of_dependence` do, of a likeness that is found once."""
    quality, times = _Likeness(qualities, visits), _Likeness(np.asarray(log_medians)[None], visits).normal()
    likeness = np.maximum(quality.skewed(), times)
    weights = np.clip((likeness - WIDENS_FROM) / (WIDENS_TO - WIDENS_FROM), 0, 1)
    return Dependence(_exceeds(quality.normal(), LEVEL) | _exceeds(times, LEVEL), weights)


def visits_alike(log_medians: ArrayLike, visits: Visits | None) -> bool:
    """Return whether the times of a trial say that neighbouring visits resemble each other.

    They do where the rounds' median times depend on each other, and the visits' means of these, too, at the level 0.3. Where few answers
    are late a figure's own series says little of it. False of fewer than 12 visits. Takes ``log_medians`` [R] and ``visits`` [R] as in
    `depend_by_quality_or_time`.

    Examples
    --------
    >>> slow = np.repeat([0.0] * 6 + [1.0] * 6, 2)
    >>> visits_alike(slow, np.repeat(np.arange(12), 2)), visits_alike(slow, None)
    (True, False)
    """
    times = np.asarray(log_medians, dtype=np.float64)[None]
    return enough(visits) and bool(depend(times, visits)[0]) and bool(depend(means_of_visits(times, visits), level=ALIKE_VISITS)[0])


def drift_p_values(series: ArrayLike) -> Floats:
    """Return two-sided p-values of a drift: a change that goes on in one direction over the whole series.

    The first cosine, half a period long, holds most of a drift. It is held against the mean square of the next seven by Student's t on
    7 degrees of freedom: rounds that merely resemble their neighbours have those, too (Müller and Watson, "Low-frequency
    econometrics", *Advances in Economics and Econometrics* 2, 2017, on inference from such averages).

    Takes one value per unit, in order, [M, R]. Returns [M]; 1 for a constant series, or one of at most 8 units.

    Examples
    --------
    >>> drift_p_values([np.arange(30.0), [0.0, 1.0] * 15]).round(2)
    array([0.  , 0.18])
    """
    values = _checked(series)
    if values.shape[1] <= FREQUENCIES:
        return np.ones(len(values))
    x = cosines(values, FREQUENCIES)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(x[:, 0]) / np.sqrt((x[:, 1:] ** 2).mean(axis=1))
    found: Floats = 2 * t_sf(t, FREQUENCIES - 1)
    found[constant(values)] = 1
    return found


def means_of_visits(series: ArrayLike, visits: Visits) -> Floats:
    """Return the mean of each series over each visit, [M, V]."""
    values = _checked(series)
    starts, sizes = np.unique(visits, return_index=True, return_counts=True)[1:]
    found: Floats = np.add.reduceat(values, starts, axis=1) / sizes
    return found


def constant(values: Floats) -> NDArray[np.bool_]:
    """Return which series do not vary beyond the rounding of sums, [M]."""
    found: NDArray[np.bool_] = np.ptp(values, axis=1) <= CONSTANT * np.maximum(np.abs(values).max(axis=1), CONSTANT)
    return found


def _checked(series: ArrayLike) -> Floats:
    values = np.array(series, dtype=np.float64)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"series of shape {values.shape}: the shape must be [series, rounds], with at least one round")
    if np.isnan(values).any():
        raise InputError("a series over rounds with NaN has no order: every round needs a value")
    infinite = np.isinf(values).any(axis=1)
    if infinite.any():
        values[infinite] = ranks(values[infinite])
    return values
