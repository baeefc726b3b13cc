"""Tail quality averaged over how long users wait."""

from collections.abc import Iterator, Sequence

import numpy as np

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import (
    JudgedMean,
    JudgedSignedMean,
    ideal_quality,
    intervals,
    scale_of,
)
from orchestrator.analysis.table import FLAGS, METRIC, Column, Context, Row, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.constants import CONFIDENCE
from orchestrator.stats.interval import Interval
from orchestrator.stats.tail_quality import (
    DRAWN_TOLERANCES,
    Tolerance,
    TolerancePoints,
    curve_over_tolerance,
    quality_over_tolerance,
)
from orchestrator.stats.times import Clock
from orchestrator.stats.variance_components import mean_of_processes


@table(
    "tolerance",
    (
        METRIC,
        Column("clock", "str", "`inference` or `total`"),
        Column("tolerance", "str", "the law of users' tolerance, in words"),
        Column(
            "method",
            "str",
            "`exact`, or how many tolerances stand for the law where the metric is no mean over "
            "samples",
        ),
        Column(
            "ideal", "float", "quality without a threshold, of the first repeat", "ideal", "quality"
        ),
        Column("samples", "int32", "how many samples that quality is of"),
        Column(
            "mean",
            "float",
            "tail quality averaged over users, a mean over rounds, and then over repeats",
            "averaged over users",
            "quality [interval_low, interval_high]",
        ),
        Column("worst", "float", "of the worst round", "worst round", "quality"),
        Column("sd", "float?", "standard deviation over the rounds of a repeat; null of one round"),
        Column(
            "interval_low",
            "float",
            "lower limit of the 95 % interval: of *rounds to come*, with repeats of *fresh "
            "processes*",
        ),
        Column("interval_high", "float", "upper limit"),
        Column("interval_method", "str", "how it was found"),
        Column(
            "interval_unit",
            "str",
            "what it takes as independent: `visits`, `streams`, `rounds`, or with repeats "
            "`processes`",
        ),
        Column(
            "interval_parameters",
            "map",
            "what the method was given and estimated, numbers by name",
        ),
        Column("processes", "int32", "how many repeats"),
        Column("rounds", "int32", "how many rounds they have in all"),
        FLAGS,
    ),
    per="group",
    title="Tail quality of {task} ({metric}, {clock} time) averaged over users: {tolerance}",
    note="The mean over users and rounds; each user counts the answers within his own tolerance. "
    "In brackets the 95 % interval of rounds to come, or over fresh processes.",
    where={"clock": "@clock"},
    section="Tail quality at every threshold",
)
def tolerance(context: Context, group: Group) -> Iterator[Row]:
    """Yield a row per system and clock; none without a law of tolerance."""
    if context.analysis.tolerance is None:
        return
    law, words = context.analysis.tolerance.law, context.analysis.tolerance.words
    for repeats in group.systems().values():
        for clock in group.clocks:
            yield {**_row(group, repeats, clock, law), "tolerance": words}


def _row(group: Group, repeats: Sequence[TrialData], clock: Clock, law: Tolerance) -> Row:
    first = repeats[0]
    judged = first.judged(first.metric)
    scale = scale_of(judged)
    gained = []  # by each round, averaged over users, [R]
    for data in repeats:
        one, times = data.judged(data.metric), data.times[clock]
        if isinstance(one, JudgedMean | JudgedSignedMean):
            gained.append(quality_over_tolerance(one.scale.gained(one.raw), times, law))
        else:
            gained.append(curve_over_tolerance(one.curve, times, law))
    if len(repeats) == 1:
        mean, at_stake = float(gained[0].mean()), first.answers_at_stake(judged)
        [found] = intervals(judged, gained[0][np.newaxis], at_stake, first.visits)
    else:
        resolution = 1 / min(data.inferences[clock].size for data in repeats)
        mean, low, high = mean_of_processes([each.mean() for each in gained], resolution)
        if isinstance(judged, JudgedMean):
            low, high = max(low, 0.0), min(high, max(judged.ideal(), mean))
        found = Interval(low, high, CONFIDENCE, "t", {"processes": len(repeats)})
    low, high = scale.shown_limits(found.low, found.high)
    exact = isinstance(judged, JudgedMean | JudgedSignedMean) or isinstance(law, TolerancePoints)
    spreads = [each.var(ddof=1) for each in gained if each.size > 1]
    return {
        **first.record.labels(),
        "metric": first.metric,
        "clock": clock,
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
        "flags": group.flags_of(repeats),
    }
