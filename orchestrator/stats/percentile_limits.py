"""Between which times a percentile of rounds to come lies, where rounds are alike or depend on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.stats.korn_graubard import effective_number
from orchestrator.stats.long_run import Unit, Visits, constant, long_run_spreads

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """Ranks, from 1, of the ordered times that bound a percentile: 0 and n + 1 where none does.

    worth, unit
        as how many independent times all of them count, for the share beyond the percentile, and what was taken as independent.
    """

    low: int
    high: int
    worth: float
    unit: Unit


def limits_of_rounds(
    times: NDArray[Any],
    ordered: NDArray[Any],
    percentiles: Sequence[float],
    ranks: Sequence[int],
    dependent: ArrayLike,
    visits: Visits | None = None,
    confidence: float = 0.95,
) -> list[Limits]:
    """Return the limits of percentiles, of times that are positive.

    The share of times within a bound is a mean over rounds. A bound may be the percentile if the Clopper-Pearson interval of its share
    holds the percentile's own. It counts as many independent times as `korn_graubard` does with the variance and the degrees of freedom of
    `long_run_spreads`, at the bound or at the percentile, whichever are fewer: where hardly any round has times beyond a bound, their
    variance is not seen. The outermost of such bounds are looked for by bisection among the ordered times, from the percentile outwards,
    for all percentiles at once; where such bounds have holes, those beyond one may be left out.

    Parameters
    ----------
    times : [R, S]
        +inf for what is missing.
    ordered : [R S]
        the same times, in order.
    percentiles, ranks
        in percent, and the rank of each among the ordered times, from 1.
    dependent : [M], or one for all
        whether rounds depend on each other.
    visits : [R]
        number of each round's visit; None where there are none.
    confidence
        as a fraction.

    Examples
    --------
    >>> times = np.random.default_rng(0).permutation(np.arange(1.0, 1201)).reshape(60, 20)
    >>> [found] = limits_of_rounds(times, np.sort(times.ravel()), [50], [600], dependent=True)
    >>> found.low, found.high, found.unit
    (543, 662, 'cosines')
    """
    if not percentiles:
        return []
    count = ordered.size
    given = np.broadcast_to(dependent, len(percentiles))
    at_percentile = np.stack([times_beyond(times, ordered[rank - 1]).mean(axis=1) for rank in ranks])
    worth, units = _worth(at_percentile, times.shape[1], given, visits, confidence)
    share, tail = np.array(percentiles) / 100, (1 - confidence) / 2
    low, high = np.array(ranks), np.array(ranks) - 1
    below, above = np.full(low.size, -1), np.full(low.size, count + 1)
    while max((low - below).max(), (above - high).max()) > 1:
        lower, upper = (below + low) // 2, (high + above) // 2
        bounds = [ordered[rank - 1] if rank > 0 else 0.0 for rank in (*lower.tolist(), *upper.tolist())]
        late = np.stack([times_beyond(times, bound).mean(axis=1) for bound in bounds])
        few = np.minimum(np.tile(worth, 2), _worth(late, times.shape[1], np.tile(given, 2), visits, confidence)[0])
        x = (1 - late.mean(axis=1)) * few
        (of_lower, of_upper), (few_lower, few_upper) = np.split(x, 2), np.split(few, 2)
        too_low = _tail(of_lower + 1, few_lower - of_lower, share, 0.0) > 1 - tail
        too_high = _tail(of_upper, few_upper - of_upper + 1, share, 1.0) < tail
        left, right = low - below > 1, above - high > 1
        below, low = np.where(left & too_low, lower, below), np.where(left & ~too_low, lower, low)
        above, high = np.where(right & too_high, upper, above), np.where(right & ~too_high, upper, high)
    return [Limits(*found) for found in zip(low.tolist(), (high + 1).tolist(), worth.tolist(), units, strict=True)]


def _worth(late: Floats, samples: int, dependent: NDArray[Any], visits: Visits | None, confidence: float) -> tuple[Floats, list[Unit]]:
    """Return as how many independent times those of shares beyond bounds count, [M, R], and their units."""
    n, spreads = float(late.shape[1] * samples), long_run_spreads(late, visits, dependent)
    found = [
        effective_number(share, n, one.variance, one.degrees, confidence)[1] for share, one in zip(late.mean(axis=1), spreads, strict=True)
    ]
    return np.where(constant(late), n, found), [one.unit for one in spreads]


def _tail(a: Floats, b: Floats, x: Floats, otherwise: float) -> Floats:
    """Return the distribution function of Beta(a, b), which has to be positive in both; ``otherwise`` elsewhere."""
    defined = (a > 0) & (b > 0)
    return np.where(defined, scipy.special.betainc(np.where(defined, a, 1.0), np.where(defined, b, 1.0), x), otherwise)


def times_beyond(times: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """Return which times lie beyond one, in their shape: one that is missing lies beyond every percentile, an infinite one too.

    Examples
    --------
    >>> times_beyond(np.array([1.0, 2.0, np.inf]), np.inf)
    array([False, False,  True])
    """
    return np.asarray(times > min(value, np.finfo(np.float64).max))
