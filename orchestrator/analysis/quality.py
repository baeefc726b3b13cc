"""One interface over both kinds of metric: compare answers once, then read quality at any times and thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.metrics import Answers, Judged, MeanMetric, find_metric
from orchestrator.stats.tail_quality import quality_curve

MOST_TRIED = 1000
"""Samples of which it is found out what each costs, of a metric that is no mean."""
BALANCED = 0.5
MOST_VALUES = 2**22
"""Of quality by threshold and round, or of times by round and sample made up here, in memory at once: 32 MiB."""

Item = TypeVar("Item")


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


@dataclass(frozen=True)
class Stake:
    """What a round can lose.

    answers
        (sum of w)^2 / (sum of w^2) of what each answer costs: their number, where all cost the same (Kish, *Survey Sampling*,
        section 11.7).
    balanced
        whether that is at least half of the answers that cost anything. Where it is not, rounds that lost a few light answers do
        not show what the heavy ones cost.
    """

    answers: float
    balanced: bool


def judge(metric: str, answers: Answers) -> Judged:
    """Compare answers with references. Raises InputError for an unknown metric."""
    found = find_metric(metric)
    return JudgedMean(found.score(answers)) if isinstance(found, MeanMetric) else found.judge(answers)


def in_blocks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield items in blocks of which each takes no more than `MOST_VALUES`, an item taking ``size``: one block where all fit."""
    step = max(1, MOST_VALUES // max(1, size))
    return (items[start : start + step] for start in range(0, len(items), step))


def mean_curve(judged: Judged, times: NDArray[np.float64], thresholds: Sequence[float]) -> NDArray[np.float64]:
    """Return mean tail quality over rounds, [M], of times [R, S] in ns at time bounds [M] in ns; never M x R values at once."""
    means = [judged.curve(times, some).mean(axis=1) for some in in_blocks(thresholds, len(times))]
    return np.concatenate([np.empty(0), *means])


def at_stake(judged: Judged, samples: int) -> Stake:
    """Return how many answers a round can lose, and whether they weigh about alike."""
    costs = judged.scores if isinstance(judged, JudgedMean) else _costs(judged, samples)
    costly = costs[costs > 0]
    if not costly.size:
        return Stake(0.0, True)
    answers = float(costly.sum() ** 2 / (costly**2).sum())
    return Stake(answers * samples / costs.size, answers >= BALANCED * costly.size)


def _costs(judged: Judged, samples: int) -> NDArray[np.float64]:
    """Return the quality that is lost where one sample alone is late, of up to 1,000 samples spread over all."""
    tried = np.unique(np.linspace(0, samples - 1, min(samples, MOST_TRIED)).astype(np.int64))
    kept = [_without(judged, some, samples) for some in in_blocks(tried.tolist(), samples)]
    lost: NDArray[np.float64] = judged.ideal() - np.concatenate(kept)
    return lost


def _without(judged: Judged, late: Sequence[int], samples: int) -> NDArray[np.float64]:
    """Return the quality that is left where one sample alone is late, of each of ``late``."""
    times = np.ones((len(late), samples))
    times[np.arange(len(late)), list(late)] = np.inf
    left: NDArray[np.float64] = judged.curve(times, [1.0])[0]
    return left
