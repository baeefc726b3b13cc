"""Late answers one after another: how many, how close together, and for how long there was no answer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError


def staleness(late: ArrayLike) -> NDArray[np.int64]:
    """Return how old the last answer on time is at each arrival, in frames, [N]: 0 where the answer itself is on time.

    Before the first answer on time, the arrivals since the beginning are counted.

    Examples
    --------
    >>> staleness([True, False, True, True])
    array([1, 0, 1, 2])
    """
    flags = np.asarray(late, dtype=np.bool_)
    places = np.arange(flags.size)
    return places - np.maximum.accumulate(np.where(flags, -1, places))


def late_in_windows(late: ArrayLike, length: int) -> NDArray[np.int64]:
    """Return how many are late in each window of ``length`` consecutive arrivals, [N - length + 1]; none where there are fewer.

    Raises InputError for a window that holds nothing.

    Examples
    --------
    >>> late_in_windows([True, False, True, True], 3)
    array([2, 2])
    """
    if length < 1:
        raise InputError(f"a window of {length} answers: must hold at least 1")
    until = np.concatenate([[0], np.cumsum(np.asarray(late, dtype=np.int64))])
    found: NDArray[np.int64] = until[length:] - until[: max(until.size - length, 0)]
    return found


def streak_of_each(late: ArrayLike) -> NDArray[np.int64]:
    """Return how many late answers in a row each answer is one of, [N]: the whole streak's length for all of its answers, 0 on time.

    Examples
    --------
    >>> streak_of_each([True, False, True, True])
    array([1, 0, 2, 2])
    """
    flags = np.asarray(late, dtype=np.bool_)
    first, after = _streaks(flags)
    found = np.zeros(flags.size, dtype=np.int64)
    found[flags] = np.repeat(after - first, after - first)
    return found


def worst_window_of_each(late: ArrayLike, length: int) -> NDArray[np.int64]:
    """Return how many are late in the worst of the windows of ``length`` consecutive arrivals that hold each answer, [N].

    Where there are fewer arrivals, a window holds all of them. Raises InputError for a window that holds nothing.

    Examples
    --------
    >>> worst_window_of_each([True, False, False, True, True], 3)
    array([1, 1, 2, 2, 2])
    """
    from scipy.ndimage import maximum_filter1d

    flags = np.asarray(late, dtype=np.bool_)
    held = min(length, flags.size) if flags.size else length
    found = np.zeros(flags.size, dtype=np.int64)
    counts = late_in_windows(flags, held)
    found[: counts.size] = counts
    return maximum_filter1d(found, held, mode="constant", origin=held - 1 - held // 2) if flags.size else found


class Silences(NamedTuple):
    """Stretches of late answers, E of them, in order.

    answers : int64 [E]
        how many late answers each has.
    lasted_ns : int64 [E]
        for how long there was no answer: from when the first of them was due until the next answer on time; 0 if that came before.
    """

    answers: NDArray[np.int64]
    lasted_ns: NDArray[np.int64]


def silences(late: ArrayLike, due_ns: ArrayLike, answered_ns: ArrayLike) -> Silences:
    """Return the stretches of late answers of a stream. One is a warning; one that lasts longer than a system can bear is an error.

    Parameters
    ----------
    late : [N]
        in order of arrival.
    due_ns : [N]
        until when each answer had to be there, int64, ascending.
    answered_ns : [N]
        when it was; looked at where it is on time. A stretch that the stream ends with lasts until the last answer was due.

    Examples
    --------
    >>> silences([False, True, True, False], [50, 60, 70, 80], [40, -1, 99, 75])
    Silences(answers=array([2]), lasted_ns=array([15]))
    """
    flags = np.asarray(late, dtype=np.bool_)
    due, answered = np.asarray(due_ns, dtype=np.int64), np.asarray(answered_ns, dtype=np.int64)
    first, after = _streaks(flags)
    until = np.concatenate([answered, due[-1:]])[after] if flags.size else due
    return Silences(after - first, np.maximum(until - due[first], 0))


def _streaks(late: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the first late answer of each streak, and of the first answer after it."""
    edges = np.diff(np.concatenate([[False], late, [False]]).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
