from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.metrics.accuracy import check_one_form
from orchestrator.metrics.interface import Answers, Judged
from orchestrator.stats.tail_quality import quality_curve

NO_ANSWER = -1


@dataclass(frozen=True)
class Classified:
    """Answers and references, [S], as numbers of ``classes``, which are those that occur anywhere.

    As scikit-learn's default set of labels; a sample without an answer is predicted `NO_ANSWER`.
    A late sample has no answer either: it is a false negative (FN) of the right class and a false
    positive (FP) of none, so that quality may fall when a wrong answer comes in time.
    """

    predicted: NDArray[np.int64]
    reference: NDArray[np.int64]
    classes: int

    @classmethod
    def of(cls, answers: Answers) -> Self:
        """Compare answers with references.

        Predictions are one class per sample, or classes by rank of which the first counts; None or
        an empty ranking is no answer. References are one class per sample. Classes are all text,
        all whole numbers, or all true and false.

        Examples
        --------
        >>> Classified.of(Answers(["cat", None, "dog"], ["cat", "cat", "owl"])).predicted
        array([ 0, -1,  1])
        """
        predictions, references = [*map(_first, answers.predictions)], [*answers.references]
        named = [label for label in predictions if label is not None] + references
        check_one_form(named, "predicted and right classes")
        number = {label: index for index, label in enumerate(sorted(set(named)))}
        predicted = [NO_ANSWER if label is None else number[label] for label in predictions]
        reference = [number[label] for label in references]
        return cls(np.array(predicted), np.array(reference), len(number))

    def ideal(self) -> float:
        return float(self.curve(np.ones((1, self.predicted.size)), [1.0])[0, 0])

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        raise NotImplementedError


def _first(prediction: Any) -> Any:
    if isinstance(prediction, Sequence | np.ndarray) and not isinstance(prediction, str):
        return prediction[0] if len(prediction) else None
    return prediction


class JudgedF1Macro(Classified):
    """Mean over classes of 2 TP / (2 TP + FP + FN), where TP is right answers of the class.

    A class without TP, FP and FN scores 0 (scikit-learn's ``labels`` and ``zero_division=0``).

    Examples
    --------
    >>> judged = F1Macro().judge(Answers(predictions=["a", "b", "b"], references=["a", "b", "a"]))
    >>> judged.curve([[10, 20, 30]], [10, 20, 30]).round(3)
    array([[0.333],
           [0.833],
           [0.667]])
    """

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        time = np.asarray(times)
        found = np.zeros((np.size(thresholds), len(time)))
        for number in range(self.classes):
            own = self.predicted == number
            if own.any():
                right = quality_curve(self.reference[own] == number, time[:, own], thresholds)
                named = quality_curve(np.ones(own.sum()), time[:, own], thresholds)
                of_class = np.count_nonzero(self.reference == number) / own.sum()
                found += 2 * right / np.maximum(named + of_class, 1 / own.sum())
        return found / self.classes


class JudgedF1Micro(Classified):
    """F1 over the answers of all classes: 2 (right answers on time) / (answers on time + S).

    Examples
    --------
    >>> judged = F1Micro().judge(Answers(predictions=["a", "b", "b"], references=["a", "b", "a"]))
    >>> judged.curve([[10, 20, 30]], [10, 20, 30]).round(3)
    array([[0.5  ],
           [0.8  ],
           [0.667]])
    """

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        right = quality_curve(self.predicted == self.reference, times, thresholds)
        answered = quality_curve(self.predicted != NO_ANSWER, times, thresholds)
        return 2 * right / (answered + 1)


@dataclass(frozen=True)
class F1:
    """A metric by what it judges with."""

    name: str
    judge: Callable[[Answers], Judged]


F1Macro = partial(F1, "f1_macro", JudgedF1Macro.of)
F1Micro = partial(F1, "f1_micro", JudgedF1Micro.of)
