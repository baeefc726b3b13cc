"""One interface over both kinds of metric: compare answers once, then read quality at any times and thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.metrics import Answers, Judged, MeanMetric, find_metric
from orchestrator.stats.tail_quality import quality_curve


@dataclass(frozen=True)
class JudgedMean:
    """A metric that is a mean of scores, [S]."""

    scores: NDArray[np.float64]

    def ideal(self) -> float:
        """Return the mean score."""
        return float(self.scores.mean())

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return tail quality, [M, R], of times [R, S] in ns at time bounds [M] in ns."""
        return quality_curve(self.scores, times, thresholds)


def judge(metric: str, answers: Answers) -> Judged:
    """Compare answers with references. Raises InputError for an unknown metric."""
    found = find_metric(metric)
    return JudgedMean(found.score(answers)) if isinstance(found, MeanMetric) else found.judge(answers)


def at_stake(judged: Judged, answers: Answers) -> float:
    """Return how many answers a round can lose: the sum of scores, or the number of samples of a metric that is no mean."""
    return float(judged.scores.sum()) if isinstance(judged, JudgedMean) else float(len(answers.references))
