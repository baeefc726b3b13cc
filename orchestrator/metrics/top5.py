from __future__ import annotations

from numpy import float64
from numpy.typing import NDArray

from orchestrator.metrics.interface import Answers
from orchestrator.metrics.top_k import top_k_scores


class Top5:
    """Top-5 accuracy: (1/S) sum over samples of [the right class is among the five likeliest].

    Predictions are class ids by rank, [S, K] or S sequences, K at least 5; references are class ids, [S]; scores are 0 or 1,
    [S].

    Examples
    --------
    >>> Top5().score(Answers(predictions=[[4, 3, 2, 1, 7], [6, 5, 4, 3, 2]], references=[7, 7]))
    array([1., 0.])
    """

    name = "top5"
    kinds: tuple[str, ...] = ("image_classification",)

    def score(self, answers: Answers) -> NDArray[float64]:
        """Return 1 for each sample with the right class among the first five, else 0."""
        return top_k_scores(answers.predictions, answers.references, k=5)
