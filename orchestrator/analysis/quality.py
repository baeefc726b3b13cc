"""One interface over both kinds of metric: compare answers once, then read quality at any times.

A user's own metric is called here alone, and what it returns is checked once, where it is read.
A `Judgement` counts quality as what is gained over late answers, and shows it as the metric does.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.metrics import Answers, Judged, MeanMetric, find_metric
from orchestrator.stats.constants import CONFIDENCE, ROUNDING
from orchestrator.stats.interval import Interval, mean_intervals
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.units import Floats, Units, evenly_chosen
from orchestrator.stats.variance_components import mean_of_processes
from orchestrator.subject.targets import keep_traceback, one_line, place_of, traceback_text

AGREE = 1e-5  # of ideal or late quality: a metric may compute in single precision
MOST_TRIED = 1000  # inferences whose cost is found one by one, for a metric that is no mean
MOST_VALUES = 2**22  # qualities by threshold and round in memory at once: 32 MiB

Item = TypeVar("Item")
Quality = TypeVar("Quality", float, NDArray[np.float64])


class MetricBroken(InputError):
    """A user's own metric raises, or returns what is no quality."""


class AskedMetric:
    """A metric by its name; ``late`` is its score of a late sample, None if it does not say.

    Raises InputError for an unknown metric, and MetricBroken where one of the user's is broken.
    """

    def __init__(self, name: str) -> None:
        self.name, self.metric = name, find_metric(name)
        self.is_ours = type(self.metric).__module__.startswith("orchestrator.metrics.")
        self.is_mean = isinstance(self.metric, MeanMetric)
        self.late: float | None = getattr(self.metric, "late", None)

    def score(self, answers: Answers) -> Floats:
        shape, least = (len(answers.predictions),), 0.0 if self.late is None else -np.inf
        return self.numbers("score", self.metric, (answers,), shape, least)

    def numbers(
        self,
        name: str,
        of: object,
        arguments: tuple[Any, ...],
        shape: tuple[int, ...],
        least: float = -np.inf,
        undefined: bool = False,
    ) -> Floats:
        """Return a copy of what a method returns, refused if it is no quality of this shape."""
        found = np.array(self.call(name, of, *arguments), dtype=np.float64)
        fits = np.isnan(found) if undefined else np.isfinite(found) & (found >= least)
        if found.shape != shape or not fits.all():
            rule = "NaN, as ideal()" if undefined else "finite"
            rule += ", and not negative unless there is `late`" if least == 0 else ""
            found = found[~fits] if found.shape == shape else found
            raise self.broken(name, found, f"{rule}, of shape {shape}")
        return found

    def broken(self, name: str, found: Floats, rule: str) -> MetricBroken:
        what = f"{found.ravel()[:2].tolist()} of shape {found.shape}"
        return MetricBroken(f"metric {self.name}: {name} returned {what}; it must be {rule}")

    def call(self, name: str, of: object, *arguments: Any) -> Any:
        """Call a method of a metric; what one of the user's raises is a MetricBroken."""
        try:
            return getattr(of, name)(*arguments)
        except Exception as error:
            if self.is_ours:
                raise
            broken = MetricBroken(
                f"metric {self.name}: {name} raised {one_line(error)}{place_of(error)}; "
                "repair it, or name another"
            )
            keep_traceback(broken, traceback_text(error))
            raise broken from error


@dataclass(frozen=True)
class Judgement(ABC):
    """Answers compared with references; quality is counted as the gain over that of late answers.

    ``raw`` is on the metric's own scale: the scores, [S], of a metric that is a mean, else ideal
    quality. ``late`` is the quality of a task whose answers are all late, on that scale.
    """

    raw: Floats
    late: float | None = None

    @cached_property
    def sign(self) -> float:
        """Return -1 where a smaller quality is the better one, else 1."""
        return -1.0 if self.late is not None and np.mean(self.raw) < self.late else 1.0

    @property
    def plain(self) -> bool:
        """Whether more is better and a late sample scores 0, so that a gain is quality."""
        return not self.late and self.sign > 0

    @property
    def is_mean(self) -> bool:
        """Whether the metric is a mean of scores, which `raw` are."""
        return self.raw.ndim == 1

    @property
    def is_bounded(self) -> bool:
        """Whether each round gains between 0 and `ideal`: a mean of answers that never change."""
        return isinstance(self, JudgedMean) and self.by_round is None

    def ideal(self) -> float:
        return float(np.mean(self.gained(self.raw)))

    @abstractmethod
    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> Floats:
        """Return what is gained, [M, R]; see `Judged.curve`."""

    def gained(self, quality: Quality) -> Quality:
        return quality if self.plain else self.sign * (quality - (self.late or 0.0))

    def shown(self, gained: Quality) -> Quality:
        """Return a gain as quality on the metric's own scale."""
        return gained if self.plain else (self.late or 0.0) + self.sign * gained

    def shown_limits(self, low: float, high: float) -> tuple[float, float]:
        """Return an interval's limits on the metric's own scale, the lower one first."""
        ends = self.shown(low), self.shown(high)
        return ends if self.sign > 0 else ends[::-1]


@dataclass(frozen=True)
class JudgedMean(Judgement):
    """A mean of scores of which none is worse than that of a late sample.

    Where each round has answers of its own, ``by_round`` are their scores, [R, S], and ``raw`` is
    the mean of these, which stands for other rounds, as for a prediction.
    """

    by_round: Floats | None = None

    @property
    def scores(self) -> Floats:
        return self.gained(self.raw)

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> Floats:
        rounds = np.asarray(times)
        if self.by_round is None or rounds.shape != self.by_round.shape:
            return quality_curve(self.scores, times, thresholds)
        pairs = zip(self.gained(self.by_round), rounds, strict=True)
        return np.hstack([quality_curve(scores, row[None], thresholds) for scores, row in pairs])


class JudgedSignedMean(Judgement):
    """A mean of scores, some worse than that of a late sample: it were better without these."""

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> Floats:
        scores = self.gained(self.raw)
        better, worse = np.maximum(scores, 0), np.maximum(-scores, 0)
        return quality_curve(better, times, thresholds) - quality_curve(worse, times, thresholds)


@dataclass(frozen=True, kw_only=True)
class JudgedWhole(Judgement):
    """A metric that is no mean."""

    asked: AskedMetric
    judged: Judged

    def curve(self, times: ArrayLike, thresholds: ArrayLike) -> Floats:
        seen = np.broadcast_to(times, np.shape(times)), np.asarray(thresholds)  # times: read-only
        shape, undefined = (seen[1].size, len(seen[0])), bool(np.isnan(self.raw))
        return self.gained(
            self.asked.numbers("curve", self.judged, seen, shape, undefined=undefined)
        )


class NothingToKeep(InputError):
    """Answers are worth exactly what late ones are."""


def ideal_quality(judged: Judgement) -> float:
    """Return ideal quality on the metric's scale."""
    return float(np.mean(judged.raw))


def judge(metric: str, answers: Answers) -> Judgement:
    """Compare answers with references.

    Raises InputError for an unknown metric, MetricBroken for one of the user's that is broken, and
    NothingToKeep.
    """
    asked = AskedMetric(metric)
    if asked.is_mean:
        return judged_mean(metric, asked.score(answers), asked.late)
    return judged_whole(asked, asked.call("judge", asked.metric, answers), len(answers.predictions))


def judge_parts(metric: str, name: str, answers: Answers) -> dict[str, tuple[Judgement, int]]:
    """Return the groups of a slice that a metric makes of parts of samples, and their counts.

    A group with nothing to keep is left out. Raises InputError for an unknown metric.
    """
    asked, found = AskedMetric(metric), dict[str, tuple[Judgement, int]]()
    if name in getattr(asked.metric, "parts", ()):
        for group, part in asked.call("judge_parts", asked.metric, name, answers).items():
            with suppress(NothingToKeep):
                found[group] = (
                    judged_whole(asked, part.judged, len(answers.predictions)),
                    part.count,
                )
    return found


def quality_of_choices(
    metric: str, answers: Answers, predictions: Sequence[Any], chosen: NDArray[np.intp]
) -> Floats:
    """Return the quality, [N], of a metric that is no mean where other answers stand.

    In each of N cases the prediction of the number ``chosen``, [N, S], stands for each sample of
    ``answers``; -1 is none.
    """
    asked, numbers = AskedMetric(metric), np.arange(chosen.shape[1])
    if not hasattr(asked.metric, "judge_choices"):
        return np.array([_quality_of_mix(metric, answers, predictions, one) for one in chosen])
    size = len(predictions) + 1
    different, places = np.unique(numbers * size + chosen + 1, return_inverse=True)
    samples, answer = (one.tolist() for one in np.divmod(different, size))
    pairs = Answers(
        [predictions[at - 1] if at else None for at in answer],
        [answers.references[at] for at in samples],
        {name: [groups[at] for at in samples] for name, groups in answers.slices.items()},
    )
    judged = asked.call("judge_choices", asked.metric, pairs, np.array(samples))
    times = np.full((len(chosen), different.size), np.inf)
    np.put_along_axis(times, places.reshape(chosen.shape), 1.0, axis=1)
    return asked.numbers("curve", judged, (times, np.ones(1)), (1, len(chosen))).ravel()


def _quality_of_mix(
    metric: str, answers: Answers, predictions: Sequence[Any], chosen: NDArray[np.intp]
) -> float:
    there = chosen >= 0
    mixed = [predictions[at] for at in np.where(there, chosen, np.arange(chosen.size)).tolist()]
    try:
        judged = judge(metric, replace(answers, predictions=mixed))
    except NothingToKeep:
        return AskedMetric(metric).late or 0.0
    return judged.shown(float(judged.curve(np.where(there, 1.0, np.inf)[None], [1.0])[0, 0]))


def judged_whole(asked: AskedMetric, judged: Judged, samples: int) -> Judgement:
    """Return a metric that is no mean; one of the user's is tried, all on time and all late.

    Raises NothingToKeep.
    """
    ideal, late = float(asked.call("ideal", judged)), asked.late or 0.0
    _something_to_keep(asked.name, ideal, asked.late)
    found = JudgedWhole(np.array(ideal), asked.late, asked=asked, judged=judged)
    if asked.is_ours:
        return found
    ends = found.curve(np.array([[2.0], [np.inf]]).repeat(samples, axis=1), [2.0])[0]
    expected = [found.ideal(), 0 * found.ideal()]  # NaN where nothing can be right
    if not np.allclose(ends, expected, 0, AGREE * max(abs(ideal), abs(late)), equal_nan=True):
        rule = f"ideal(), {ideal:g}, where all is on time, and {late:g} where all is late"
        raise asked.broken("curve", found.shown(ends), rule)
    return found


def judged_mean(metric: str, scores: Floats, late: float | None) -> Judgement:
    """Return a metric that is a mean of scores, [S]; ``late`` is that of a late sample, if it says.

    Raises NothingToKeep.
    """
    found = JudgedMean(np.asarray(scores, dtype=np.float64), late)
    _something_to_keep(metric, ideal_quality(found), late)
    return found if late is None or (found.scores >= 0).all() else JudgedSignedMean(found.raw, late)


def _something_to_keep(metric: str, ideal: float, late: float | None) -> None:
    if ideal == late:
        raise NothingToKeep(
            f"metric {metric}: quality without a threshold is {late:g}, as if all were late: there "
            "is nothing to keep; choose another by analysis.metrics=[NAME]"
        )


def in_blocks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield items in blocks of at most `MOST_VALUES` values, each item taking ``size``."""
    step = max(1, MOST_VALUES // max(1, size))
    return (items[start : start + step] for start in range(0, len(items), step))


def mean_curve(judged: Judgement, times: Floats, thresholds: Sequence[float]) -> Floats:
    """Return mean tail quality over rounds, [M], of times [R, S] in ns at time bounds [M] in ns."""
    blocks = in_blocks(thresholds, len(times))
    return np.concatenate([np.empty(0), *(judged.curve(times, one).mean(axis=1) for one in blocks)])


def intervals(
    judged: Judgement,
    curve: Floats,
    answers: float,
    units: Units | None = None,
    confidence: float = CONFIDENCE,
) -> list[Interval]:
    """Return the intervals of mean tail quality of what each round gains, [M, R], by threshold.

    ``answers`` is what `answers_at_stake` returns, ``units`` the unit of each round, [R].
    """
    return mean_intervals(
        curve,
        judged.ideal(),
        answers,
        units,
        bounded=judged.is_bounded,
        confidence=confidence,
    )


def over_processes(
    judged: Judgement, means: ArrayLike, resolution: float, bounded: bool = True
) -> Floats:
    """Return the mean gain of fresh processes with its limits, [M, 3], by the mean of each, [M, P].

    Limits of a mean over samples stay between 0 and ideal; not so if ``bounded`` is false, since an
    answer may then cost more than none.
    """
    rows = np.asarray(means, dtype=np.float64)
    found = np.array([mean_of_processes(row, resolution) for row in rows])
    if bounded and judged.is_bounded:
        found[:, 1] = np.maximum(found[:, 1], 0.0)
        found[:, 2] = np.minimum(found[:, 2], np.maximum(found[:, 0], judged.ideal()))
    return found


def answers_at_stake(
    judged: Judgement, samples: int, inference_of: NDArray[np.intp] | None = None
) -> float:
    """Return how many answers a round can lose: (sum of w)^2 / sum of w^2 of what each costs.

    Kish, *Survey Sampling*, section 11.7. Answers of one inference are late together and count as
    one: ``inference_of``, [S], is its number; None if every sample has its own. For a metric that
    is no mean, inferences spread over all are late alone in turn.
    """
    of = np.arange(samples)
    if inference_of is not None:
        of = np.unique(inference_of, return_inverse=True)[1]
    inferences = int(of.max()) + 1
    if isinstance(judged, JudgedMean):
        costs = np.bincount(of, weights=judged.scores).astype(np.float64)
    else:
        tried, ideal = evenly_chosen(inferences, MOST_TRIED).tolist(), judged.ideal()
        late = (np.array(some)[:, None] == of for some in in_blocks(tried, samples))
        left = [judged.curve(np.where(one, np.inf, 1.0), [1.0])[0] for one in late]
        costs = ideal - np.concatenate(left)
        costs[np.abs(costs) < ROUNDING * ideal] = 0.0
    lost = costs[costs > 0]
    return float(lost.sum() ** 2 / (lost**2).sum() * inferences / costs.size) if lost.size else 1.0


def better_of_each(judged: Judgement, other: Judgement) -> Judgement:
    """Return what no round exceeds in which either of two trials' answers counts for a sample.

    Of a metric that is no mean, the better of both stands for that, as a gain of the first one's.
    """
    if judged.is_mean and other.is_mean:
        gains = judged.gained(judged.raw), judged.gained(other.raw)
        kind = JudgedMean if min(map(np.min, gains)) >= 0 else JudgedSignedMean
        return kind(judged.shown(np.maximum(*gains)), judged.late)
    return (
        other
        if (judged.late or 0.0, judged.sign) == (other.late or 0.0, other.sign)
        and other.ideal() > judged.ideal()
        else judged
    )
