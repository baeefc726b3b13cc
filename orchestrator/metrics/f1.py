from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.metrics.accuracy import check_one_form
from orchestrator.metrics.interface import Answers
from orchestrator.stats.tail_quality import quality_curve


@dataclass(frozen=True)
class F1:
    """2 TP / (2 TP + FP + FN): the mean over classes (macro), or of all classes together (micro).

    Predictions are one class per sample, or classes by rank of which the first counts; None or an
    empty ranking is no answer. References are one class per sample. Classes are all text, all whole
    numbers, or all true and false; those count that are right or answered anywhere, and one without
    TP, FP and FN scores 0 (scikit-learn's default ``labels``, and ``zero_division=0``).

    A late sample has no answer: it is an FN of the right class and an FP of none, so that quality
    may fall when a wrong answer comes in time.

    Examples
    --------
    >>> answers = Answers(predictions=["a", "b", "b"], references=["a", "b", "a"])
    >>> F1Macro().judge(answers).curve([[10, 20, 30]], [10, 20, 30]).T.round(3)
    array([[0.333, 0.833, 0.667]])
    >>> F1Micro().judge(answers).curve([[10, 20, 30]], [10, 20, 30]).T.round(3)
    array([[0.5  , 0.8  , 0.667]])
    """

    name: str

    def judge(self, answers: Answers) -> JudgedF1:
        """Compare answers with references. Raises InputError where text meets numbers."""
        predictions, references = [*map(_first, answers.predictions)], [*answers.references]
        named = [label for label in predictions if label is not None] + references
        check_one_form(named, "predicted and right classes")
        number = {label: index for index, label in enumerate(sorted(set(named)))}
        predicted = np.array([number.get(label, -1) for label in predictions])
        reference = np.array([number[label] for label in references])
        right = predicted == reference
        if self.name == "f1_micro":
            return JudgedF1(right, [(np.flatnonzero(predicted >= 0), right.size)])
        samples = np.bincount(reference, minlength=len(number)).tolist()
        return JudgedF1(right, [(np.flatnonzero(predicted == c), n) for c, n in enumerate(samples)])


F1Macro, F1Micro = partial(F1, "f1_macro"), partial(F1, "f1_micro")


def _first(prediction: Any) -> Any:
    if isinstance(prediction, Sequence | np.ndarray) and not isinstance(prediction, str):
        return prediction[0] if len(prediction) else None
    return prediction


@dataclass(frozen=True)
class JudgedF1:
    """Which samples are answered right, [S], and for each class the samples answered by it.

    With each class comes how many samples it is the right one of.
    """

    right: NDArray[np.bool_]
    classes: Sequence[tuple[NDArray[np.intp], int]]

    def ideal(self) -> float:
        return float(self.curve(np.ones((1, self.right.size)), [1.0])[0, 0])

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        time = np.asarray(times)
        total = np.zeros((np.size(thresholds), len(time)))
        for own, to_find in self.classes:
            if own.size:
                of_class = time.take(own, axis=1)
                right = quality_curve(self.right[own], of_class, thresholds)
                named = quality_curve(np.ones(own.size), of_class, thresholds)
                right, named = np.rint(own.size * right), np.rint(own.size * named)
                # A class without samples and answers on time has no right ones either: 0 / 1.
                total += 2 * right / np.maximum(named + to_find, 1)
        return total / len(self.classes)
