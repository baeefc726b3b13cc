"""Mean average precision of the pictures on time: what COCOeval's ``accumulate`` and ``summarize`` do, many times over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.metrics.detection_matching import Matches

RECALL_POINTS = np.linspace(0.0, 1.0, 101)


class MeanAveragePrecision:
    """Mean average precision of any set of pictures on time, given matches.

    Precision peaks only where a right detection has just been counted, so it is needed at matched detections alone. A *run* is
    the list of matched detections of one IoU threshold and one class, by falling score; all runs stand one after the other.
    """

    def __init__(self, matches: Matches) -> None:
        classes = matches.to_find.size
        threshold, detection = np.nonzero(matches.matched)
        self._run = threshold * classes + matches.class_index[detection]
        self._runs = classes * len(matches.matched)
        self._picture = matches.picture[detection]
        self._right = ~matches.ignored[threshold, detection]
        self._inside = matches.inside[detection]

        self._inside_picture = matches.picture[matches.inside]
        inside_so_far = np.append(0, np.cumsum(matches.inside))
        self._inside_up_to = inside_so_far[detection + 1]
        class_start = inside_so_far[np.searchsorted(matches.class_index, np.arange(classes))]
        self._run_start = np.searchsorted(self._run, np.arange(self._runs))
        self._inside_before_run = np.tile(class_start, len(matches.matched))

        self._weights = np.concatenate([np.empty(0), *map(_recall_weights, matches.to_find)])
        weights_start = np.cumsum(matches.to_find) - matches.to_find
        self._weights_start = np.tile(weights_start, len(matches.matched))

    def of(self, on_time: NDArray[np.bool_]) -> float:
        """Return mean average precision where only the pictures on time, [S], have detections; NaN if there is nothing to find."""
        if not self._runs:
            return float("nan")
        there = on_time[self._picture]
        right = np.flatnonzero(there & self._right)
        run = self._run[right]
        rights_of_run = np.bincount(run, minlength=self._runs)
        earlier_runs = np.repeat(np.cumsum(rights_of_run) - rights_of_run, rights_of_run)
        rights_before = np.arange(right.size) - earlier_runs

        inside = _counts(on_time[self._inside_picture])
        matched_inside = _counts(there & self._inside)
        wrong = inside[self._inside_up_to[right]] - matched_inside[right + 1]
        wrong -= (inside[self._inside_before_run] - matched_inside[self._run_start])[run]

        precision = (rights_before + 1) / (rights_before + 1 + wrong)
        # The best precision at this recall or above. Lowering each run by its number keeps the maxima of later runs out of it.
        best = np.maximum.accumulate((precision - run)[::-1])[::-1] + run
        weights = self._weights[self._weights_start[run] + rights_before]
        return float((weights * best).sum()) / (RECALL_POINTS.size * self._runs)


def _recall_weights(to_find: int) -> NDArray[np.float64]:
    """Return how many recall points are first reached with the n-th right detection, n from 1 to ``to_find``."""
    recall = np.arange(1, to_find + 1) / to_find
    return np.bincount(np.searchsorted(recall, RECALL_POINTS), minlength=to_find).astype(np.float64)


def _counts(flags: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return how many of the first n flags are set, for n from 0 on."""
    counts = np.zeros(flags.size + 1, dtype=np.int32)
    np.cumsum(flags, out=counts[1:])
    return counts
