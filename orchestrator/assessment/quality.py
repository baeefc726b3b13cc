"""Tail quality and percentiles of latency, in the mean of rounds to come: verdicts from its interval and the guard."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean, scale_of
from orchestrator.analysis.tables.slices import FEWEST
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.case import Case
from orchestrator.assessment.judged import judged_part
from orchestrator.assessment.requirements import LatencyAsked, TailQualityAsked
from orchestrator.assessment.rounds import error_of, keeps_quality, missing_rounds
from orchestrator.assessment.verdicts import Finding, worst
from orchestrator.metrics import Judged
from orchestrator.metrics.interface import PLAIN, Scale
from orchestrator.report.text import milliseconds, quality, quality_within
from orchestrator.stats.requirements import mean_reaches
from orchestrator.stats.times import Clock


@dataclass(frozen=True)
class Series:
    """What one process gained in each round, [R], and what `interval.mean_intervals` takes of it."""

    data: TrialData
    gained: NDArray[np.float64]
    ideal: float
    answers: float
    bounded: bool = True


def series_of(data: TrialData, members: NDArray[np.bool_], judged: Judged, clock: Clock, threshold_ns: int) -> Series:
    """Return what one process gained in each round at a threshold, by the judged answers of some samples, [S]."""
    times = data.times[clock] if members.all() else data.times[clock][:, members]
    gained = judged.curve(times, [threshold_ns])[0]
    return Series(data, gained, judged.ideal(), data.answers_at_stake(judged, members), isinstance(judged, JudgedMean))


def tail_quality(case: Case, asked: TailQualityAsked) -> Finding:
    """Return whether tail quality at a threshold is as asked for. Raises InputError for a metric that cannot judge these answers."""
    clock = case.clock(asked.clock)
    threshold = case.threshold(asked.threshold, clock)
    first = case.trials[0]
    members, judged, floor = judged_part(first, asked.metric, asked.slice, asked.at_least, asked.of)
    scale = scale_of(judged)
    if asked.share_of_rounds is not None:
        return keeps_quality(
            case,
            clock,
            threshold.ns,
            asked.share_of_rounds,
            at_least=asked.at_least,
            of=asked.of,
            metric=asked.metric,
            slice_name=asked.slice,
        )
    parts = []
    for data in case.trials:
        own_members, own, _ = judged_part(data, asked.metric, asked.slice, asked.at_least, asked.of)
        parts.append(series_of(data, own_members, own, clock, threshold.ns))
    metric = asked.metric or first.metric
    of = "" if asked.slice == "all" else f" of {asked.slice}"
    name = f"tail quality ({metric}{of}, {clock}) at {_threshold_words(threshold.label, threshold.ns, threshold.origin)}"
    return finding_of_means(case, parts, floor, scale, name, int(members.sum()))


def latency(case: Case, asked: LatencyAsked) -> Finding:
    """Return whether so large a share of answers as a percentile says is there within a time, in the mean of rounds to come."""
    clock = case.clock(asked.clock)
    parts = []
    for data in case.trials:
        times = data.inferences[clock]
        on_time = (times <= asked.within).mean(axis=1)
        parts.append(Series(data, on_time, 1.0, float(times.shape[1])))
    name = f"share of answers within {milliseconds(asked.within)} ({clock})"
    return finding_of_means(case, parts, asked.percentile / 100, PLAIN, name, len(case.trials[0].references))


def finding_of_means(case: Case, parts: Sequence[Series], floor: float, scale: Scale, name: str, samples: int) -> Finding:
    """Return the finding on a mean gain that every process alone must have; the worst one speaks for all."""
    found = [finding_of_mean(case, part, floor, scale, name, samples) for part in parts]
    verdict = worst(one.verdict for one in found)
    deciding = [one for one in found if one.verdict == verdict]
    chosen = (min if scale.sign > 0 else max)(deciding, key=lambda one: one.figure or 0.0)
    return replace(chosen, said=f"{chosen.said}, in the worst of {len(parts)} processes") if len(parts) > 1 else chosen


def finding_of_mean(case: Case, part: Series, floor: float, scale: Scale, name: str, samples: int) -> Finding:
    """Return the finding on a mean gain of one process that must be at least ``floor``."""
    error = error_of(part.data, case.error)
    found = mean_reaches(part.gained, floor, part.ideal, part.answers, part.data.visits, bounded=part.bounded, error=error)
    low, high = scale.shown_limits(found.low, found.high)
    mean, asked = scale.shown(found.figure), scale.shown(floor)
    figure, within = (quality, quality_within) if scale == PLAIN else (_number, _numbers)
    few = f", of only {samples} {'sample' if samples == 1 else 'samples'}" if samples < FEWEST else ""
    bound = "at least" if scale.sign > 0 else "at most"
    return Finding(
        found.verdict,
        f"{name}: {figure(mean)} {within(low, high)}{few}, asked: {bound} {asked:.6g}",
        missing_rounds(found),
        figure=mean,
        low=low,
        high=high,
        asked=asked,
        unit="quality",
        more_rounds=found.more,
        method="korn-graubard" if part.bounded else "t",
    )


def _threshold_words(label: str, ns: int, origin: str) -> str:
    return f"{label} ({milliseconds(ns)})" if origin == "reference" else label


def _number(value: float) -> str:
    return f"{value:.4g}"


def _numbers(low: float, high: float) -> str:
    return f"[{low:.4g}, {high:.4g}]"
