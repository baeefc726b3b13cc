"""One interface over both kinds of metric: compare answers once, then read quality at any times and thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.analysis.own_metrics import AskedMetric
from orchestrator.contracts import InputError
from orchestrator.metrics import Answers, Judged, Part
from orchestrator.metrics.interface import PLAIN, Scale
from orchestrator.stats.constants import CONFIDENCE, ROUNDING
from orchestrator.stats.interval import Interval, mean_intervals
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.units import Units, evenly_chosen

MOST_TRIED = 1000
"""Most inferences whose cost is found one by one, for a metric that is no mean."""
MOST_VALUES = 2**22
"""Qualities by threshold and round, or made-up times by round and sample, in memory at once: 32 MiB."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class JudgedMean:
    """A metric that is a mean of scores, [S], of which none is worse than that of a late sample."""

    raw: NDArray[np.float64]
    scale: Scale = PLAIN

    @property
    def scores(self) -> NDArray[np.float64]:
        """What each sample gains."""
        return self.scale.gained(self.raw)

    def ideal(self) -> float:
        """Return the mean score."""
        return float(self.scores.mean())

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return tail quality, [M, R], of times [R, S] in ns at time bounds [M] in ns."""
        return quality_curve(self.scores, times, thresholds)


@dataclass(frozen=True)
class JudgedByRound(JudgedMean):
    """A metric whose scores, [R, S], are those of each round's own answers; ``raw`` is their mean over rounds.

    Where other rounds than these are asked about, as for a prediction, the mean stands for each.
    """

    by_round: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return tail quality, [M, R], of times [R, S] in ns at time bounds [M] in ns."""
        of_rounds = np.asarray(times)
        if of_rounds.shape != self.by_round.shape:
            return super().curve(times, thresholds)
        gained = self.scale.gained(self.by_round)
        rows = [quality_curve(scores, row[np.newaxis], thresholds) for scores, row in zip(gained, of_rounds, strict=True)]
        return np.concatenate(rows, axis=1)


@dataclass(frozen=True)
class JudgedSignedMean:
    """A metric that is a mean of scores, [S], some worse than that of a late sample: without these answers quality would be better."""

    raw: NDArray[np.float64]
    scale: Scale

    def ideal(self) -> float:
        """Return the mean of what each sample gains."""
        return float(self.scale.gained(self.raw).mean())

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return tail quality, [M, R], of times [R, S] in ns at time bounds [M] in ns."""
        gained = self.scale.gained(self.raw)
        return quality_curve(np.maximum(gained, 0), times, thresholds) - quality_curve(np.maximum(-gained, 0), times, thresholds)


@dataclass(frozen=True)
class JudgedOnScale:
    """A metric that is no mean, as a gain."""

    judged: Judged
    scale: Scale

    def ideal(self) -> float:
        """Return what is gained without a threshold."""
        return self.scale.gained(self.judged.ideal())

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
        """Return what is gained, [M, R], of times [R, S] in ns at time bounds [M] in ns."""
        return self.scale.gained(self.judged.curve(times, thresholds))


def scale_of(judged: Judged) -> Scale:
    """Return how a metric's quality is counted."""
    return getattr(judged, "scale", PLAIN)


class NothingToKeep(InputError):
    """Answers are worth exactly what late ones are."""


def ideal_quality(judged: Judged) -> float:
    """Return ideal quality on the metric's scale."""
    if isinstance(judged, JudgedMean | JudgedSignedMean):
        return float(judged.raw.mean())
    return judged.judged.ideal() if isinstance(judged, JudgedOnScale) else judged.ideal()


def judge(metric: str, answers: Answers) -> Judged:
    """Compare answers with references.

    Raises
    ------
    InputError
        for an unknown metric, and a `MetricBroken` for one of the user's that is broken.
    NothingToKeep
        if answers are worth exactly what late ones are.
    """
    asked = AskedMetric(metric)
    if asked.is_mean:
        return judged_mean(metric, asked.score(answers), asked.late)
    judged = asked.judge(answers)
    return judged if asked.late is None else JudgedOnScale(judged, _scale(metric, judged.ideal(), asked.late))


def judge_parts(metric: str, name: str, answers: Answers) -> dict[str, Part]:
    """Return the groups of a slice that a metric makes of parts of samples, none if it makes no such slice.

    A group by which there is nothing to keep is left out. Raises InputError for an unknown metric.
    """
    asked = AskedMetric(metric)
    late, parts = asked.late, {}
    for group, part in asked.judge_parts(name, answers).items():
        if late is None:
            parts[group] = part
        elif (ideal := part.judged.ideal()) != late:
            parts[group] = Part(JudgedOnScale(part.judged, _scale(metric, ideal, late)), part.count)
    return parts


def judged_mean(metric: str, scores: NDArray[np.float64], late: float | None) -> Judged:
    """Return a metric that is a mean of scores, [S]; ``late`` is the score of a late sample, None if the metric does not say.

    Raises NothingToKeep if answers are worth exactly what late ones are.
    """
    if late is None:
        return JudgedMean(scores)
    raw = np.asarray(scores, dtype=np.float64)
    scale = _scale(metric, float(raw.mean()), late)
    return JudgedMean(raw, scale) if (scale.gained(raw) >= 0).all() else JudgedSignedMean(raw, scale)


def _scale(metric: str, ideal: float, late: float) -> Scale:
    if ideal == late:
        raise NothingToKeep(
            f"metric {metric}: quality without a threshold is {late:g}, as if all were late: there is nothing to keep; choose another "
            "by analysis.metrics=[NAME]"
        )
    return Scale(late, 1.0 if ideal > late else -1.0)


def in_blocks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield items in blocks of at most `MOST_VALUES` values, each item taking ``size``: one block if all fit."""
    step = max(1, MOST_VALUES // max(1, size))
    return (items[start : start + step] for start in range(0, len(items), step))


def mean_curve(judged: Judged, times: NDArray[np.float64], thresholds: Sequence[float]) -> NDArray[np.float64]:
    """Return mean tail quality over rounds, [M], of times [R, S] in ns at time bounds [M] in ns; never M x R values at once."""
    means = [judged.curve(times, some).mean(axis=1) for some in in_blocks(thresholds, len(times))]
    return np.concatenate([np.empty(0), *means])


def intervals(
    judged: Judged, curve: NDArray[np.float64], answers: float, units: Units | None = None, confidence: float = CONFIDENCE
) -> list[Interval]:
    """Return the intervals of mean tail quality, one per threshold, of what each round gains, [M, R].

    ``answers`` is what `answers_at_stake` returns, ``units`` the unit of each round, [R].
    """
    return mean_intervals(curve, judged.ideal(), answers, units, bounded=isinstance(judged, JudgedMean), confidence=confidence)


def answers_at_stake(judged: Judged, samples: int, inference_of: NDArray[np.intp] | None = None) -> float:
    """Return how many answers a round can lose: (sum of w)^2/sum of w^2 of what each costs (Kish, *Survey Sampling*, section 11.7).

    Answers of one inference are late together, so that they count as one.

    Parameters
    ----------
    inference_of : [S]
        number of the inference that each sample goes through; None: every sample has its own.
    """
    of = np.arange(samples) if inference_of is None else np.unique(inference_of, return_inverse=True)[1]
    costs = np.bincount(of, weights=judged.scores) if isinstance(judged, JudgedMean) else _costs(judged, of)
    lost = costs[costs > 0]
    if not lost.size:
        return 1.0
    return float(lost.sum() ** 2 / (lost**2).sum() * (of.max() + 1) / costs.size)


def better_of_each(judged: Judged, other: Judged) -> Judged:
    """Return what no round exceeds in which either of two answers counts for a sample, by two trials' answers to the same samples.

    Of a metric that is no mean over samples the better of both stands for that, as a gain of the first one's.
    """
    scale = scale_of(judged)
    if isinstance(judged, JudgedMean | JudgedSignedMean) and isinstance(other, JudgedMean | JudgedSignedMean):
        gains = scale.gained(judged.raw), scale.gained(other.raw)
        raw = scale.shown(np.maximum(*gains))
        return JudgedMean(raw, scale) if min(map(np.min, gains)) >= 0 else JudgedSignedMean(raw, scale)
    return other if scale_of(other) == scale and other.ideal() > judged.ideal() else judged


def _costs(judged: Judged, inference_of: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the quality lost if one inference alone is late, for up to 1,000 inferences spread over all."""
    tried = _tried(inference_of)
    kept = [_without(judged, some, inference_of) for some in in_blocks(tried.tolist(), inference_of.size)]
    lost: NDArray[np.float64] = judged.ideal() - np.concatenate(kept)
    return np.where(np.abs(lost) < ROUNDING * judged.ideal(), 0.0, lost)


def _tried(inference_of: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the inferences that are looked at one by one."""
    return evenly_chosen(int(inference_of.max()) + 1, MOST_TRIED)


def _without(judged: Judged, late: Sequence[int], inference_of: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the quality left if one inference alone is late, for each of ``late``."""
    times = np.where(inference_of == np.array(late)[:, None], np.inf, 1.0)
    left: NDArray[np.float64] = judged.curve(times, [1.0])[0]
    return left
