"""The convergence loop of the 2024 scripts (``run_tq.py``): when they fit, when they compare, when they stop."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats
from orchestrator.stats.paper_program.densities import Density, distances, kdepy_bandwidth, rjsd

WINDOW = 5
WARM, FIT_EVERY, THRESHOLD = 1, 2, 0.05
"""The defaults of the scripts: rounds before the first that may be fitted, rounds between fits, and the largest rJSD that ends the loop."""


@dataclass(frozen=True)
class Fit:
    """One fit of all records so far.

    rounds, records, distinct
        how many there were, and how many different times among the records.
    range
        longest minus shortest time, in seconds.
    bandwidth
        KDEpy's, in seconds.
    """

    rounds: int
    records: int
    distinct: int
    range: float
    bandwidth: float


@dataclass(frozen=True)
class Comparison:
    """A fit beside those of the window.

    rjsd
        the program's figure.
    distances : [window]
        to each earlier fit, the oldest first.
    earlier
        rounds of those fits.
    shortest, longest
        ends of the grid.
    """

    rounds: int
    rjsd: float
    distances: Floats
    earlier: tuple[int, ...]
    shortest: float
    longest: float


class PaperLoop:
    """The program's loop for one clock, one round after the other.

    All records of all rounds are in the pool, those of the ``warm`` first as well, which only put the first fit off: a fit comes after
    round ``r > warm`` where ``r - warm`` is a multiple of ``fit_every``. A fit is compared with the ``window`` before it only where the
    number of earlier fits is a multiple of the window: at fits 6, 11, 16 and so on.

    All times are kept, since the figures are those of the program: a fit goes through them once, a comparison some tens of times.
    """

    def __init__(self, warm: int = WARM, fit_every: int = FIT_EVERY, window: int = WINDOW) -> None:
        self._warm, self._fit_every, self._window = warm, fit_every, window
        self._rounds = 0
        self._records: list[Floats] = []
        self._distinct: Floats = np.empty(0)
        self._fits = 0
        self._earlier: deque[Fit] = deque(maxlen=window)

    def add(self, times_s: ArrayLike) -> tuple[Fit | None, Comparison | None]:
        """Take in the records of a round, in seconds, those without a time (+inf) left out; return its fit and comparison, if it has any.

        Raises
        ------
        ValueError
            where the program ends with one, because no bandwidth can be found, as for times that are all equal. The round is taken in,
            and its fit is none.
        """
        times = np.asarray(times_s, dtype=np.float64).ravel()
        self._rounds += 1
        self._records.append(times[np.isfinite(times)])
        self._distinct = _with(self._distinct, self._records[-1])
        if self._rounds <= self._warm or (self._rounds - self._warm) % self._fit_every:
            return None, None
        pool = np.concatenate(self._records)
        self._records = [pool]
        if not pool.size:
            return None, None
        spread = float(self._distinct[-1] - self._distinct[0])
        fit = Fit(self._rounds, pool.size, self._distinct.size, spread, kdepy_bandwidth(pool, self._distinct.size))
        comparison = self._compared(pool, fit) if self._fits and self._fits % self._window == 0 else None
        self._fits += 1
        self._earlier.append(fit)
        return fit, comparison

    def _compared(self, pool: Floats, fit: Fit) -> Comparison:
        """Compare a fit with those of the window, whose pools are the first records of this one."""
        shortest, longest = float(self._distinct[0]), float(self._distinct[-1])
        current, *others = [Density(pool[: one.records], one.bandwidth) for one in (fit, *self._earlier)]
        found = distances(current, others, shortest, longest)
        return Comparison(fit.rounds, rjsd(found), found, tuple(earlier.rounds for earlier in self._earlier), shortest, longest)


def _with(distinct: Floats, times: Floats) -> Floats:
    """Return distinct times in rising order with those of a round among them."""
    new = np.unique(times)
    place = np.searchsorted(distinct, new)
    fresh = np.append(distinct, np.inf)[place] != new
    return np.insert(distinct, place[fresh], new[fresh])


@dataclass(frozen=True)
class Course:
    """What the loop saw of one clock: every fit, every comparison, and the message of the error that ended it, if one did."""

    fits: tuple[Fit, ...]
    comparisons: tuple[Comparison, ...]
    error: str | None = None


def course(rounds_s: Iterable[ArrayLike], warm: int = WARM, fit_every: int = FIT_EVERY, window: int = WINDOW) -> Course:
    """Return what the loop sees of one clock's rounds, each an array of records in seconds, if it never stops."""
    loop = PaperLoop(warm, fit_every, window)
    fits: list[Fit] = []
    comparisons: list[Comparison] = []
    for times_s in rounds_s:
        try:
            fit, comparison = loop.add(times_s)
        except ValueError as error:
            return Course(tuple(fits), tuple(comparisons), f"ValueError: {error}")
        fits += [] if fit is None else [fit]
        comparisons += [] if comparison is None else [comparison]
    return Course(tuple(fits), tuple(comparisons))


def stops_after(courses: Iterable[Course], threshold: float = THRESHOLD) -> int | None:
    """Return the round after which the program stops: the first at which every rJSD is within the threshold; None if never."""
    by_round: dict[int, float] = {}
    for index, one in enumerate(courses):
        seen = {comparison.rounds: comparison.rjsd for comparison in one.comparisons}
        by_round = seen if not index else {rounds: max(by_round.get(rounds, math.inf), value) for rounds, value in seen.items()}
    return min((rounds for rounds, value in by_round.items() if value <= threshold), default=None)
