"""Tail quality and percentiles of latency, in the mean of rounds to come: verdicts from its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from orchestrator.analysis.dependence import MIN_ROUNDS, alike_visits, dependent_rows, flags_of_rows
from orchestrator.analysis.quality import Stake, intervals_of, intervals_to_come, scale_of
from orchestrator.analysis.slices import FEWEST
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.case import Case
from orchestrator.assessment.judged import judged_part
from orchestrator.assessment.requirements import LatencyAsked, TailQualityAsked
from orchestrator.assessment.rounds import keeps_quality
from orchestrator.assessment.unseen import lacking
from orchestrator.assessment.verdicts import Finding, worst
from orchestrator.metrics.interface import PLAIN, Scale
from orchestrator.report.text import milliseconds, quality, quality_within
from orchestrator.stats.korn_graubard import ROUNDING, Interval
from orchestrator.stats.long_run import enough, variance_ratios
from orchestrator.stats.requirements import Verdict, by_interval, more_for_mean
from orchestrator.stats.times import Clock

WORTH_SAYING = 1.05
"""So many rounds that are worth one independent round are said."""


@dataclass(frozen=True)
class Series:
    """What one process gained in each round, [R], and what an interval of its mean takes."""

    data: TrialData
    clock: Clock
    gained: NDArray[np.float64]
    ideal: float
    stake: Stake


@dataclass(frozen=True)
class Mean:
    """A mean with its interval, as gains, and what stands in the way of a verdict.

    ``lacking`` are the rounds without which nothing tells whether rounds depend on each other. The interval of the next look is ``wider``
    so many times. ``error`` is that of the verdict. ``dependence`` says in words why it is wide; empty where rounds count as independent.
    """

    mean: float
    low: float
    high: float
    method: str
    flags: tuple[str, ...] = ()
    lacking: int = 0
    wider: float = 1.0
    error: float = 0.05
    dependence: str = ""


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
        times = data.times[clock] if own_members.all() else data.times[clock][:, own_members]
        gained = own.curve(times, [threshold.ns])[0]
        parts.append(Series(data, clock, gained, own.ideal(), data.stake(own, own_members)))
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
        parts.append(Series(data, clock, on_time, 1.0, Stake(float(times.shape[1]), True)))
    name = f"share of answers within {milliseconds(asked.within)} ({clock})"
    return finding_of_means(case, parts, asked.percentile / 100, PLAIN, name, len(case.trials[0].references))


def mean_to_come(case: Case, part: Series) -> Mean:
    """Return the mean of rounds to come of one process, with an interval of the confidence that the case asks for.

    The interval errs with half of what the case may risk: where losses are rare and rounds depend on each other, it covers less than it
    says. Each extension of a trial is another look at it, and halves what may still be risked: whoever extends until it is met would else
    meet it by chance. Of fewer than 60 rounds dependence often goes unseen, so that they count as dependent.
    """
    risk = case.error / 2 ** (1 + len(part.data.record.looks))
    confidence = 1 - risk
    curve = part.gained[None]
    visits, rounds = part.data.visits, part.gained.size
    dependent = dependent_rows(part.data, curve, part.clock)
    session = intervals_of(curve, part.ideal, part.stake, case.random(), case.resamples, confidence)
    few = rounds < MIN_ROUNDS
    alike = alike_visits(part.data, part.clock)
    [found] = intervals_to_come(curve, part.ideal, part.stake, session, dependent | few, visits, confidence, alike)
    [flags] = flags_of_rows(curve, dependent, visits)
    method = found.method if found.unit == "rounds" else f"{found.method} on {found.unit}"
    lacking = MIN_ROUNDS - rounds if few and not enough(visits) else 0
    wider = float(ndtri(risk / 4) / ndtri(risk / 2))  # the next look halves it
    told = _dependence(part, found, bool(dependent[0]))
    return Mean(float(part.gained.mean()), found.low, found.high, method, flags, lacking, wider, case.error, told)


def _dependence(part: Series, found: Interval, dependent: bool) -> str:
    """Return in words why an interval is wide: what rounds that depend on each other are worth; empty where they count as independent."""
    if found.unit == "rounds":
        return ""
    if not dependent:
        return "; so few rounds count as if they depended on each other"
    worth = float(variance_ratios([part.gained, part.data.log_medians(part.clock)], part.data.visits).max())
    return f"; {worth:.1f} rounds are worth one independent round" if worth >= WORTH_SAYING else "; rounds depend on each other"


def finding_of_means(case: Case, parts: Sequence[Series], floor: float, scale: Scale, name: str, samples: int) -> Finding:
    """Return the finding on a mean gain that every process alone must have; the worst one speaks for all."""
    found = [finding_of_mean(mean_to_come(case, part), part, floor, scale, name, samples) for part in parts]
    verdict = worst(one.verdict for one in found)
    deciding = [one for one in found if one.verdict == verdict]
    chosen = (min if scale.sign > 0 else max)(deciding, key=lambda one: one.figure or 0.0)
    return replace(chosen, said=f"{chosen.said}, in the worst of {len(parts)} processes") if len(parts) > 1 else chosen


def finding_of_mean(found: Mean, part: Series, floor: float, scale: Scale, name: str, samples: int) -> Finding:
    """Return the finding on a mean gain that must be at least ``floor``.

    Where a flag says that there is no long-run mean, or that its interval is too narrow, the verdict counts only if every round agrees.
    *Met* takes visits enough to have shown bad ones, if these are not rare enough to be borne.
    """
    verdict = by_interval(found.low, found.high, floor)
    rounds = part.gained
    agree: Verdict = "met" if rounds.min() >= floor * (1 - ROUNDING) else "not met" if rounds.max() < floor else "not shown"
    missing: list[str] = []
    more: int | None = None
    if (found.flags or found.lacking) and verdict != "not shown" and agree != verdict:
        verdict = "not shown"
        more = found.lacking or None
        if found.flags:
            missing.append(f"{', '.join(found.flags)}: the interval promises nothing of rounds to come")
        if more:
            missing.append(f"{more} more rounds: nothing tells how so few depend on each other")
    elif verdict == "not shown":
        more, told = _more(found, rounds.size, floor)
        missing.append(told)
    if verdict == "met" or (verdict == "not shown" and more is not None and not found.flags):
        unseen = lacking(part.data, rounds, floor, found.error)
        if unseen is not None and (verdict == "met" or (unseen.rounds or 0) > (more or 0)):
            verdict, more, missing = "not shown", unseen.rounds, [unseen.words]
    low, high = scale.shown_limits(found.low, found.high)
    mean, asked = scale.shown(found.mean), scale.shown(floor)
    figure, within = (quality, quality_within) if scale == PLAIN else (_number, _numbers)
    few = f", of only {samples} {'sample' if samples == 1 else 'samples'}" if samples < FEWEST else ""
    bound = "at least" if scale.sign > 0 else "at most"
    return Finding(
        verdict,
        f"{name}: {figure(mean)} {within(low, high)}{few}, asked: {bound} {asked:.6g}",
        "; ".join(missing),
        figure=mean,
        low=low,
        high=high,
        asked=asked,
        unit="quality",
        more_rounds=more,
        method=found.method,
        flags=found.flags,
    )


def _more(found: Mean, rounds: int, floor: float) -> tuple[int | None, str]:
    """Return how many more rounds would bring the interval to the bound, None if none would, and the words."""
    more = more_for_mean(rounds, found.mean, found.low, floor, found.wider)
    if more is None:
        return None, "the mean does not lie clearly enough above what is asked: more of the same would not show it"
    return more, f"about {more:,} more {'round' if more == 1 else 'rounds'}{found.dependence}"


def _threshold_words(label: str, ns: int, origin: str) -> str:
    return f"{label} ({milliseconds(ns)})" if origin == "reference" else label


def _number(value: float) -> str:
    return f"{value:.4g}"


def _numbers(low: float, high: float) -> str:
    return f"[{low:.4g}, {high:.4g}]"
