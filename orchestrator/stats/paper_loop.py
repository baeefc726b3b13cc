"""The convergence loop of the paper's program of 2024 (``run_tq.py``, see `study.program`)."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats
from orchestrator.stats.paper_densities import Density, distances, kdepy_bandwidth, rjsd

WINDOW = 5
WARM, FIT_EVERY, THRESHOLD = 1, 2, 0.05
"""Defaults of the scripts: rounds before the first fit, rounds between fits, and the largest rJSD that ends the loop."""


class Fit(NamedTuple):
    """One fit of all records so far.

    records, distinct
        how many there were, and how many different times among them.
    range, bandwidth
        longest minus shortest time, and KDEpy's bandwidth, in seconds.
    """

    rounds: int
    records: int
    distinct: int
    range: float
    bandwidth: float


class Comparison(NamedTuple):
    """A fit beside those of the window.

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

    The pool holds all records of all rounds; the ``warm`` first ones only put the first fit off. A fit comes after round r > warm
    where r - warm is a multiple of ``fit_every``. It is compared with the ``window`` before it only where the number of earlier
    fits is a multiple of the window: at fits 6, 11, 16 and so on.
    """

    def __init__(self, warm: int = WARM, fit_every: int = FIT_EVERY, window: int = WINDOW) -> None:
        self._warm, self._fit_every, self._window = warm, fit_every, window
        self._rounds = self._fits = 0
        self._records: list[Floats] = []
        self._distinct: Floats = np.empty(0)
        self._earlier: deque[Fit] = deque(maxlen=window)

    def add(self, times_s: ArrayLike) -> tuple[Fit | None, Comparison | None]:
        """Take in the records of a round, in seconds, those without a time (+inf) left out; return its fit and comparison.

        Raises ValueError where the program ends with one, because no bandwidth can be found; the round is taken in all the same.
        """
        times = np.asarray(times_s, dtype=np.float64).ravel()
        self._rounds += 1
        self._records.append(times[np.isfinite(times)])
        new = np.unique(self._records[-1])
        place = np.searchsorted(self._distinct, new)
        fresh = np.append(self._distinct, np.inf)[place] != new
        self._distinct = np.insert(self._distinct, place[fresh], new[fresh])
        if self._rounds <= self._warm or (self._rounds - self._warm) % self._fit_every:
            return None, None
        pool = np.concatenate(self._records)
        self._records = [pool]
        if not pool.size:
            return None, None
        shortest, longest, distinct = float(self._distinct[0]), float(self._distinct[-1]), self._distinct.size
        fit = Fit(self._rounds, pool.size, distinct, longest - shortest, kdepy_bandwidth(pool, distinct))
        comparison = None
        if self._fits and self._fits % self._window == 0:
            # The pools of earlier fits are the first records of this one.
            current, *others = [Density(pool[: one.records], one.bandwidth) for one in (fit, *self._earlier)]
            found = distances(current, others, shortest, longest)
            comparison = Comparison(fit.rounds, rjsd(found), found, tuple(one.rounds for one in self._earlier), shortest, longest)
        self._fits += 1
        self._earlier.append(fit)
        return fit, comparison
