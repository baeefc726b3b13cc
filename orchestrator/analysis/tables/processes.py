"""Tail quality of systems: of fresh processes, where it varies; and averaged over users."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import (
    JudgedMean,
    ideal_quality,
    in_blocks,
    intervals,
    over_processes,
)
from orchestrator.analysis.table import (
    CLOCK,
    FLAGS,
    METRIC,
    THRESHOLD,
    Column,
    Context,
    Row,
    table,
)
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
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import Clock
from orchestrator.stats.units import spread, units_of
from orchestrator.stats.variance_components import (
    FEWEST_PROCESSES,
    Costs,
    best_split,
    variance_components,
)

SD = "number .4f"


@table(
    "processes",
    (
        METRIC,
        CLOCK,
        *THRESHOLD,
        Column("primary", "bool", "whether it is the one threshold for rules and gates"),
        Column("ideal", "float", "quality without a threshold, of the first repeat"),
        Column("processes", "int32", "number of repeats, each a fresh process", "repeats", "count"),
        Column("rounds", "int32", "number of rounds of all repeats"),
        Column(
            "mean",
            "float",
            "tail quality, the mean of the repeats' means",
            "mean [95 % interval]",
            "quality [interval_low, interval_high]",
        ),
        Column(
            "interval_low",
            "float",
            "lower limit of the 95 % interval of the mean of *fresh processes*, Student's t over "
            "repeats",
        ),
        Column("interval_high", "float", "upper limit"),
        Column(
            "process_sd",
            "float",
            "standard deviation between processes",
            "process sd",
            SD,
        ),
        Column(
            "visit_sd",
            "float?",
            "standard deviation between visits of a process; null without visits",
            "visit sd",
            SD,
        ),
        Column("round_sd", "float", "standard deviation between rounds of a visit", "round sd", SD),
        Column(
            "sample_sd",
            "float?",
            "standard deviation of a round due to single samples; null if the metric is no mean",
            "samples' sd",
            SD,
        ),
        Column(
            "long_run_sd",
            "float",
            "long-run standard deviation of a round: a mean of R rounds has this divided by "
            "the root of R",
        ),
        Column(
            "process_long_run_sd",
            "float",
            "standard deviation between processes, beyond what `long_run_sd` explains",
        ),
        Column(
            "process_s",
            "float?",
            "cost of a fresh process before its first round, in s; null if unknown",
            "a process costs",
            "s",
        ),
        Column(
            "round_s",
            "float",
            "cost of a round: how long it lasts, in s",
            "a round costs",
            "s",
        ),
        Column(
            "best_rounds",
            "float?",
            "best number of rounds per process for a large budget; null if processes do not differ",
            "best rounds",
            "number .0f",
        ),
        Column(
            "split_processes",
            "int32?",
            "best number of processes for the time of these repeats",
            "best split: processes",
            "count",
        ),
        Column("split_rounds", "int32?", "rounds of each of these processes", "of rounds", "count"),
        Column(
            "split_half_width",
            "float?",
            "expected half-width of the 95 % interval over processes for that split",
            "half-width",
            "number .3f",
        ),
        FLAGS,
    ),
    per="group",
    title="Fresh processes of {task} ({metric}, {clock} time) within {threshold}",
    note="The interval is Student's t over the means of repeats: it is for processes to come. "
    "Standard deviations of tail quality: between processes, between visits, between rounds and "
    "due to single samples. Best rounds: rounds per process that spend a large budget best. Best "
    "split: the best use of the time that these repeats took.",
    where={"primary": True},
    section="Differences, fresh processes and other figures",
)
def processes(context: Context, group: Group) -> Iterator[Row]:
    """Yield one row per system with two repeats or more and common threshold, on the first clock.

    ``trial`` is the first repeat. Standard deviations are those of tail quality.
    """
    for repeats in group.systems().values():
        if len(repeats) < FEWEST_PROCESSES:
            continue
        most = max(len(data.times[data.clock]) for data in repeats)
        for some in in_blocks(group.thresholds.common(group.clock), most):
            bounds = [threshold.ns for threshold in some]
            curves = [
                data.judged(data.metric).curve(data.times[data.clock], bounds) for data in repeats
            ]
            long_runs = []  # variances of a round in the long run, 0 of a process of one
            for data, curve in zip(repeats, curves, strict=True):
                rounds = curve.shape[1]
                units = units_of(rounds, data.visits)
                long_runs.append(
                    rounds * spread(curve, units).variance if rounds > 1 else 0 * curve[:, 0]
                )
            long_run = np.mean(long_runs, axis=0)
            for index, threshold in enumerate(some):
                qualities = [curve[index] for curve in curves]
                yield _row(group, repeats, threshold, qualities, float(long_run[index]))


def _row(
    group: Group,
    repeats: Sequence[TrialData],
    threshold: Threshold,
    qualities: Sequence[NDArray[np.float64]],
    long_run: float,
) -> Row:
    first = repeats[0]
    judged = first.judged(first.metric)
    means = np.array([quality.mean() for quality in qualities])
    times = [data.inferences[data.clock] for data in repeats]
    mean, low, high = over_processes(judged, [means], 1 / min(ns.size for ns in times))[0].tolist()
    shown = judged.shown_limits(low, high)
    scores = [one for data in repeats if (one := data.scores_per_inference()) is not None]
    answers = None  # what each inference adds to each round, [R, B] per process
    if len(scores) == len(repeats):
        answers = [one * (ns <= threshold.ns) for one, ns in zip(scores, times, strict=True)]
    found = variance_components(qualities, [data.visits for data in repeats], answers)
    rounds = sum(quality.size for quality in qualities)
    round_s = float(np.mean([np.nanmedian(data.evidence["duration_ns"]) for data in repeats])) / 1e9
    starts_s = [
        (cold["load_ns"] + sum(cold["warmup_rounds_ns"])) / 1e9
        for cold in (data.record.cold_start for data in repeats)
        if None not in (cold.get("load_ns"), cold.get("warmup_rounds_ns"))
    ]
    process_s = float(np.mean(starts_s)) if len(starts_s) == len(repeats) else None
    process = max(float(means.var(ddof=1)) - long_run * len(repeats) / rounds, 0.0)
    costs, split = None, None
    if process_s and round_s > 0:
        costs = Costs(process, long_run, process_s, round_s)
        # A little more than was spent: sums of floats must not lose a round.
        spent_s = (len(repeats) * process_s + rounds * round_s) * (1 + 1e-9)
        split = best_split([costs], spent_s) if long_run > 0 else None
    finite = costs is not None and math.isfinite(costs.best_rounds)
    return {
        **first.record.labels(),
        "metric": first.metric,
        "clock": group.clock,
        **threshold.columns(),
        "primary": threshold == group.thresholds.primary,
        "ideal": ideal_quality(judged),
        "processes": len(repeats),
        "rounds": rounds,
        "mean": judged.shown(mean),
        "interval_low": shown[0],
        "interval_high": shown[1],
        "process_sd": math.sqrt(found.process),
        "visit_sd": _root(found.visit),
        "round_sd": math.sqrt(found.round),
        "sample_sd": _root(found.sample),
        "long_run_sd": math.sqrt(long_run),
        "process_long_run_sd": math.sqrt(process),
        "process_s": process_s,
        "round_s": round_s,
        "best_rounds": costs.best_rounds if costs is not None and finite else None,
        "split_processes": split and split.processes,
        "split_rounds": split and split.rounds,
        "split_half_width": split and split.half_width,
        "flags": group.flags_of(repeats),
    }


def _root(variance: float) -> float | None:
    return None if math.isnan(variance) else math.sqrt(variance)


@table(
    "tolerance",
    (
        METRIC,
        Column("clock", "str", "one that all trials have"),
        Column("tolerance", "str", "the distribution of users' tolerance, in words"),
        Column(
            "method",
            "str",
            "`exact`, or how many tolerances represent the distribution where the metric is no "
            "mean over samples",
        ),
        Column(
            "ideal", "float", "quality without a threshold, of the first repeat", "ideal", "quality"
        ),
        Column("samples", "int32", "number of samples"),
        Column(
            "mean",
            "float",
            "tail quality averaged over users, a mean over rounds, and then over repeats",
            "averaged over users",
            "quality [interval_low, interval_high]",
        ),
        Column("worst", "float", "tail quality of the worst round", "worst round", "quality"),
        Column("sd", "float?", "standard deviation over the rounds of a repeat; null of one round"),
        Column(
            "interval_low",
            "float",
            "lower limit of the 95 % interval: of *rounds to come*, with repeats of *fresh "
            "processes*",
        ),
        Column("interval_high", "float", "upper limit"),
        Column("interval_method", "str", "method of the estimate"),
        Column(
            "interval_unit",
            "str",
            "unit of the interval: `visits`, `streams`, `rounds`, or with repeats `processes`",
        ),
        Column(
            "interval_parameters",
            "map",
            "settings and estimates of the method, by name",
        ),
        Column("processes", "int32", "number of repeats"),
        Column("rounds", "int32", "number of rounds of all repeats"),
        FLAGS,
    ),
    per="group",
    title="Tail quality of {task} ({metric}, {clock} time) averaged over users: {tolerance}",
    note="The mean over users and rounds; each user counts the answers within their own tolerance. "
    "In brackets: the 95 % interval for rounds to come, or for fresh processes.",
    where={"clock": "@clock"},
    section="Tail quality at every threshold",
)
def tolerance(context: Context, group: Group) -> Iterator[Row]:
    """Yield one row per system and clock, if ``analysis.tolerance`` is set.

    Tail quality is averaged over how long users wait.
    """
    if context.analysis.tolerance is None:
        return
    law, words = context.analysis.tolerance.law, context.analysis.tolerance.words
    for repeats in group.systems().values():
        for clock in group.clocks:
            yield {**_averaged(group, repeats, clock, law), "tolerance": words}


def _averaged(group: Group, repeats: Sequence[TrialData], clock: Clock, law: Tolerance) -> Row:
    first = repeats[0]
    judged = first.judged(first.metric)
    gained = []  # by each round, averaged over users, [R]
    for data in repeats:
        one, times = data.judged(data.metric), data.times[clock]
        if isinstance(one, JudgedMean):
            gained.append(quality_over_tolerance(one.gained(one.raw), times, law))
        else:
            gained.append(curve_over_tolerance(one.curve, times, law))
    if len(repeats) == 1:
        mean, at_stake = float(gained[0].mean()), first.answers_at_stake(judged)
        [found] = intervals(judged, gained[0][np.newaxis], at_stake, first.visits)
    else:
        resolution = 1 / min(data.inferences[clock].size for data in repeats)
        means = [each.mean() for each in gained]
        mean, low, high = over_processes(judged, [means], resolution)[0].tolist()
        found = Interval(low, high, CONFIDENCE, "t", {"processes": len(repeats)})
    low, high = judged.shown_limits(found.low, found.high)
    exact = isinstance(judged, JudgedMean) or isinstance(law, TolerancePoints)
    spreads = [each.var(ddof=1) for each in gained if each.size > 1]
    return {
        **first.record.labels(),
        "metric": first.metric,
        "clock": clock,
        "method": "exact" if exact else f"{DRAWN_TOLERANCES} tolerances",
        "ideal": ideal_quality(judged),
        "samples": len(first.references),
        "mean": judged.shown(mean),
        "worst": judged.shown(min(float(each.min()) for each in gained)),
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
