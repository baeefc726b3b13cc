"""What both F1 metrics see of the answers: one class, or none, per sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics.interface import Answers
from orchestrator.metrics.labels import of_one_form, types_of
from orchestrator.stats.tail_quality import check_curve, comparable_bounds, quality_curve
from orchestrator.stats.times import checked_times

NO_ANSWER = -1


@dataclass(frozen=True)
class Classified:
    """Answers and references as numbers of classes.

    predicted, reference
        [S], from 0 to ``classes`` - 1; ``NO_ANSWER`` in ``predicted`` where the model gave none.
    classes
        how many classes are answered or right anywhere: scikit-learn's default set of labels.
    """

    predicted: NDArray[np.int64]
    reference: NDArray[np.int64]
    classes: int

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Whether the model gave an answer, [S]."""
        return np.asarray(self.predicted != NO_ANSWER)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the answer is the right class, [S]."""
        return np.asarray(self.predicted == self.reference)


def classified(answers: Answers) -> Classified:
    """Return the predicted and the right class of each sample.

    Parameters
    ----------
    answers
        predictions are one class per sample, or classes by rank of which the first counts; None or an empty ranking is no
        answer. References are one class per sample. Classes are all text, all whole numbers, or all true and
        false.

    Raises
    ------
    InputError
        if there are no samples, or text meets numbers, which could never be equal.

    Examples
    --------
    >>> classified(Answers(predictions=["cat", None, "dog"], references=["cat", "cat", "owl"])).predicted
    array([ 0, -1,  1])
    >>> classified(Answers(predictions=[[7, 2], [], [3]], references=[7, 7, 7])).classes
    2
    """
    predictions = [_first(prediction) for prediction in answers.predictions]
    references = list(answers.references)
    if not references:
        raise InputError("F1 of no samples: at least one sample is needed")
    named = [label for label in predictions if label is not None] + references
    if not of_one_form(named):
        raise InputError(
            f"predicted and right classes of types {types_of(named)}: must be all text, all whole numbers, or all true and false"
        )
    number = {label: index for index, label in enumerate(sorted(set(named)))}
    return Classified(
        predicted=np.array([NO_ANSWER if label is None else number[label] for label in predictions], dtype=np.int64),
        reference=np.array([number[label] for label in references], dtype=np.int64),
        classes=len(number),
    )


def _first(prediction: Any) -> Any:
    """Return the class that counts: the first of a ranking; None if it is empty."""
    if isinstance(prediction, Sequence | np.ndarray) and not isinstance(prediction, str):
        return prediction[0] if len(prediction) else None
    return prediction


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


class F1Micro:
    """F1 over the answers of all classes together: 2 TP / (2 TP + FP + FN).

    Every right answer is a TP; a wrong one is an FP of its class and an FN of the right class. A late sample has no answer: it
    is an FN and no FP, so that F1 = 2 (right answers on time) / (answers on time + S), and quality may fall when a wrong answer
    comes in time. Without missing answers it equals accuracy. Predictions and references are those of `f1.classified`.

    Examples
    --------
    >>> judged = F1Micro().judge(Answers(predictions=["a", "b", "b"], references=["a", "b", "a"]))
    >>> judged.curve([[10, 20, 30]], [10, 20, 30]).round(3)
    array([[0.5  ],
           [0.8  ],
           [0.667]])
    """

    name = "f1_micro"

    def judge(self, answers: Answers) -> JudgedF1Micro:
        """Compare answers with references. Raises InputError as `f1.classified` does."""
        return JudgedF1Micro(classified(answers))


@dataclass(frozen=True)
class JudgedF1Micro:
    """Answers compared with references."""

    classes: Classified

    def ideal(self) -> float:
        """Return F1 without a threshold."""
        return float(2 * self.classes.right.mean() / (self.classes.answered.mean() + 1))

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return F1, [M, R], of times [R, S] in ns (+inf: none) at time bounds [M] in ns.

        Raises
        ------
        InputError
            if a time is NaN or not positive, or a threshold is NaN.
        """
        right = quality_curve(self.classes.right, times, thresholds)
        answered = quality_curve(self.classes.answered, times, thresholds)
        return 2 * right / (answered + 1)
