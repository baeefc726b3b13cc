"""Percentiles of times and their limits: the interval of a share, inverted (Woodruff)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.certification import samples_to_certify
from orchestrator.stats.constants import CONFIDENCE, TAIL
from orchestrator.stats.interval import check_confidence, effective_number
from orchestrator.stats.times import checked_times
from orchestrator.stats.units import Floats, Spread, Units, spread, units_of


@dataclass(frozen=True)
class Limits:
    """Ranks, from 1, of the ordered times that bound a percentile: 0 and n + 1 where none does.

    effective
        as how many independent times all of them count.
    """

    low: int
    high: int
    effective: float


def percentile_limits(
    times: NDArray[Any],
    ordered: NDArray[Any],
    percentiles: Sequence[float],
    ranks: Sequence[int],
    units: Units | None = None,
    confidence: float = CONFIDENCE,
) -> list[Limits]:
    """Return the limits of percentiles of times in the long run.

    A time may be the percentile if Korn and Graubard's interval of the share of times within it holds p (Woodruff, "Confidence
    Intervals for Medians and Other Position Measures", JASA 47, 1952). The variance is taken once, at the estimate, so that the share
    rises with the time and the limits are order statistics without holes.

    Parameters
    ----------
    times : [R, S]
        positive; +inf for what is missing.
    ordered : [R S]
        the same times, in order.
    percentiles, ranks
        in percent, and the rank of each among the ordered times, from 1.
    units : [R]
        unit of each round; without, or with fewer than 12, rounds of one stretch.

    Examples
    --------
    >>> times = np.random.default_rng(0).permutation(np.arange(1.0, 1201)).reshape(60, 20)
    >>> [found] = percentile_limits(times, np.sort(times.ravel()), [50], [600], np.arange(60) // 2)
    >>> found.low, found.high, round(found.effective)
    (546, 655, 480)
    """
    if not percentiles:
        return []
    n = ordered.size
    beyond = np.stack([times_beyond(times, ordered[rank - 1]).mean(axis=1) for rank in ranks])
    of = units_of(len(times), units)
    found = limits_of_quantiles(np.array(percentiles) / 100, beyond, of, n, confidence)
    return [Limits(*one) for one in zip(*(column.tolist() for column in found), strict=True)]


def limits_of_quantiles(
    p: Floats, beyond: Floats, units: Units, n: int, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Return lower and upper ranks of quantiles p among n times, and as how many independent ones these count, [M] each.

    The lower rank is the first k at which the upper limit of the share within, Clopper and Pearson's of k n_eff/n of n_eff, is at least
    p; the upper one the first at which the lower limit is above p. Towards the largest times fewer of a slow spell lie beyond, so that
    for the upper rank deff falls to 1 + (deff - 1) (s_k/s)^TAIL, s_k the share beyond rank k. But as many late times as a late one
    finds in its round, itself included, count as one at least (study `percentiles`).

    Parameters
    ----------
    beyond : [M, R]
        share of each round's times that lie beyond the estimate; its mean is s.
    """
    tail, share = (1 - confidence) / 2, beyond.mean(axis=1)
    known = spread(beyond, units) if len(beyond.T) > 1 else Spread(np.zeros(p.size), n, 1)
    alone, effective = (effective_number(share, n, v, known.degrees, 1 - tail) for v in (0.0, known.variance))
    deff = alone / effective
    some = np.maximum(share, 1 / n)
    most = n / np.clip((beyond**2).mean(axis=1) / some * n / len(beyond.T), 1, deff)

    def reaches(rank: NDArray[np.int64]) -> NDArray[np.bool_]:
        x = rank / n * effective
        return np.asarray(scipy.special.betainc(x + 1, np.maximum(effective - x, 1e-9), p) <= 1 - tail)

    def exceeds(rank: NDArray[np.int64]) -> NDArray[np.bool_]:
        falling = 1 + (deff - 1) * np.minimum((1 - rank / n) / some, 1) ** TAIL
        of = np.minimum(alone / falling, most)
        x = rank / n * of
        return np.asarray((rank > 0) & (scipy.special.betainc(np.maximum(x, 1e-9), of - x + 1, p) < tail))

    return _first_rank(n, reaches), _first_rank(n, exceeds), effective


def _first_rank(n: int, holds: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Return the first rank from 0 to n at which a condition holds that rises with the rank, n + 1 where none does."""
    every = holds(np.array(n))
    below, at = np.full(every.shape, -1), np.full(every.shape, n + 1)
    while (at - below).max() > 1:
        middle = (below + at) // 2
        found, open_ = holds(np.minimum(middle, n)), at - below > 1
        below, at = np.where(open_ & ~found, middle, below), np.where(open_ & found, middle, at)
    return at


def times_beyond(times: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """Return which times lie beyond one, in their shape: one that is missing lies beyond every percentile, an infinite one too.

    Examples
    --------
    >>> times_beyond(np.array([1.0, 2.0, np.inf]), np.inf)
    array([False, False,  True])
    """
    return np.asarray(times > min(value, np.finfo(np.float64).max))


__all__ = [
    "MIN_BEYOND",
    "LatencyPercentile",
    "latency_percentiles",
    "percentile_inverted_cdf",
    "percentile_rank",
    "percentiles_inverted_cdf",
    "samples_to_certify",
]

MIN_BEYOND = 10
"""A percentile with fewer independent samples beyond it is reported as ``not certified``."""


@dataclass(frozen=True)
class LatencyPercentile:
    """A percentile of all times of a trial with its confidence interval.

    value_ns, low_ns, high_ns
        the percentile and its limits; +inf where they fall on samples without a time or beyond the last one. ``low_ns`` is 0 where no
        sample bounds it from below.
    samples, effective_samples
        how many times there are, and as how many independent ones they count (`interval.effective_number`).
    beyond
        how many of the effective samples lie beyond the percentile.
    """

    value_ns: float
    low_ns: float
    high_ns: float
    samples: int
    effective_samples: int
    beyond: int

    @property
    def certified(self) -> bool:
        """Whether at least `MIN_BEYOND` independent samples lie beyond the percentile, and it has an upper limit."""
        return self.beyond >= MIN_BEYOND and math.isfinite(self.high_ns)


def percentile_rank(n: int, percentile: float) -> int:
    """Return the rank (from 1) of a percentile among n ordered values: ceil(p n) in exact arithmetic, at least 1.

    Raises
    ------
    InputError
        if n is 0 or the percentile does not lie within 0 and 100.

    Examples
    --------
    >>> percentile_rank(1000, 99.9)
    999
    """
    if not 0 <= percentile <= 100:
        raise InputError(f"percentile {percentile}: must lie within 0 and 100; percentiles are given in percent")
    if n < 1:
        raise InputError(f"percentile {percentile} of no values: at least one value is needed")
    return max(1, math.ceil(Fraction(str(percentile)) * n / 100))


def percentile_inverted_cdf(x: ArrayLike, percentile: float) -> float:
    """Return a percentile as the inverted empirical distribution function: an observed value, never an interpolated one.

    Definition 1 of Hyndman and Fan, "Sample Quantiles in Statistical Packages" (The American Statistician 50, 1996): the value
    of rank ceil(p n), computed exactly from the percentile's decimal digits.

    Parameters
    ----------
    x : any shape
        values; +inf is allowed.
    percentile
        in percent, within 0 and 100.

    Returns
    -------
    The value as a Python number, an int where x holds integers.

    Raises
    ------
    InputError
        if x is empty or holds NaN, or the percentile is out of range.

    Examples
    --------
    >>> percentile_inverted_cdf([30, 10, 20], 50)
    20
    """
    return percentiles_inverted_cdf(x, [percentile])[0]


def percentiles_inverted_cdf(x: ArrayLike, percentiles: Sequence[float]) -> list[float]:
    """Return several percentiles, each as `percentile_inverted_cdf` does, from values that are put in order once.

    Examples
    --------
    >>> percentiles_inverted_cdf([30, 10, 20], [50, 99])
    [20, 30]
    """
    values = np.asarray(x).ravel()
    indices = [percentile_rank(values.size, percentile) - 1 for percentile in percentiles]
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise InputError(f"percentile {percentiles[0]} of values with NaN: remove or replace them first")
    found: list[float] = np.partition(values, indices)[indices].tolist() if indices else []
    return found


def latency_percentiles(
    times: ArrayLike, percentiles: Sequence[float], units: Units | None = None, confidence: float = CONFIDENCE
) -> list[LatencyPercentile]:
    """Return percentiles of all times with the intervals of those of rounds to come, see `percentile_limits`.

    Parameters
    ----------
    times : [R, S]
        in ns, +inf for samples without one.
    percentiles
        in percent.
    units : [R]
        unit of each round; None, or fewer than 12, for one stretch.
    confidence
        of the two-sided interval, as a fraction.

    Raises
    ------
    InputError
        if a time is NaN or not positive, there are none, or a percentile or the confidence is out of range.

    Examples
    --------
    >>> times = np.random.default_rng(0).permutation(np.arange(1, 8001)).reshape(1000, 8)
    >>> [p99] = latency_percentiles(times, [99], np.arange(1000) // 2)
    >>> p99.value_ns, p99.beyond, p99.certified
    (7920, 70, True)
    """
    checked = checked_times(times)
    check_confidence(confidence)
    if checked.ndim != 2:
        raise InputError(f"times of shape {checked.shape}: the shape must be [rounds, samples]")
    ordered = np.sort(checked, axis=None)
    ranks = [percentile_rank(ordered.size, percentile) for percentile in percentiles]
    limits = percentile_limits(checked, ordered, percentiles, ranks, units, confidence)
    found = []
    for percentile, rank, limit in zip(percentiles, ranks, limits, strict=True):
        effective = max(1, math.floor(limit.effective))
        value, low, high = (_time(ordered, at) for at in (rank, limit.low, limit.high))
        found.append(LatencyPercentile(value, low, high, ordered.size, effective, effective - percentile_rank(effective, percentile)))
    return found


def _time(ordered: NDArray[np.generic], rank: int) -> float:
    """Return the time of a rank from 1; 0 before the first and infinity behind the last."""
    if rank < 1:
        return 0
    found: float = ordered[rank - 1].item() if rank <= ordered.size else math.inf
    return found
