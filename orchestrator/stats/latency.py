"""Percentiles of times and their limits: the interval of a share, inverted (Woodruff)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.constants import CONFIDENCE, TAIL
from orchestrator.stats.interval import effective_number
from orchestrator.stats.times import checked_times
from orchestrator.stats.units import Floats, Spread, Units, spread, units_of

# A percentile with fewer independent samples beyond it is reported as ``not certified``.
MIN_BEYOND = 10


@dataclass(frozen=True)
class LatencyPercentile:
    """A percentile of all times of a trial with its confidence interval.

    Times are +inf where they fall on samples without one or beyond the last one; ``low_ns`` is 0
    where no sample bounds it from below. ``effective_samples`` is as how many independent times all
    count (`interval.effective_number`); ``beyond`` of these lie beyond the percentile.
    """

    value_ns: float
    low_ns: float
    high_ns: float
    samples: int
    effective_samples: int
    beyond: int

    @property
    def certified(self) -> bool:
        """Whether enough independent samples lie beyond it, and it has an upper limit."""
        return self.beyond >= MIN_BEYOND and math.isfinite(self.high_ns)


def percentile_rank(n: int, percentile: float) -> int:
    """Return the rank (from 1) of a percentile among n values: ceil(p n) exactly, at least 1.

    Raises InputError if n is 0 or the percentile does not lie within 0 and 100.

    >>> percentile_rank(1000, 99.9)
    999
    """
    if n < 1 or not 0 <= percentile <= 100:
        raise InputError(
            f"percentile {percentile} of {n} values: must lie within 0 and 100, of at least one",
            value=percentile,
        )
    return max(1, math.ceil(Fraction(str(percentile)) * n / 100))


def percentile_inverted_cdf(x: ArrayLike, percentile: float) -> float:
    """Return a percentile as an observed value: an int where x, of any shape, holds integers.

    Definition 1 of Hyndman and Fan, "Sample Quantiles in Statistical Packages" (The American
    Statistician 50, 1996): the value of rank ceil(p n).

    >>> percentile_inverted_cdf([30, 10, 20], 50)
    20
    """
    return percentiles_inverted_cdf(x, [percentile])[0]


def percentiles_inverted_cdf(x: ArrayLike, percentiles: Sequence[float]) -> list[float]:
    """Return several such percentiles of values that are put in order once.

    Raises InputError if x is empty or holds NaN, or a percentile is out of range.
    """
    values = np.asarray(x).ravel()
    indices = [percentile_rank(values.size, percentile) - 1 for percentile in percentiles]
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise InputError(
            f"percentile {percentiles[0]} of values with NaN: remove or replace them first"
        )
    found: list[float] = np.partition(values, indices)[indices].tolist() if indices else []
    return found


def latency_percentiles(
    times: ArrayLike,
    percentiles: Sequence[float],
    units: Units | None = None,
    confidence: float = CONFIDENCE,
) -> list[LatencyPercentile]:
    """Return percentiles of times [R, S] with intervals for those of rounds to come.

    Times are in ns, +inf for samples without one. Without ``units``, or with fewer than 12, rounds
    are of one stretch.

    A time may be the percentile if Korn and Graubard's interval of the share of times within it
    holds p (Woodruff, "Confidence Intervals for Medians and Other Position Measures", JASA 47,
    1952). The variance is taken once, at the estimate, so that the share rises with the time and
    the limits are order statistics without holes.

    Raises InputError if a time is NaN or not positive, or a percentile is out of range.

    >>> times = np.random.default_rng(0).permutation(np.arange(1, 8001)).reshape(1000, 8)
    >>> [p99] = latency_percentiles(times, [99], np.arange(1000) // 2)
    >>> p99.value_ns, p99.beyond, p99.certified
    (7920, 70, True)
    """
    checked = checked_times(times)
    ordered = np.sort(checked, axis=None)
    n = ordered.size
    ranks = [percentile_rank(n, percentile) for percentile in percentiles]
    if not ranks:
        return []
    beyond = np.stack([times_beyond(checked, ordered[rank - 1]).mean(axis=1) for rank in ranks])
    of = units_of(len(checked), units)
    limits = limits_of_quantiles(np.array(percentiles) / 100, beyond, of, n, confidence)

    def time(rank: int) -> float:
        return 0 if rank < 1 else ordered[rank - 1].item() if rank <= n else math.inf

    found = []
    columns = (column.tolist() for column in limits)
    for percentile, rank, low, high, count in zip(percentiles, ranks, *columns, strict=True):
        effective = max(1, math.floor(count))
        beyond = effective - percentile_rank(effective, percentile)
        found.append(LatencyPercentile(time(rank), time(low), time(high), n, effective, beyond))
    return found


def limits_of_quantiles(
    p: Floats, beyond: Floats, units: Units, n: int, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Return the ranks of limits of quantiles p among n times, and the effective number, [M] each.

    The lower rank is the first k at which the upper limit of the share within, Clopper and
    Pearson's of k n_eff/n of n_eff, is at least p; the upper one the first at which the lower limit
    is above p. Towards the largest times fewer of a slow spell lie beyond, so that for the upper
    rank deff falls to 1 + (deff - 1) (s_k/s)^TAIL, s_k the share beyond rank k. But as many late
    times as a late one finds in its round, itself included, count as one at least (study
    `percentiles`).

    ``beyond``, [M, R], is each round's share of times beyond the estimate; its mean is s.
    """
    tail, share, rounds = (1 - confidence) / 2, beyond.mean(axis=1), beyond.shape[1]
    known = spread(beyond, units) if rounds > 1 else Spread(np.zeros(p.size), n, 1)
    alone, effective = (
        effective_number(share, n, v, known.degrees, 1 - tail) for v in (0.0, known.variance)
    )
    deff, some = alone / effective, np.maximum(share, 1 / n)
    most = n / np.clip((beyond**2).mean(axis=1) / some * n / rounds, 1, deff)

    def reaches(rank: NDArray[np.int64]) -> NDArray[np.bool_]:
        x = rank / n * effective
        within = scipy.special.betainc(x + 1, np.maximum(effective - x, 1e-9), p)
        return np.asarray(within <= 1 - tail)

    def exceeds(rank: NDArray[np.int64]) -> NDArray[np.bool_]:
        falling = 1 + (deff - 1) * np.minimum((1 - rank / n) / some, 1) ** TAIL
        of = np.minimum(alone / falling, most)
        x = rank / n * of
        within = scipy.special.betainc(np.maximum(x, 1e-9), of - x + 1, p)
        return np.asarray((rank > 0) & (within < tail))

    return _first_rank(n, reaches), _first_rank(n, exceeds), effective


# The first rank of 0 to n at which a condition rising with it holds, else n + 1.
def _first_rank(
    n: int, holds: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
) -> NDArray[np.int64]:
    every = holds(np.array(n))
    below, at = np.full(every.shape, -1), np.full(every.shape, n + 1)
    while (at - below).max() > 1:
        middle = (below + at) // 2
        found, open_ = holds(np.minimum(middle, n)), at - below > 1
        below = np.where(open_ & ~found, middle, below)
        at = np.where(open_ & found, middle, at)
    return at


def times_beyond(times: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """Return which times lie beyond one, in their shape; an infinite one lies beyond every one.

    >>> times_beyond(np.array([1.0, 2.0, np.inf]), np.inf)
    array([False, False,  True])
    """
    return np.asarray(times > min(value, np.finfo(np.float64).max))
