"""Tail quality of every trial, metric, clock and threshold; and of groups of its samples."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import (
    JudgedMean,
    Judgement,
    NothingToKeep,
    ideal_quality,
    in_blocks,
    intervals,
)
from orchestrator.analysis.table import FLAGS, SERVICE, THRESHOLD, Column, Context, Row, View, table
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import flags_of_units
from orchestrator.configuration.analysis import ClockName
from orchestrator.stats.interval import sampling_interval
from orchestrator.stats.tail_quality import lower_percentile
from orchestrator.stats.thresholds import Threshold, own_thresholds, thresholds_from_ms
from orchestrator.stats.times import Clock
from orchestrator.subject.samples import in_order

IN_SAMPLE = "in-sample"  # Flags a figure at a threshold that the same rounds have set.
FEW_SAMPLES = "few samples"
# Samples or boxes of a group: of fewer, a share of a half is known to no better than +-0.19 of
# others like them (Clopper and Pearson, *Biometrika* 26, 1934).
FEWEST = 30
# A group of a slice, what is grouped, how many there are, the samples that count, [S], and of boxes
# a metric of parts of these samples.
SliceGroup: TypeAlias = tuple[str, str, int, NDArray[np.bool_], Judgement | None]
EVERY = "Tail quality at every threshold"
MEAN = Column(
    "mean",
    "float",
    "tail quality, a mean over rounds",
    "mean [95 % interval]",
    "quality [interval_low, interval_high]",
)
WORST = Column("worst", "float", "tail quality of the worst round", "worst", "quality")
INTERVAL = (
    Column(
        "interval_low",
        "float",
        "lower limit of the 95 % interval of the mean of *rounds to come*, in one stretch of this "
        "period",
    ),
    Column("interval_high", "float", "upper limit"),
)
COLUMNS = (
    Column("metric", "str", "its name"),
    Column("slice", "str", "`all`, or in `slices.parquet` one group of a slice as `NAME=GROUP`"),
    Column("clock", "str", f"{SERVICE}; several are joined by `and`"),
    Column("threshold", "str", "its label, such as `p99` or `50 ms`", form="bound"),
    *THRESHOLD[1:],
    Column(
        "ideal",
        "float",
        "quality without a threshold",
        "ideal",
        "quality (ideal_low, ideal_high)",
    ),
    MEAN,
    WORST,
    Column("sd", "float?", "standard deviation over rounds; null of one round"),
    Column(
        "p10",
        "float?",
        "tail quality that 10 % of rounds lie below; null where fewer than 10 rounds do",
    ),
    Column("p5", "float?", "the same of 5 %"),
    Column("p1", "float?", "the same of 1 %"),
    *INTERVAL,
    Column(
        "interval_method",
        "str",
        "`korn-graubard`, `t` of metrics that are no mean, `exact`, `none`",
    ),
    Column(
        "interval_unit",
        "str",
        "unit of the interval: `visits`, `streams` or, in one stretch, `rounds`",
    ),
    Column("interval_parameters", "map", "settings and estimates of the method, by name"),
    Column(
        "ideal_low",
        "float?",
        "lower limit of `ideal` over samples like these, where `task.limit` drew them",
    ),
    Column("ideal_high", "float?", "upper limit"),
    Column("first_round", "int32", "the figures cover rounds from this one on"),
    Column("rounds", "int32", "number of rounds that the figures cover", form="count"),
    Column("samples", "int32", "number of samples", form="count"),
    FLAGS,
)
COMMON = {"slice": "all", "metric": "@metric"}


@table(
    "tail_quality",
    COLUMNS,
    per="trial",
    title="Tail quality of {task} ({metric}) at {threshold_origin} thresholds: mean [95 % "
    "interval] / worst round",
    note="{reference}In brackets the 95 % interval of the mean of rounds to come.",
    section=EVERY,
    where={**COMMON, "clock": "@clock", "threshold_origin": ("reference", "absolute")},
    split=("threshold_origin",),
    across="threshold",
    labels={"ideal": "ideal"},
    cells=("mean", "worst"),
    views=(
        View(
            "together",
            "Tail quality of {task} ({metric}) with {clock} within {threshold}",
            "An answer counts if every clock named keeps its own bound. In brackets the 95 % "
            "interval of the mean of rounds to come.",
            EVERY,
            where={**COMMON, "clock": "@together"},
            labels={"mean": "kept", "worst": "worst round", "ideal": "ideal"},
        ),
        View(
            "other_metrics",
            "Other metrics of {task} ({clock} time) within {bound}",
            section="Differences, fresh processes and other figures",
            where={"metric": "!@metric", "clock": "@clock", "threshold": "@primary"},
            labels={
                "metric": "metric",
                "samples": "samples",
                "ideal": "ideal",
                "mean": "mean [95 % interval]",
                "worst": "worst",
            },
        ),
        View(
            "own_thresholds",
            "Tail quality of {task} ({metric}) at each trial's own percentiles",
            "A trial's own percentile fixes the share of samples on time: these figures describe "
            "one system and rank none. Thresholds are those of the first 10 rounds and applied to "
            "the others; with fewer than 20 rounds they are in-sample.",
            "Own percentiles and predictions",
            where={**COMMON, "threshold_origin": "own"},
            labels={
                "clock": "clock",
                "threshold": "percentile",
                "threshold_ns": "threshold",
                "ideal": "ideal",
                "mean": "mean [95 % interval]",
                "worst": "worst",
                "rounds": "rounds",
            },
        ),
    ),
)
def tail_quality(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial, metric, clock and threshold, from round ``first_round`` on.

    Quality is that of the metric. Where a metric scores late answers (``late``), a smaller number
    may be better, and ``worst`` is then the largest. Every interval contains its figure.
    """
    analysis, flags = context.analysis, group.flags[data.trial_id]
    found = {
        clock: own_thresholds(times, analysis.percentiles)
        for clock, times in data.inferences.items()
    }
    own = {clock: of_clock for clock, (of_clock, _) in found.items()}
    _, first_round = found[data.clock]
    own_flags = flags if first_round else (*flags, IN_SAMPLE)
    for metric in data.record.metrics:
        if (figure := figure_of(data, metric)) is not None:
            yield from figure.rows(own, own_flags, first_round)
            yield from figure.rows(group.thresholds.by_clock(data), flags)
            yield from together(data, metric, analysis.together_ms or {}, flags)


@dataclass(frozen=True)
class Figure:
    """One metric of all samples, of a group of them, or of parts of them; ``members`` are [S]."""

    data: TrialData
    metric: str
    slice: str
    members: NDArray[np.bool_]
    judged: Judgement

    @cached_property
    def answers(self) -> float:
        return self.data.answers_at_stake(self.judged, self.members)

    def rows(
        self,
        thresholds: Mapping[Clock, Sequence[Threshold]],
        flags: Sequence[str],
        first_round: int = 0,
    ) -> Iterator[Row]:
        """Yield one row per clock and threshold; the figures cover rounds from one on."""
        places = [(clock, one) for clock, of_clock in thresholds.items() for one in of_clock]
        members = slice(None) if self.members.all() else self.members  # a slice copies nothing
        times = {clock: self.data.times[clock][first_round:, members] for clock in thresholds}
        for some in in_blocks(places, len(self.data.times[self.data.clock]) - first_round):
            yield from self._rows(some, times, flags, first_round)

    def _rows(
        self,
        places: Sequence[tuple[Clock, Threshold]],
        times: Mapping[Clock, NDArray[np.float64]],
        flags: Sequence[str],
        first_round: int,
    ) -> Iterator[Row]:
        data, judged = self.data, self.judged
        bounds = {clock: [one.ns for of, one in places if of == clock] for clock in times}
        curve = np.concatenate(
            [judged.curve(times[clock], ns) for clock, ns in bounds.items() if ns]
        )
        units = data.units_from(first_round)
        ideal_low, ideal_high = None, None
        if data.record.trial.task.limit is not None and isinstance(judged, JudgedMean):
            drawn = sampling_interval(judged.scores)
            ideal_low, ideal_high = judged.shown_limits(drawn.low, drawn.high)
        found = intervals(judged, curve, self.answers, units)
        for (clock, threshold), gained, interval in zip(places, curve, found, strict=True):
            of_few = (lower_percentile(gained, percent) for percent in (10, 5, 1))
            low, high = judged.shown_limits(interval.low, interval.high)
            p10, p5, p1 = (None if below is None else judged.shown(below) for below in of_few)
            own_flags = (
                *flags,
                *flags_of_units(units, data.record.trial.load.is_open),
                *([IN_SAMPLE] if threshold.reference == data.trial_id else []),
            )
            yield {
                **data.record.labels(),
                "metric": self.metric,
                "slice": self.slice,
                "clock": clock,
                **threshold.columns(),
                "ideal": ideal_quality(judged),
                "mean": judged.shown(float(gained.mean())),
                "worst": judged.shown(float(gained.min())),
                "sd": float(gained.std(ddof=1)) if gained.size > 1 else None,
                "p10": p10,
                "p5": p5,
                "p1": p1,
                "interval_low": low,
                "interval_high": high,
                "interval_method": interval.method,
                "interval_unit": data.unit_from(first_round),
                "interval_parameters": {"confidence": interval.confidence, **interval.parameters},
                "ideal_low": ideal_low,
                "ideal_high": ideal_high,
                "first_round": first_round,
                "rounds": gained.size,
                "samples": int(self.members.sum()),
                "flags": list(dict.fromkeys(own_flags)),
            }


def figure_of(
    data: TrialData,
    metric: str,
    slice_name: str = "all",
    members: NDArray[np.bool_] | None = None,
    judged: Judgement | None = None,
) -> Figure | None:
    """Return a metric of the ``members``, [S], by default all samples, or of parts of them.

    None where there is nothing to be right about, or answers are worth what late ones are.
    """
    some = data.everything if members is None else members
    try:
        if judged is None:
            judged = data.judged(metric) if some.all() else data.judged_of_some(metric, some)
    except NothingToKeep:
        return None
    return None if math.isnan(judged.ideal()) else Figure(data, metric, slice_name, some, judged)


def together(
    data: TrialData, metric: str, bounds_ms: Mapping[ClockName, float], flags: Sequence[str]
) -> Iterator[Row]:
    """Yield the row of a set of bounds: an answer is on time when each clock keeps its own."""
    if (found := joined(data, bounds_ms)) is not None:
        known, name, threshold = found
        if (figure := figure_of(known, metric)) is not None:
            yield from figure.rows({name: (threshold,)}, flags)


def joined(
    data: TrialData, bounds_ms: Mapping[ClockName, float]
) -> tuple[TrialData, Clock, Threshold] | None:
    """Return a trial with a set of bounds as one more clock and its threshold.

    Its time is that of the first clock, as late as the latest of the set. None without bounds, or
    where the trial lacks a clock.
    """
    clocks = [Clock(name) for name in bounds_ms]
    if not clocks or any(clock not in data.times for clock in clocks):
        return None
    bounds = [thresholds_from_ms([bound])[0] for bound in bounds_ms.values()]
    ns = [bound.ns for bound in bounds]
    name = cast(Clock, " and ".join(clocks))  # of several clocks, which is none of them
    known = replace(
        data,
        times={**data.times, name: latest([data.times[clock] for clock in clocks], ns)},
        inferences={
            **data.inferences,
            name: latest([data.inferences[clock] for clock in clocks], ns),
        },
    )
    return known, name, Threshold(" and ".join(bound.label for bound in bounds), ns[0], "absolute")


def latest(times: Sequence[NDArray[np.float64]], bounds: Sequence[int]) -> NDArray[np.float64]:
    """Return times in ns that are at most the first bound where each is at most its own."""
    first = bounds[0]
    pairs = list(zip(times, bounds, strict=True))
    on_time = np.logical_and.reduce([of_clock <= bound for of_clock, bound in pairs])
    late = np.maximum.reduce([of_clock * (first / bound) for of_clock, bound in pairs])
    return np.asarray(np.where(on_time, np.clip(late, 1, first), np.maximum(late, first + 1)))


@table(
    "slices",
    (
        *COLUMNS,
        Column("name", "str", "the slice, as `analysis.slices` names it"),
        Column("group", "str", "group of the slice"),
        Column("unit", "str", "what is grouped: `samples`, or `boxes` of all samples"),
        Column(
            "members",
            "int32",
            "size of the group; for boxes, the number of references",
            form="count",
        ),
    ),
    per="trial",
    title="Tail quality of {task} by {name} ({metric}, {clock} time) within {bound}",
    note="Each group is judged alone; its interval is of its own mean over rounds to come. "
    "slices.parquet has every threshold.",
    section="Slices: tail quality of groups of samples",
    where={"clock": "@clock", "threshold": "@primary"},
    labels={
        "group": "group",
        "members": "members",
        "ideal": "ideal",
        "mean": "mean [95 % interval]",
        "worst": "worst",
    },
    split=("name", "metric"),
    order="mean",
)
def slices(context: Context, group: Group, data: TrialData) -> Iterator[Row]:
    """Yield one row per trial, metric, group of a slice, clock and common threshold.

    The columns are those of ``tail_quality``, for the group alone. Thresholds are those of all
    samples. Only with ``analysis.slices``.
    """
    thresholds, flags = group.thresholds.by_clock(data), group.flags[data.trial_id]
    for metric in data.record.metrics:
        for name in context.analysis.slices:
            for own, unit, count, members, judged in groups_of(data, metric, name):
                figure = figure_of(data, metric, f"{name}={own}", members, judged)
                few = [FEW_SAMPLES] if count < FEWEST else []
                for row in () if figure is None else figure.rows(thresholds, (*flags, *few)):
                    yield {**row, "name": name, "group": own, "unit": unit, "members": count}


def groups_of(data: TrialData, metric: str, name: str) -> Iterator[SliceGroup]:
    """Yield the groups of a slice: of samples, else those that the metric makes of their parts."""
    of_samples = data.groups_of(name)
    for group in in_order(of_samples):
        members = np.array([member == group for member in of_samples])
        yield group, "samples", int(members.sum()), members, None
    if not of_samples:
        for group, (judged, count) in data.parts(metric, name).items():
            yield group, "boxes", count, data.everything, judged
