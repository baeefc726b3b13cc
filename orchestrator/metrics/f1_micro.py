from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.metrics.f1 import KINDS, Classified, classified
from orchestrator.metrics.interface import Answers
from orchestrator.stats.tail_quality import quality_curve


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
    kinds: tuple[str, ...] = KINDS

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
