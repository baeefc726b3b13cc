"""Tail quality of fresh processes: its interval over repeats, where it varies, and how a budget of time is best split among processes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import JudgedMean, ideal_quality, in_blocks, scale_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.units import spread, units_of
from orchestrator.stats.variance_components import FEWEST_PROCESSES, Costs, best_split, mean_of_processes, variance_components
from orchestrator.storage.typed_rows import Int32, Int64, Labels


class ProcessRow(Labels):
    """One row per match key with repeats and threshold: what fresh processes of it keep, on the total clock."""

    metric: Annotated[str, "the primary metric"]
    clock: Annotated[str, "`total`, under load `response`"]
    threshold: Annotated[str, "its label, such as `p99` or `50 ms`"]
    threshold_ns: Annotated[Int64, "the time bound"]
    threshold_origin: Annotated[str, "`absolute` or `reference`"]
    threshold_reference: Annotated[str | None, "the trial whose percentile it is, where the origin is `reference`"]
    primary: Annotated[bool, "whether it is the one threshold for rules and gates"]
    ideal: Annotated[float, "quality without a threshold, of the first repeat"]
    processes: Annotated[Int32, "how many repeats, each a fresh process"]
    rounds: Annotated[Int32, "how many rounds they have in all"]
    mean: Annotated[float, "tail quality, the mean of the repeats' means"]
    interval_low: Annotated[float, "lower limit of the 95 % interval of the mean of *fresh processes*, Student's t over repeats"]
    interval_high: Annotated[float, "upper limit"]
    process_sd: Annotated[float, "standard deviation of what a process has of its own"]
    visit_sd: Annotated[float | None, "of what a visit has of its own; null without visits"]
    round_sd: Annotated[float, "of what a round has of its own"]
    sample_sd: Annotated[float | None, "of a round from its samples' own ways; null where the metric is no mean of them"]
    long_run_sd: Annotated[float, "of a round in the long run: the mean of R rounds of a process varies by this over the root of R"]
    process_long_run_sd: Annotated[float, "of a process, from the spread of the repeats' means less what `long_run_sd` explains of it"]
    process_s: Annotated[float | None, "what a fresh process costs before its first round, loading and warming up, in s; null if unknown"]
    round_s: Annotated[float, "what a round costs, its answers' total time, in s"]
    best_rounds: Annotated[float | None, "rounds of a process that a large budget is best split into; null if processes do not differ"]
    split_processes: Annotated[Int32 | None, "into how many processes the time of these repeats is best split"]
    split_rounds: Annotated[Int32 | None, "how many rounds each of those has"]
    split_half_width: Annotated[float | None, "half-width of the 95 % interval over processes to be expected of that"]
    flags: Annotated[list[str], "what a reader must know of the repeats"]


def process_rows(groups: Sequence[Group]) -> Iterator[ProcessRow]:
    """Yield the rows of a campaign for ``processes.parquet``: of trials with two repeats or more, at every common threshold."""
    for group in groups:
        thresholds = group.thresholds.common(group.clock)
        for repeats in group.systems().values():
            if len(repeats) >= FEWEST_PROCESSES:
                most = max(len(data.times[data.clock]) for data in repeats)
                for some in in_blocks(thresholds, most):
                    yield from _rows(group, repeats, some)


def _rows(group: Group, repeats: Sequence[TrialData], thresholds: Sequence[Threshold]) -> Iterator[ProcessRow]:
    bounds = [threshold.ns for threshold in thresholds]
    curves = [data.judged(data.metric).curve(data.times[data.clock], bounds) for data in repeats]
    long_run = np.mean([_variances(data, curve) * curve.shape[1] for data, curve in zip(repeats, curves, strict=True)], axis=0)
    for index, threshold in enumerate(thresholds):
        qualities = [curve[index] for curve in curves]
        yield _row(group, repeats, threshold, qualities, float(long_run[index]))


def _variances(data: TrialData, curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance of a process's mean in the long run, [M], of the quality of every round, [M, R]; 0 of one round."""
    rounds = curve.shape[1]
    return spread(curve, units_of(rounds, data.visits)).variance if rounds > 1 else np.zeros(len(curve))


def _row(
    group: Group, repeats: Sequence[TrialData], threshold: Threshold, qualities: Sequence[NDArray[np.float64]], long_run: float
) -> ProcessRow:
    first = repeats[0]
    judged = first.judged(first.metric)
    scale = scale_of(judged)
    means = np.array([quality.mean() for quality in qualities])
    resolution = 1 / min(data.inferences[data.clock].size for data in repeats)
    mean, low, high = mean_of_processes(means, resolution)
    if isinstance(judged, JudgedMean):
        low, high = max(low, 0.0), min(high, max(judged.ideal(), mean))
    shown = scale.shown_limits(low, high)
    visits = [data.visits for data in repeats]
    found = variance_components(qualities, visits, _answers(repeats, threshold))
    rounds = sum(quality.size for quality in qualities)
    process_s, round_s = _process_s(repeats), float(np.mean([_round_s(data) for data in repeats]))
    process = max(float(means.var(ddof=1)) - long_run * len(repeats) / rounds, 0.0)
    costs = None if not process_s or round_s <= 0 else Costs(process, long_run, process_s, round_s)
    spent_s = None if costs is None else len(repeats) * costs.process_s + rounds * round_s
    # A little more than was spent: sums of floats must not lose a round.
    split = None if costs is None or spent_s is None or long_run <= 0 else best_split(costs, spent_s * (1 + 1e-9))
    return {
        **first.record.labels(),
        "metric": first.metric,
        "clock": group.clock,
        **threshold.columns(),
        "primary": threshold == group.thresholds.primary,
        "ideal": ideal_quality(judged),
        "processes": len(repeats),
        "rounds": rounds,
        "mean": scale.shown(mean),
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
        "best_rounds": costs.best_rounds if costs is not None and math.isfinite(costs.best_rounds) else None,
        "split_processes": split.processes if split is not None else None,
        "split_rounds": split.rounds if split is not None else None,
        "split_half_width": split.half_width if split is not None else None,
        "flags": list(dict.fromkeys(flag for data in repeats for flag in group.flags[data.trial_id])),
    }


def _answers(repeats: Sequence[TrialData], threshold: Threshold) -> list[NDArray[np.float64]] | None:
    """Return what each inference adds to each round, [R, B] per process; None where a metric or an order knows no such thing."""
    scores = [data.scores_per_inference() for data in repeats]
    known = [each for each in scores if each is not None]
    if len(known) < len(scores):
        return None
    return [each * (data.inferences[data.clock] <= threshold.ns) for each, data in zip(known, repeats, strict=True)]


def _process_s(repeats: Sequence[TrialData]) -> float | None:
    """Return the mean time of loading and warming up, in s; None if a record does not tell."""
    costs = []
    for data in repeats:
        cold = data.record.cold_start
        if cold.get("load_ns") is None or cold.get("warmup_rounds_ns") is None:
            return None
        costs.append((cold["load_ns"] + sum(cold["warmup_rounds_ns"])) / 1e9)
    return float(np.mean(costs))


def _round_s(data: TrialData) -> float:
    """Return the median over rounds of what all inferences of a round take, in s; those without an answer left out."""
    times = data.inferences[data.clock]
    return float(np.median(np.where(np.isfinite(times), times, 0.0).sum(axis=1))) / 1e9


def _root(variance: float) -> float | None:
    return None if math.isnan(variance) else math.sqrt(variance)
