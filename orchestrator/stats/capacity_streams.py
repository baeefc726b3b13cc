"""How many streams of a search's time one rate may have, and which rate is worth them (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable

from orchestrator.stats.capacity_search import STEP, WIDTH, Bracket, rounded_rate
from orchestrator.stats.capacity_verdict import ENOUGH_STREAMS, FAMILY_ERROR, FIRST_LOOK, LONGEST_BUNCH, MOST_PROBES

USUAL_LOOKS = 4
"""At a rate before it is decided."""


def least_streams(answers: float, keep: float, utilisation: float = 0.0, error: float = FAMILY_ERROR / MOST_PROBES) -> int:
    """Return how many streams of so many answers it takes to certify a rate at which none of them is late: keep^n <= error of one look.

    Answers that wait count for less, see `answers_at_stake`; ``utilisation`` is the share that is expected to.

    Examples
    --------
    >>> least_streams(32.0, 0.99), least_streams(1000.0, 0.99), least_streams(32.0, 0.99, 0.5)
    (22, 12, 43)
    """
    needed = math.log(error / USUAL_LOOKS) / math.log(keep)
    counted = answers * max(1 - utilisation, 1 / LONGEST_BUNCH)
    return max(ENOUGH_STREAMS, math.ceil(needed / max(counted, 1.0)))


def probes_to_come(bracket: Bracket) -> int:
    """Return how many rates a search is likely to need yet: both ends of a bracket, and two that narrow it, one if it is nearly so.

    Examples
    --------
    >>> probes_to_come(Bracket(None, None)), probes_to_come(Bracket(50, None)), probes_to_come(Bracket(50, 58))
    (4, 3, 1)
    """
    ends = (bracket.certified is None) + (bracket.refuted is None)
    if ends:
        return 2 + ends
    assert bracket.certified is not None
    assert bracket.refuted is not None
    return 1 if bracket.refuted <= WIDTH**2 * bracket.certified else 2


def streams_within(seconds: float, share_s: float, stream_s: float, least: int, refutes: bool) -> int | None:
    """Return how many streams a rate may have; None where these could decide nothing.

    Parameters
    ----------
    seconds
        what this rate is to take.
    share_s
        all that is left to its search.
    least
        streams without which nothing is certified.
    refutes
        whether the rate is looked at to be refuted, for which `FIRST_LOOK` streams may do.

    Examples
    --------
    >>> streams_within(60, 200, 3, 12, False), streams_within(10, 200, 3, 12, False), streams_within(10, 30, 3, 12, False)
    (20, 12, None)
    >>> streams_within(10, 30, 3, 12, True)
    10
    """
    most = int(share_s / stream_s)
    if most < (FIRST_LOOK if refutes else least):
        return None
    return min(most, max(least, int(seconds / stream_s)))


def affordable(rate_per_s: float, lowest: float, streams_of: Callable[[float], int | None]) -> tuple[float, int] | None:
    """Return a rate, or the first of those steps below it down to ``lowest``, that streams enough are left for, and how many; else None.

    Examples
    --------
    >>> affordable(72.0, 10.0, lambda rate: 15 if rate < 55 else None)
    (50.0, 15)
    """
    rate = rate_per_s
    while rate >= lowest:
        if (streams := streams_of(rate)) is not None:
            return rate, streams
        rate = rounded_rate(rate / STEP)
    return None
