"""Percentiles of times: observed values, and what bounds them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.certification import samples_to_certify
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.interval import check_confidence
from orchestrator.stats.percentile import percentile_limits
from orchestrator.stats.times import checked_times
from orchestrator.stats.units import Units

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
    """Return percentiles of all times with the intervals of those of rounds to come, see `percentile.percentile_limits`.

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
