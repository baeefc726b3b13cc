from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics.accuracy import Accuracy
from orchestrator.metrics.interface import Answers


class SubjectAccuracy:
    """Average over subjects of the share of right choices: (1/G) sum over g of (right choices in g) / (samples of g).

    Every subject weighs alike, however many samples it has. Written as a mean over samples, a right choice of subject g scores
    S / (G n_g) and a wrong one 0, [S]. The subject is the sample's slice ``subject``; choices are those of `Accuracy`.

    Examples
    --------
    >>> answers = Answers(["A", "B", "C"], ["A", "B", "D"], slices={"subject": ["law", "art", "art"]})
    >>> SubjectAccuracy().score(answers)
    array([1.5 , 0.75, 0.  ])
    >>> round(float(SubjectAccuracy().score(answers).mean()), 2)
    0.75
    """

    name = "subject_accuracy"
    kinds: tuple[str, ...] = ("multiple_choice",)

    def score(self, answers: Answers) -> NDArray[np.float64]:
        """Return what each sample adds to the average. Raises InputError without subjects, and where `Accuracy` does."""
        subjects = answers.slices.get("subject", [None])
        if None in subjects:
            offered = ", ".join(answers.slices) or "none"
            raise InputError(f"subject_accuracy of a task with slices {offered}: needs a slice 'subject' for every sample")
        right = Accuracy().score(answers)
        _, subject, samples = np.unique(np.asarray(subjects, dtype=str), return_inverse=True, return_counts=True)
        return np.asarray(right * right.size / (samples.size * samples[subject]))
