"""Tail quality averaged over how long users wait: one row per system and clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import JudgedMean, JudgedSignedMean, ideal_quality, intervals, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.metrics import Judged
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.interval import Interval
from orchestrator.stats.tail_quality import DRAWN_TOLERANCES, Tolerance, TolerancePoints, curve_over_tolerance, quality_over_tolerance
from orchestrator.stats.times import Clock
from orchestrator.stats.variance_components import mean_of_processes
from orchestrator.storage.typed_rows import Int32, Labels, Parameters


class ToleranceRow(Labels):
    """One row per match key and clock: tail quality averaged over ``analysis.tolerance``. ``trial`` is the first repeat."""

    metric: Annotated[str, "the primary metric"]
    clock: Annotated[str, "`inference` or `total`"]
    tolerance: Annotated[str, "the law of users' tolerance, in words"]
    method: Annotated[str, "`exact`, or how many tolerances stand for the law where the metric is no mean over samples"]
    ideal: Annotated[float, "quality without a threshold, of the first repeat"]
    samples: Annotated[Int32, "how many samples that quality is of"]
    mean: Annotated[float, "tail quality averaged over users, a mean over rounds, and then over repeats"]
    worst: Annotated[float, "of the worst round"]
    sd: Annotated[float | None, "standard deviation over the rounds of a repeat; null of one round"]
    interval_low: Annotated[float, "lower limit of the 95 % interval: of *rounds to come*, with repeats of *fresh processes*"]
    interval_high: Annotated[float, "upper limit"]
    interval_method: Annotated[str, "how it was found"]
    interval_unit: Annotated[str, "what it takes as independent: `visits`, `streams`, `rounds`, or with repeats `processes`"]
    interval_parameters: Annotated[Parameters, "what the method was given and estimated, numbers by name"]
    processes: Annotated[Int32, "how many repeats"]
    rounds: Annotated[Int32, "how many rounds they have in all"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


def tolerance_rows(groups: Sequence[Group], analysis: AnalysisConfig) -> Iterator[ToleranceRow]:
    """Yield the rows of a campaign for ``tolerance.parquet``; none without a law of tolerance."""
    if analysis.tolerance is None:
        return
    for group in groups:
        for repeats in group.systems().values():
            for clock in group.clocks:
                yield _row(group, repeats, clock, analysis.tolerance.law, analysis.tolerance.words)


def rounds_over_tolerance(judged: Judged, times: NDArray[np.float64], law: Tolerance) -> NDArray[np.float64]:
    """Return what each round gains averaged over users, [R], of times [R, S] in ns."""
    if isinstance(judged, JudgedMean | JudgedSignedMean):
        return quality_over_tolerance(judged.scale.gained(judged.raw), times, law)
    return curve_over_tolerance(judged.curve, times, law)


def _row(group: Group, repeats: Sequence[TrialData], clock: Clock, law: Tolerance, words: str) -> ToleranceRow:
    first = repeats[0]
    judged = first.judged(first.metric)
    scale = scale_of(judged)
    gained = [rounds_over_tolerance(data.judged(data.metric), data.times[clock], law) for data in repeats]
    mean, found = _interval(repeats, gained, clock)
    low, high = scale.shown_limits(found.low, found.high)
    exact = isinstance(judged, JudgedMean | JudgedSignedMean) or isinstance(law, TolerancePoints)
    spreads = [each.var(ddof=1) for each in gained if each.size > 1]
    return {
        **first.record.labels(),
        "metric": first.metric,
        "clock": clock,
        "tolerance": words,
        "method": "exact" if exact else f"{DRAWN_TOLERANCES} tolerances",
        "ideal": ideal_quality(judged),
        "samples": len(first.references),
        "mean": scale.shown(mean),
        "worst": scale.shown(min(float(each.min()) for each in gained)),
        "sd": float(np.sqrt(np.mean(spreads))) if spreads else None,
        "interval_low": low,
        "interval_high": high,
        "interval_method": found.method,
        "interval_unit": first.unit_from(0) if len(repeats) == 1 else "processes",
        "interval_parameters": {"confidence": found.confidence, **found.parameters},
        "processes": len(repeats),
        "rounds": sum(each.size for each in gained),
        "flags": list(dict.fromkeys(flag for data in repeats for flag in group.flags[data.trial_id])),
    }


def _interval(repeats: Sequence[TrialData], gained: Sequence[NDArray[np.float64]], clock: Clock) -> tuple[float, Interval]:
    """Return the mean with its interval: of rounds to come, or of fresh processes where there are repeats."""
    first = repeats[0]
    judged = first.judged(first.metric)
    if len(repeats) == 1:
        [found] = intervals(judged, gained[0][np.newaxis], first.answers_at_stake(judged), first.visits)
        return float(gained[0].mean()), found
    resolution = 1 / min(data.inferences[clock].size for data in repeats)
    mean, low, high = mean_of_processes([each.mean() for each in gained], resolution)
    if isinstance(judged, JudgedMean):
        low, high = max(low, 0.0), min(high, max(judged.ideal(), mean))
    return mean, Interval(low, high, CONFIDENCE, "t", {"processes": len(repeats)})
