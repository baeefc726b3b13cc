from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics.interface import Answers


class Accuracy:
    """Share of right choices: (1/S) sum over samples of [the choice is the right one].

    Predictions and references are one choice per sample, [S], all text (``A``) or all whole numbers; a prediction of None (no
    choice was made) is wrong; scores are 0 or 1, [S].

    Examples
    --------
    >>> Accuracy().score(Answers(predictions=["A", "C", None], references=["A", "B", "D"]))
    array([1., 0., 0.])
    """

    name = "accuracy"
    kinds: tuple[str, ...] = ("multiple_choice", "text_classification")

    def score(self, answers: Answers) -> NDArray[np.float64]:
        """Return 1 for each right choice, else 0. Raises InputError where text meets numbers, which could never be equal."""
        made = [choice for choice in answers.predictions if choice is not None]
        for form in (str, int | np.integer):
            if all(isinstance(choice, form) for choice in (*made, *answers.references)):
                right = [choice == truth for choice, truth in zip(answers.predictions, answers.references, strict=True)]
                return np.array(right, dtype=np.float64)
        forms = sorted({type(choice).__name__ for choice in (*made, *answers.references)})
        raise InputError(f"choices and right answers of types {', '.join(forms)}: must be all text or all whole numbers")
