"""The interval of a percentile of latency: the interval of a share, inverted (Woodruff)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.interval import effective_number
from orchestrator.stats.units import Floats, Units, spread, units_of


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
    p = np.array(percentiles) / 100
    if len(times) == 1:
        effective = np.full(p.size, float(n))
    else:
        beyond = np.stack([times_beyond(times, ordered[rank - 1]).mean(axis=1) for rank in ranks])
        known = spread(beyond, units_of(len(times), units))
        effective = effective_number(beyond.mean(axis=1), n, known.variance, known.degrees, (1 + confidence) / 2)
    low, high = ranks_of_limits(n, p, effective, confidence)
    return [Limits(*found) for found in zip(low.tolist(), high.tolist(), effective.tolist(), strict=True)]


def ranks_of_limits(n: int, p: Floats, effective: Floats, confidence: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ranks of the limits of quantiles p, [M], of n times that count as so many independent ones, [M]; see `Limits`.

    Clopper and Pearson's limits of x = k n_eff/n of n_eff hold p: the lower rank is the first k whose upper limit is at least p, the
    upper one the first k whose lower limit is above p.
    """
    tail = (1 - confidence) / 2
    low = _first_rank(n, effective, lambda x, of: scipy.special.betainc(x + 1, np.maximum(of - x, 1e-9), p) <= 1 - tail)
    high = _first_rank(n, effective, lambda x, of: (x > 0) & (scipy.special.betainc(np.maximum(x, 1e-9), of - x + 1, p) < tail))
    return low, high


def _first_rank(n: int, effective: Floats, holds: Any) -> NDArray[np.int64]:
    """Return the first rank from 0 to n at which a condition on the share of times within holds, n + 1 where none does."""
    below, at = np.full(effective.size, -1), np.full(effective.size, n + 1)
    while (at - below).max() > 1:
        middle = (below + at) // 2
        found = holds(np.minimum(middle / n, 1.0) * effective, effective)
        open_ = at - below > 1
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
