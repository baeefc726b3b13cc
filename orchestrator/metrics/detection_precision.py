"""Mean average precision of pictures on time, given which detections hit: what COCOeval's ``accumulate`` does, for many sets at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics.detection_matching import Matches

RECALL_POINTS = np.linspace(0.0, 1.0, 101)
BLOCK = 2**16
"""Detections looked at in one step, over sets and IoU thresholds: few enough to stay in the processor's cache."""


class MeanAveragePrecision:
    """Mean average precision of any sets of pictures on time, given matches.

    The average precision of a class depends on nothing but which of the pictures with detections of that class are on time. Rounds and
    thresholds have few such sets in common for all classes, but many for each: every class looks at each of its sets once.
    """

    def __init__(self, matches: Matches) -> None:
        self.pictures = matches.pictures
        bounds = np.searchsorted(matches.class_index, np.arange(matches.to_find.size + 1))
        self._classes = [
            ClassPrecision(matches, slice(start, stop), int(to_find))
            for start, stop, to_find in zip(bounds[:-1], bounds[1:], matches.to_find, strict=True)
        ]
        self._points = RECALL_POINTS.size * len(self._classes) * len(matches.matched)

    def of(self, on_time: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return mean average precision, [N], where only the pictures on time, [N, S], have detections; NaN if there is nothing to find."""
        if not self._points:
            return np.full(len(on_time), np.nan)
        sets, which = distinct(on_time)
        total = np.zeros(len(sets))
        for one in self._classes:
            own, which_own = distinct(sets[:, one.pictures])
            total += one.precision(own)[which_own]
        return np.asarray((total / self._points)[which])


class ClassPrecision:
    """Of one class, with P pictures that have detections of it which count: those as sure as the least sure right one.

    Precision peaks only where a right detection has just been counted, so it is needed at matched detections alone. A *run* is the list of
    those matched at one IoU threshold, by falling score; all runs stand one after the other, M detections in all.
    """

    def __init__(self, matches: Matches, own: slice, to_find: int) -> None:
        right = (matches.matched & ~matches.ignored)[:, own]
        last = int(np.flatnonzero(right.any(axis=0)).max(initial=-1)) + 1
        own = slice(own.start, own.start + last)
        inside = matches.inside[own]
        self.pictures, picture = np.unique(matches.picture[own], return_inverse=True)
        self._run, detection = np.nonzero(matches.matched[:, own])
        self._runs = len(right)
        self._run_start = np.searchsorted(self._run, np.arange(self._runs))
        self._picture = picture[detection]
        self._right = right[self._run, detection]
        self._inside = inside[detection]
        self._inside_picture = picture[inside]
        self._inside_up_to = np.cumsum(inside)[detection]
        self._weights = recall_weights(to_find)

    def precision(self, on_time: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the sum of the best precision over recall points and IoU thresholds, [N], of sets of pictures on time, [N, P]."""
        found = np.zeros(len(on_time))
        if not self._right.size:
            return found
        step = max(1, BLOCK // self._right.size)
        for start in range(0, len(on_time), step):
            found[start : start + step] = self._of_some(on_time[start : start + step])
        return found

    def _of_some(self, on_time: NDArray[np.bool_]) -> NDArray[np.float64]:
        there = on_time[:, self._picture]  # [N, M]
        right = there & self._right
        place = np.flatnonzero(right)
        of = np.repeat(np.arange(len(right)), np.diff(np.searchsorted(place, np.arange(len(right) + 1) * self._right.size)))
        pair = place - of * self._right.size
        run = self._run[pair]
        counts = np.bincount(of * self._runs + run)
        before = np.arange(place.size) - np.repeat(np.cumsum(counts) - counts, counts)

        inside, matched = _counts(on_time[:, self._inside_picture]), _counts(there & self._inside)
        matched_before_run = matched[:, self._run_start].ravel()
        wrong = inside.take(of * inside.shape[1] + self._inside_up_to[pair]) - matched.take(place + of + 1)
        wrong += np.repeat(matched_before_run[: counts.size], counts)
        right_so_far = before + 1
        backwards = np.full(right.size, -1.0 - self._runs)
        # Lowering each run by its number keeps the maxima of later runs out of it.
        backwards[~place] = right_so_far / (right_so_far + wrong) - run
        best = np.maximum.accumulate(backwards.reshape(right.shape), axis=1).take(right.size - 1 - place) + run  # at this recall or above
        return np.asarray(np.bincount(of, self._weights.take(before) * best, len(on_time)), dtype=np.float64)


def _counts(flags: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return how many of the first n flags of each row, [N, M], are set, for n from 0 on, [N, M + 1]."""
    counts = np.zeros((len(flags), flags.shape[1] + 1), dtype=np.int32)
    np.cumsum(flags.view(np.int8), axis=1, out=counts[:, 1:])
    return counts


def distinct(sets: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Return the different rows of [N, P], and which of them each row is, [N].

    Examples
    --------
    >>> distinct(np.array([[True, False], [False, False], [True, False]]))[1]
    array([1, 0, 1])
    """
    if not sets.size:
        return sets[:1], np.zeros(len(sets), dtype=np.intp)
    packed = np.packbits(sets, axis=1)
    size = packed.shape[1]
    padded = np.zeros((len(sets), max(8, size)), dtype=np.uint8)  # up to 64 pictures are one number, which is fast to sort
    padded[:, :size] = packed
    keys = padded.view(np.uint64 if size <= 8 else f"V{size}").ravel()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return sets[first], which.ravel()


def recall_weights(to_find: int) -> NDArray[np.float64]:
    """Return how many recall points are first reached with the n-th right detection, n from 1 to ``to_find``.

    Examples
    --------
    >>> recall_weights(2)
    array([51., 50.])
    """
    recall = np.arange(1, to_find + 1) / to_find
    return np.bincount(np.searchsorted(recall, RECALL_POINTS), minlength=to_find).astype(np.float64)
