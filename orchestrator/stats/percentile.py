"""The interval of a percentile of latency: the interval of a share, inverted (Woodruff)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from orchestrator.stats.constants import CONFIDENCE, TAIL
from orchestrator.stats.interval import effective_number
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
