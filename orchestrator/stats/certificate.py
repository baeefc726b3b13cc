"""The deadline that a system can promise: a bound that enough of its rounds keep, with a confidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.constants import CONFIDENCE, COSINES_OF_CERTIFICATE
from orchestrator.stats.guard import risk_of_mean
from orchestrator.stats.interval import check_confidence, effective_number
from orchestrator.stats.times import checked_times
from orchestrator.stats.units import Units, enough_units, means_of_units, spread


@dataclass(frozen=True)
class Certificate:
    """The deadline a system can promise, or why there is none.

    ns
        the deadline; None where none is certified.
    rounds
        how many it rests on.
    breaks
        how many of these did not keep it; of the best candidate where none is certified.
    effective
        as how many independent rounds they count.
    reason
        why there is no deadline; empty where there is one.
    more_rounds
        how many are missing to the number fixed beforehand.
    """

    ns: float | None
    rounds: int
    breaks: int = 0
    effective: float = 0.0
    reason: str = ""
    more_rounds: int = 0


def certify(
    deadlines_ns: ArrayLike,
    units: Units | None,
    rounds: int,
    *,
    late_share: float = 0.10,
    confidence: float = CONFIDENCE,
) -> Certificate:
    """Return a deadline that at least 1 - ``late_share`` of all rounds to come keep, with a confidence.

    A value is certified if Korn and Graubard's upper limit of the share of rounds beyond it is at most ``late_share``. The variance
    is taken once, at the quantile of 1 - ``late_share``, with 3 degrees of freedom, and serves every candidate, so that all values
    above one that is certified are certified too. The value must also pass the guard (`guard.risk_of_mean`), which keeps that order.

    Parameters
    ----------
    deadlines_ns : [R]
        each round's own deadline in ns in order of round, +inf where it has none; see `round_deadlines.round_deadlines`.
    units : [R]
        unit of each round: visits that lie apart. One stretch certifies nothing.
    rounds
        number of rounds, fixed before anything was measured. The first so many count.
    late_share
        share of rounds that may miss the deadline.

    Raises
    ------
    InputError
        if a parameter is out of range, or a deadline is NaN or not positive.

    Examples
    --------
    >>> shuffled = np.random.default_rng(0).permutation(120) + 1.0
    >>> found = certify(shuffled, np.arange(120) // 2, 120)
    >>> found.ns, found.breaks
    (118.0, 2)
    >>> certify(shuffled, None, 120).reason
    'measured in one stretch, which says nothing about later rounds'
    """
    deadlines = np.asarray(checked_times(deadlines_ns), dtype=np.float64)
    check_confidence(confidence)
    if deadlines.ndim != 1 or rounds < 1:
        raise InputError(f"deadlines of shape {deadlines.shape}, {rounds} rounds: one deadline per round is needed")
    if not 0 < late_share < 1:
        raise InputError(f"late_share {late_share}: must lie between 0 and 1, such as 0.1")
    if deadlines.size < rounds:
        missing = rounds - deadlines.size
        return Certificate(None, deadlines.size, reason=f"{missing} more rounds needed", more_rounds=missing)
    first, of = deadlines[:rounds], None if units is None else units[:rounds]
    if of is None or not enough_units(of):
        return Certificate(None, rounds, reason="measured in one stretch, which says nothing about later rounds")
    return _certify(first, of, late_share, confidence)


def _certify(first: NDArray[np.float64], units: Units, late_share: float, confidence: float) -> Certificate:
    rounds, ordered = first.size, np.sort(first)
    effective = _effective(first, units, late_share, confidence)
    breaks = np.arange(math.floor(late_share * rounds) + 1)
    upper = scipy.special.betaincinv(breaks * effective / rounds + 1, effective * (1 - breaks / rounds), confidence)
    allowed, never = breaks[upper <= late_share][::-1].tolist(), int(np.isinf(first).sum())
    for count in allowed:
        candidate = float(ordered[rounds - 1 - count])
        kept = means_of_units((first <= candidate)[None].astype(np.float64), units)[0][0]
        if candidate < math.inf and risk_of_mean(kept, 1 - late_share) <= 1 - confidence:
            return Certificate(candidate, rounds, int((first > candidate).sum()), effective)
    reason = f"{rounds} rounds count as {effective:.0f}: slow rounds come in spells"
    if never > max(allowed, default=late_share * rounds):
        reason = f"{never} of {rounds} rounds never keep the quality"
    elif allowed:
        reason = f"{np.unique(units).size} visits do not rule out bad ones that are rare"
    return Certificate(None, rounds, never, effective, reason)


def _effective(first: NDArray[np.float64], units: Units, late_share: float, confidence: float) -> float:
    """Return as how many independent rounds these count for the share beyond the allowed quantile."""
    bound = np.quantile(first, 1 - late_share, method="inverted_cdf")
    beyond = (first > min(bound, np.finfo(np.float64).max)).astype(np.float64)
    known = spread(beyond[None], units, COSINES_OF_CERTIFICATE)
    share = np.array([beyond.mean()])
    return float(effective_number(share, first.size, known.variance, known.degrees, confidence)[0])
