from __future__ import annotations

from numpy import float64
from numpy.typing import NDArray

from orchestrator.metrics.interface import Answers
from orchestrator.metrics.top_k import top_k_scores


class Top1:
    """Top-1 accuracy: (1/S) sum over samples of [the likeliest class is the right one].

    Predictions are class ids by rank, [S, K] or S sequences; references are class ids, [S]; scores are 0 or 1, [S].

    Examples
    --------
    >>> Top1().score(Answers(predictions=[[7, 2], [3, 7]], references=[7, 7]))
    array([1., 0.])
    """

    name = "top1"
    kinds: tuple[str, ...] = ("image_classification",)

    def score(self, answers: Answers) -> NDArray[float64]:
        """Return 1 for each sample answered right, else 0."""
        return top_k_scores(answers.predictions, answers.references, k=1)
