"""Which round and which sample each request is: as the file says, or formed by time. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.exchange.spool import MISSING

MOST_ROUNDS = 100
LEAST_REQUESTS = 10
"""Rounds that are formed by time: so many at most, of so many requests at least."""
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Arrangement:
    """Where each row goes.

    order
        rows that are kept, [N], in order of round and sample.
    rounds, samples
        of these rows, [N]; both count from 0.
    values
        what each sample is in the file, [S]; None where samples are places in a round.
    aside
        rows at the beginning that form no whole round, in order of time; they are stored as warm-up.
    how
        says in one sentence how rounds came about.
    flag
        what a reader of each figure must know of that, or None.
    """

    order: Numbers
    rounds: NDArray[np.int32]
    samples: NDArray[np.int32]
    values: Numbers | None
    aside: Numbers
    how: str
    flag: str | None = None


def arranged(rounds: Numbers | None, samples: Numbers | None, start: Numbers | None, rows: int, scored: bool) -> Arrangement:
    """Return where each row goes.

    Parameters
    ----------
    rounds, samples
        as in the file, [rows]; None where it does not say.
    start
        when each request began, ns, [rows]; None where the file does not say. Rows without a moment come first, in the order of the file.
    scored
        whether samples have scores, so that each request must stay that of its sample.
    """
    if rounds is not None:
        return _as_given(rounds, samples)
    in_time = np.arange(rows) if start is None or (start == MISSING).all() else np.argsort(start, kind="stable")
    if samples is not None:
        values, codes, counts = np.unique(samples, return_inverse=True, return_counts=True)
        if rows and (counts == counts[0]).all() and (counts[0] > 1 or scored or rows < 2 * LEAST_REQUESTS):
            return _by_times_asked(values, codes.reshape(-1), int(counts[0]), in_time)
    if scored:
        return _one_round(rows)
    return _by_time(in_time)


def _as_given(rounds: Numbers, samples: Numbers | None) -> Arrangement:
    numbers, codes = np.unique(rounds, return_inverse=True)
    codes = codes.reshape(-1)
    if samples is None:
        order = np.argsort(codes, kind="stable")
        first = np.searchsorted(codes[order], np.arange(numbers.size))
        places = np.arange(order.size) - first[codes[order]]
        return Arrangement(order, codes[order].astype(np.int32), places.astype(np.int32), None, order[:0], _told(numbers.size))
    values, of_sample = np.unique(samples, return_inverse=True)
    of_sample = of_sample.reshape(-1)
    key = (codes.astype(np.int64) << 32) + of_sample
    order = np.arange(key.size) if (np.diff(key) > 0).all() else np.argsort(key, kind="stable")
    return Arrangement(order, codes[order].astype(np.int32), of_sample[order].astype(np.int32), values, order[:0], _told(numbers.size))


def _told(rounds: int) -> str:
    return f"The file says which of {rounds:,} rounds each request belongs to."


def _by_times_asked(values: Numbers, codes: Numbers, times: int, in_time: Numbers) -> Arrangement:
    """Make a round of the first time that each sample was asked, one of the second, and so on."""
    by_sample = in_time[np.argsort(codes[in_time], kind="stable")]
    order = by_sample.reshape(values.size, times).T.reshape(-1)
    rounds, samples = np.divmod(np.arange(order.size), values.size)
    how = f"The file holds no rounds: round k is the k-th time that each of its {values.size:,} samples was asked, in order of time."
    return Arrangement(order, rounds.astype(np.int32), samples.astype(np.int32), values, order[:0], how, None if times > 1 else "one round")


def _one_round(rows: int) -> Arrangement:
    every = np.arange(rows)
    how = (
        "The file holds no rounds, and its samples are not all asked equally often: each request is a sample of its own in one round, and "
        "nothing is known of how rounds differ."
    )
    return Arrangement(every, np.zeros(rows, np.int32), every.astype(np.int32), None, every[:0], how, "one round")


def _by_time(in_time: Numbers) -> Arrangement:
    """Cut requests into rounds of equal size in order of time; the fewest possible are put aside, at the beginning."""
    rows = in_time.size
    most = min(MOST_ROUNDS, rows // LEAST_REQUESTS)
    if most < 2:
        few = f"The file holds no rounds, and its {rows} requests are too few to form any"
        how = f"{few}: they are one round, and nothing is known of how rounds differ."
        places = np.arange(rows, dtype=np.int32)
        return Arrangement(in_time, np.zeros(rows, np.int32), places, None, in_time[:0], how, "one round")
    number = min(range(most, max(1, most * 3 // 5), -1), key=lambda count: rows % count)
    size, left = divmod(rows, number)
    rounds, places = np.divmod(np.arange(rows - left), size)
    aside = f", and the first {left} are stored as warm-up" if left else ""
    how = f"The file holds no rounds: its requests are cut into {number} rounds of {size:,} in order of time{aside}."
    return Arrangement(in_time[left:], rounds.astype(np.int32), places.astype(np.int32), None, in_time[:left], how, "rounds by time")


def first_double(made: Arrangement) -> int | None:
    """Return the second row of the first sample that a round has twice, or None."""
    same = (np.diff(made.rounds) == 0) & (np.diff(made.samples) == 0)
    return int(made.order[1:][same].min()) if same.any() else None


def visits_by_time(began: Numbers, ended: Numbers) -> NDArray[np.int32] | None:
    """Return the number of the visit of each round, [R]: one ends where the pause after it is at least half a round long.

    None where no pause is, so that all rounds are one visit.

    Parameters
    ----------
    began, ended : [R]
        when rounds did, ns.
    """
    if began.size < 2:
        return None
    pauses = began[1:] - np.maximum.accumulate(ended)[:-1]
    breaks = pauses >= max(1.0, float(np.median(ended - began)) / 2)
    return np.concatenate([[0], np.cumsum(breaks)]).astype(np.int32) if breaks.any() else None
