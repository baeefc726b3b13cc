"""What both F1 metrics see of the answers: one class, or none, per sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics.interface import Answers

NO_ANSWER = -1

KINDS = ("text_classification", "image_classification", "multiple_choice")


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
    """Return the class that each sample was given and the one that is right.

    Parameters
    ----------
    answers
        predictions are one class per sample, or classes by rank of which the first counts; None or an empty ranking is no
        answer. References are one class per sample. Classes are all text or all whole numbers.

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
    if not any(all(isinstance(label, form) for label in named) for form in (str, int | np.integer)):
        forms = sorted({type(label).__name__ for label in named})
        raise InputError(f"predicted and right classes of types {', '.join(forms)}: must be all text or all whole numbers")
    number = {label: index for index, label in enumerate(sorted(set(named)))}
    return Classified(
        predicted=np.array([NO_ANSWER if label is None else number[label] for label in predictions], dtype=np.int64),
        reference=np.array([number[label] for label in references], dtype=np.int64),
        classes=len(number),
    )


def _first(prediction: Any) -> Any:
    """Return the class that counts: the first of a ranking; None where it is empty."""
    if isinstance(prediction, Sequence | np.ndarray) and not isinstance(prediction, str):
        return prediction[0] if len(prediction) else None
    return prediction
