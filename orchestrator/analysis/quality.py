"""One interface over both kinds of metric: compare answers once, then read quality at any times and thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.metrics import Answers, Judged, MeanMetric, find_metric
from orchestrator.stats.intervals import RESAMPLES, ROUNDING, Interval, rounds_intervals
from orchestrator.stats.signed_intervals import Sway, signed_intervals
from orchestrator.stats.tail_quality import quality_curve

MOST_TRIED = 1000
"""Inferences of which it is found out what each costs, of a metric that is no mean."""
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
        (sum of w)^2 / (sum of w^2) of what each inference costs: their number, where all cost the same (Kish, *Survey Sampling*,
        section 11.7). Answers of one inference are late together, so that they count as one.
    balanced
        whether that is at least half of the inferences that cost anything. Where it is not, rounds that lost a few light answers do
        not show what the heavy ones cost.
    sway
        what a round can lose and gain of a metric that is no mean over samples; None of one that is.
    """

    answers: float
    balanced: bool
    sway: Sway | None = None


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


def at_stake(judged: Judged, samples: int, inference_of: NDArray[np.intp] | None = None) -> Stake:
    """Return what a round can lose, and whether its inferences weigh about alike.

    Parameters
    ----------
    inference_of : [S]
        number of the inference that each sample goes through; None: every sample has its own.
    """
    of = np.arange(samples) if inference_of is None else np.unique(inference_of, return_inverse=True)[1]
    mean = isinstance(judged, JudgedMean)
    inferences = int(of.max()) + 1 if samples else 0
    costs = np.asarray(np.bincount(of, weights=judged.scores) if isinstance(judged, JudgedMean) else _costs(judged, of), dtype=np.float64)
    loss, losing, costly = _weighed(costs[costs > 0], inferences / costs.size)
    gain, gaining, _ = _weighed(-costs[costs < 0], inferences / costs.size)
    return Stake(losing, losing >= BALANCED * costly, None if mean else Sway(loss, losing, gain, gaining))


def intervals_of(
    curve: NDArray[np.float64], ideal: float, stake: Stake, random: np.random.Generator, resamples: int = RESAMPLES
) -> list[Interval]:
    """Return the 95 % intervals of mean tail quality over rounds, one per threshold, of either kind of metric.

    Parameters
    ----------
    curve : [M, R]
        tail quality per threshold and round.
    stake
        what a round can lose.
    random, resamples
        of the bootstrap, for a metric that is a mean.
    """
    if stake.sway is not None:
        return signed_intervals(curve, ideal, stake.sway)
    return rounds_intervals(curve, ideal, stake.answers, random, balanced=stake.balanced, resamples=resamples)


def _weighed(weights: NDArray[np.float64], share: float) -> tuple[float, float, float]:
    """Return sum, Kish's number and plain number of weights, scaled up to all inferences from those that were looked at."""
    if not weights.size:
        return 0.0, 0.0, 0.0
    total = float(weights.sum())
    return total * share, total**2 / float((weights**2).sum()) * share, weights.size * share


def _costs(judged: Judged, inference_of: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the quality that is lost where one inference alone is late, of up to 1,000 inferences spread over all."""
    inferences = int(inference_of.max()) + 1
    tried = np.unique(np.linspace(0, inferences - 1, min(inferences, MOST_TRIED)).astype(np.int64))
    kept = [_without(judged, some, inference_of) for some in in_blocks(tried.tolist(), inference_of.size)]
    lost: NDArray[np.float64] = judged.ideal() - np.concatenate(kept)
    return np.where(np.abs(lost) < ROUNDING * judged.ideal(), 0.0, lost)


def _without(judged: Judged, late: Sequence[int], inference_of: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the quality that is left where one inference alone is late, of each of ``late``."""
    times = np.where(inference_of == np.array(late)[:, None], np.inf, 1.0)
    left: NDArray[np.float64] = judged.curve(times, [1.0])[0]
    return left
