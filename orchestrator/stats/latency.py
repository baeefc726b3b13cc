from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.certification import samples_to_certify
from orchestrator.stats.laws import binomial_quantile
from orchestrator.stats.long_run import Unit, Visits, depend, depend_by_quality_or_time, variance_ratios
from orchestrator.stats.percentile_limits import limits_of_rounds, times_beyond
from orchestrator.stats.times import Times, checked_times

__all__ = [
    "CLUSTERED",
    "MIN_BEYOND",
    "LatencyPercentile",
    "design_effect",
    "latency_percentile",
    "percentile_inverted_cdf",
    "percentile_rank",
    "percentile_rank_limits",
    "percentiles_inverted_cdf",
    "samples_to_certify",
]

MIN_BEYOND = 10
"""A percentile with fewer independent samples beyond it is reported as ``not certified``."""

CLUSTERED = 1.5
"""A larger design effect says that samples of one round are alike; the number of samples is then divided by it."""


@dataclass(frozen=True)
class LatencyPercentile:
    """A percentile of all times of a trial with its confidence interval.

    value_ns, low_ns, high_ns
        the percentile and the limits of its interval; +inf where they fall on samples without a time or beyond the last sample,
        and ``low_ns`` is 0 where no sample bounds it from below.
    samples, effective_samples
        number of times, and the number of independent ones they are worth.
    beyond
        how many of the effective samples lie beyond the percentile.
    design_effect
        see `design_effect`; NaN for a single round, where it cannot be known and times are taken as independent.
    dependent
        whether rounds depend on each other.
    unit, interval_samples
        what the interval takes as independent of each other, and as how many independent times it counts them all: fewer than
        ``effective_samples`` where few units say how much they vary.
    """

    percentile: float
    value_ns: float
    low_ns: float
    high_ns: float
    confidence: float
    samples: int
    effective_samples: int
    beyond: int
    design_effect: float
    dependent: bool
    unit: Unit
    interval_samples: int

    @property
    def enough_beyond(self) -> bool:
        """Whether at least `MIN_BEYOND` independent samples lie beyond the percentile."""
        return self.beyond >= MIN_BEYOND

    @property
    def certified(self) -> bool:
        """Whether enough samples lie beyond the percentile and its interval ends, so that it is reported as more than what was seen."""
        return self.enough_beyond and math.isfinite(self.high_ns)


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


@lru_cache(maxsize=4096)
def percentile_rank_limits(n: int, percentile: float, confidence: float = 0.95) -> tuple[int, int]:
    """Return the ranks (from 1) of the two ordered values that enclose a percentile of the population.

    With B ~ Bin(n, p): the largest l with P(B <= l - 1) <= (1 - confidence) / 2, and the smallest u with
    P(B <= u - 1) >= (1 + confidence) / 2. Both tails keep their share of the error; no distribution is assumed. Conover,
    *Practical Nonparametric Statistics*, section 3.2.

    Parameters
    ----------
    n
        number of independent values.
    percentile
        in percent.
    confidence
        of the two-sided interval, as a fraction.

    Returns
    -------
    ``l`` from 0 (no value bounds the percentile from below) to n, ``u`` from 1 to n + 1 (none bounds it from above).

    Examples
    --------
    >>> percentile_rank_limits(100, 50)
    (40, 61)
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence}: must lie between 0 and 1, such as 0.95")
    tail = (1 - confidence) / 2
    share = float(Fraction(str(percentile)) / 100)
    return binomial_quantile(tail, n, share), binomial_quantile(1 - tail, n, share) + 1


def design_effect(beyond: NDArray[np.bool_]) -> float:
    """Return by how much the mean of an indicator varies more between rounds than between independent samples.

    deff = max(1, var(p_r) / (p (1 - p) / S)) with p_r the share in round r and p the share overall (Kish, *Survey Sampling*,
    section 8.2, rounds as clusters).

    Parameters
    ----------
    beyond : [R, S]
        whether a sample lies beyond the percentile or threshold in question.

    Returns
    -------
    The ratio, at least 1; 1 where the indicator never varies; NaN for a single round.

    Examples
    --------
    >>> design_effect(np.array([[True, True], [False, False]]))
    4.0
    """
    rounds, samples = beyond.shape
    if rounds < 2:
        return math.nan
    shares = beyond.mean(axis=1)
    share = shares.mean()
    independent = share * (1 - share) / samples
    return max(1.0, float(shares.var(ddof=1) / independent)) if independent > 0 else 1.0


def dependence_effect(shares: NDArray[np.float64], visits: Visits | None = None) -> float:
    """Return by how much the mean share beyond varies more than that of rounds which do not depend on each other, at least 1.

    Parameters
    ----------
    shares : [R]
        share of samples beyond, round by round.
    visits : [R]
        number of each round's visit, of visits that lie apart in time; None where there are none.

    Examples
    --------
    >>> dependence_effect(np.array([0.1, 0.2] * 20)), dependence_effect(np.repeat([0.1, 0.2], 20)) > 5
    (1.0, True)
    """
    return float(variance_ratios(shares[None], visits)[0]) if depend(shares[None], visits)[0] else 1.0


def latency_percentile(
    times: ArrayLike, percentile: float, confidence: float = 0.95, visits: Visits | None = None, dependent: bool = False
) -> LatencyPercentile:
    """Return a percentile of all times with an interval of that of rounds to come, from order statistics.

    The interval of `percentile_rank_limits` takes all times as independent. Where rounds differ by more than that allows (design effect
    above `CLUSTERED`) or depend on each other, it is that of `percentile_limits.limits_of_rounds`, which holds as the mean of tail quality
    of rounds to come does.

    Parameters
    ----------
    times : [R, S]
        times in ns, +inf for samples without one.
    percentile
        in percent.
    confidence
        of the two-sided interval, as a fraction.
    visits : [R]
        number of each round's visit, of visits that lie apart in time; None where there are none.
    dependent
        whether rounds are known to depend on each other; else `depend_by_quality_or_time` tells.

    Raises
    ------
    InputError
        if a time is NaN or not positive, there are none, or the percentile is out of range.

    Examples
    --------
    >>> times = np.random.default_rng(0).permutation(np.arange(1, 2001)).reshape(1000, 2)
    >>> p99 = latency_percentile(times, 99)
    >>> p99.value_ns, p99.beyond, p99.certified
    (1980, 20, True)
    """
    return latency_percentiles(times, [percentile], confidence, visits, dependent)[0]


def latency_percentiles(
    times: ArrayLike, percentiles: Sequence[float], confidence: float = 0.95, visits: Visits | None = None, dependent: bool = False
) -> list[LatencyPercentile]:
    """Return several percentiles, each as `latency_percentile` does, from times that are put in order once.

    Examples
    --------
    >>> [found.value_ns for found in latency_percentiles([[1, 2, 3, 4]], [50, 75])]
    [2, 3]
    """
    checked = checked_times(times)
    if checked.ndim != 2:
        raise ValueError(f"times of shape {checked.shape}: the shape must be [rounds, samples]")
    ordered = np.sort(checked, axis=None)
    log_medians = np.log(np.median(checked, axis=1))
    found = [_of_independent(checked, ordered, percentile, confidence, visits) for percentile in percentiles]
    depends = [dependent or bool(depend_by_quality_or_time(_shares(checked, one), log_medians, visits)[0]) for one in found]
    alike = [place for place, one in enumerate(found) if depends[place] or design_effect(times_beyond(checked, one.value_ns)) > CLUSTERED]
    ranks = [percentile_rank(ordered.size, percentiles[place]) for place in alike]
    given = np.array(depends)[alike]
    limits = limits_of_rounds(checked, ordered, [percentiles[place] for place in alike], ranks, given, visits, confidence)
    for place, of_rounds in zip(alike, limits, strict=True):
        found[place] = replace(
            found[place],
            low_ns=_time(ordered, of_rounds.low),
            high_ns=_time(ordered, of_rounds.high),
            dependent=depends[place],
            unit=of_rounds.unit,
            interval_samples=max(1, math.floor(of_rounds.worth)),
        )
    return found


def _of_independent(times: Times, ordered: NDArray[Any], percentile: float, confidence: float, visits: Visits | None) -> LatencyPercentile:
    """Return a percentile with the interval of times that are independent."""
    n = ordered.size
    value: float = ordered[percentile_rank(n, percentile) - 1].item()
    beyond = times_beyond(times, value)
    effect = design_effect(beyond) * dependence_effect(beyond.mean(axis=1), visits)
    effective = max(1, math.floor(n / effect)) if effect > CLUSTERED else n
    low, high = percentile_rank_limits(n, percentile, confidence)
    return LatencyPercentile(
        percentile=percentile,
        value_ns=value,
        low_ns=_time(ordered, low),
        high_ns=_time(ordered, high),
        confidence=confidence,
        samples=n,
        effective_samples=effective,
        beyond=effective - percentile_rank(effective, percentile),
        design_effect=effect,
        dependent=False,
        unit="rounds",
        interval_samples=n,
    )


def _shares(times: Times, found: LatencyPercentile) -> NDArray[np.float64]:
    """Return the share of each round that lies beyond a percentile, [1, R]."""
    return np.asarray(times_beyond(times, found.value_ns).mean(axis=1))[None]


def _time(ordered: NDArray[Any], rank: int) -> float:
    """Return the time of a rank from 1; 0 before the first and infinity behind the last."""
    if rank < 1:
        return 0
    found: float = ordered[rank - 1].item() if rank <= ordered.size else math.inf
    return found
