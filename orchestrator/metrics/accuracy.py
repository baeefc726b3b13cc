from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics.interface import Answers


class Accuracy:
    """Share of right choices: (1/S) sum over samples of [the choice is the right one].

    Predictions and references are one choice per sample, [S], all letters or all numbers; a prediction of None (no choice was
    made) is wrong; scores are 0 or 1, [S].

    Examples
    --------
    >>> Accuracy().score(Answers(predictions=["A", "C", None], references=["A", "B", "D"]))
    array([1., 0., 0.])
    """

    name = "accuracy"
    kinds: tuple[str, ...] = ("multiple_choice", "text_classification")

    def score(self, answers: Answers) -> NDArray[np.float64]:
        """Return 1 for each right choice, else 0. Raises InputError where letters meet numbers, which could never be equal."""
        made = np.array([choice is not None for choice in answers.predictions], dtype=bool)
        truth = np.asarray(answers.references)
        choices = np.asarray(
            [choice for choice in answers.predictions if choice is not None], dtype=None if made.any() else truth.dtype
        )
        if {_form(truth), _form(choices)} not in ({"letters"}, {"numbers"}):
            raise InputError(
                f"choices of type {choices.dtype}, right answers of type {truth.dtype}: both must be letters, or both whole numbers"
            )
        scores = np.zeros(truth.size)
        scores[made] = choices == truth[made]
        return scores


def _form(choices: NDArray[np.generic]) -> str:
    """Return what choices are written as: letters, numbers, or neither."""
    return {"U": "letters", "i": "numbers", "u": "numbers"}.get(choices.dtype.kind, "neither")
