from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.metrics.f1 import KINDS, Classified, classified
from orchestrator.metrics.interface import Answers
from orchestrator.stats.tail_quality import check_curve, comparable_bounds
from orchestrator.stats.times import checked_times

BLOCK = 2**17
"""Counts (rounds x classes x gaps between thresholds) made in one step, unless a single round takes more."""


class F1Macro:
    """Mean over classes of the F1 of each class: (1/C) sum over c of 2 TP_c / (2 TP_c + FP_c + FN_c).

    A late sample has no answer: it is an FN of the right class and an FP of none, so that the denominator is the number of
    samples of the class and of answers on time that name it, and quality may fall when a wrong answer comes in time. Classes are
    those that are right for a sample or answered without a threshold, whatever is late; a class without TP, FP and FN scores 0
    (scikit-learn's ``labels`` and ``zero_division=0``). Predictions and references are those of `f1.classified`.

    Examples
    --------
    >>> judged = F1Macro().judge(Answers(predictions=["a", "b", "b"], references=["a", "b", "a"]))
    >>> judged.curve([[10, 20, 30]], [10, 20, 30]).round(3)
    array([[0.333],
           [0.833],
           [0.667]])
    """

    name = "f1_macro"
    kinds: tuple[str, ...] = KINDS

    def judge(self, answers: Answers) -> JudgedF1Macro:
        """Compare answers with references. Raises InputError as `f1.classified` does."""
        return JudgedF1Macro(classified(answers))


@dataclass(frozen=True)
class JudgedF1Macro:
    """Answers compared with references."""

    classes: Classified

    def ideal(self) -> float:
        """Return F1 without a threshold."""
        on_time = np.zeros((1, self.classes.predicted.size), dtype=np.int64)
        return float(self._f1(on_time, gaps=2)[0, 0])

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return F1, [M, R], of times [R, S] in ns (+inf: none) at time bounds [M] in ns.

        Each time is sorted into the gap between two thresholds, answers and right answers are counted per class and gap, and the
        counts are accumulated over the thresholds.

        Raises
        ------
        InputError
            if a time is NaN or not positive, or a threshold is NaN.
        """
        time, bound = checked_times(times), np.asarray(thresholds)
        check_curve(self.classes.right.astype(np.float64), time, bound)
        rounds, samples = time.shape
        order = np.argsort(bound, kind="stable")
        ordered = comparable_bounds(bound[order], time)
        gaps = bound.size + 1
        curve = np.empty((bound.size, rounds))
        step = max(1, BLOCK // max(samples, self.classes.classes * gaps))
        for start in range(0, rounds, step):
            block = slice(start, start + step)
            curve[order, block] = self._f1(np.searchsorted(ordered, time[block]), gaps).T
        return curve

    def _f1(self, gap: NDArray[np.int64], gaps: int) -> NDArray[np.float64]:
        """Return F1, [rounds, gaps - 1], of samples that come in time for all but the first ``gap`` thresholds, [rounds, S]."""
        named = self._counts(gap, self.classes.answered, gaps)
        right = self._counts(gap, self.classes.right, gaps)
        of_class = np.bincount(self.classes.reference, minlength=self.classes.classes)
        # A class without samples and answers has no right answers either: 0 / 1.
        return np.asarray((2 * right / np.maximum(named + of_class[:, None], 1)).mean(axis=1))

    def _counts(self, gap: NDArray[np.int64], which: NDArray[np.bool_], gaps: int) -> NDArray[np.int64]:
        """Return how many of the answers chosen by ``which``, [S], name a class in time, [rounds, classes, gaps - 1]."""
        rounds, classes = len(gap), self.classes.classes
        row = classes * np.arange(rounds)[:, None] + self.classes.predicted[which]
        counts = np.bincount((gaps * row + gap[:, which]).ravel(), minlength=rounds * classes * gaps)
        return np.cumsum(counts.reshape(rounds, classes, gaps)[:, :, :-1], axis=2)
