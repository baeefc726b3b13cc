"""The series of a history: what each campaign keeps of each system, with what noise, as levels with change points between."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.history.change_points import FEWEST, Course, course
from orchestrator.history.stored import Row, Stored
from orchestrator.stats.thresholds import DEFAULT_PRIMARY, primary_threshold
from orchestrator.stats.variance_components import mean_of_processes, student_t
from orchestrator.storage.schema import Column, schema_of
from orchestrator.storage.stored_form import table_of

Figure = Literal["tail quality", "deadline"]
# Half-widths of 95 % are so many standard deviations of a normal law.
Z = 1.959963984540054
NAMES = ("model", "system", "runtime", "batch")
HEADS = [*NAMES, "id"]


@dataclass(frozen=True)
class Key:
    """What a series is of: the same work in every campaign, judged by one metric."""

    match_key: str
    task: str
    metric: str
    clock: str
    names: tuple[str, ...]

    @property
    def labels(self) -> dict[str, Any]:
        named = dict(zip(NAMES, self.names, strict=True))
        return {"match_key": self.match_key, "task": self.task, **named, "batch": int(named["batch"])}


@dataclass(frozen=True)
class Point:
    """One campaign of a series, or all campaigns of one code.

    campaigns
        their places in the history, in order of time.
    interval
        95 % interval of the mean, from its rounds and visits.
    processes, process_interval, process_error
        how many fresh processes it is of, Student's t over their means, and the standard error by these; None of one.
    deadline_ns
        the deadline that every process certifies; None unless all do.
    """

    campaigns: tuple[int, ...]
    at: datetime
    code: str
    mean: float
    ideal: float
    interval: tuple[float, float]
    processes: int
    process_interval: tuple[float, float] | None
    process_error: float | None
    rounds: int
    deadline_ns: int | None

    @property
    def sd(self) -> float:
        """The standard deviation that its own visits and processes predict for it."""
        low, high = self.interval
        return max((high - low) / 2 / Z, self.process_error or 0.0)


def shared_thresholds(stored: Sequence[Stored], wanted: str | None) -> dict[str, int]:
    """Return for each task the one threshold, in ns, at which all campaigns are read.

    The one that is ``wanted``, or the primary one of the first campaign if that is a time. Otherwise the time that most campaigns have
    stored and, of several, the one nearest to the first campaign's primary percentile: percentiles themselves move with what is measured.

    Raises
    ------
    InputError
        for a percentile or what is no time.
    """
    fixed = primary_threshold(wanted if wanted is not None else next((one.head.primary for one in stored), None), None)
    if wanted is not None and fixed is None:
        raise InputError(
            f"--threshold {wanted}: a percentile is another time in every campaign; name a time, such as --threshold '50 ms'",
            "invalid",
            "--threshold",
            wanted,
        )
    counts: dict[str, Counter[int]] = {}
    aims: dict[str, int] = {}
    for one in stored:
        columns = one.quality.select(["threshold_ns", "threshold", "threshold_origin", "task"])
        rows = columns.sort_by([("threshold_ns", "ascending"), ("threshold", "ascending")]).to_pylist()
        for task in dict.fromkeys(row["task"] for row in rows):
            of_task = [row for row in rows if row["task"] == task]
            counts.setdefault(task, Counter()).update({row["threshold_ns"] for row in of_task if row["threshold_origin"] == "absolute"})
            named = [row for row in of_task if row["threshold"] == (one.head.primary or DEFAULT_PRIMARY)]
            aims.setdefault(task, (named or of_task[len(of_task) // 2 :])[0]["threshold_ns"])

    def nearest(task: str, aim: int) -> int:
        often = [ns for ns, count in counts[task].items() if count == max(counts[task].values())] or [aim]
        return min(often, key=lambda ns: (abs(math.log(ns / aim)), ns))

    return {task: nearest(task, aim) if fixed is None else fixed.ns for task, aim in aims.items()}


def points_of(stored: Sequence[Stored], rows: Sequence[Sequence[Row]], of_code: bool) -> dict[Key, list[Point]]:
    """Return the series of a history, each with one point per campaign that has it, in order of time.

    Parameters
    ----------
    stored, rows
        campaigns in order of time, and of each one row per trial at the threshold of its task; repeats are processes of one point.
    of_code
        whether a point is the mean of all campaigns of one code, in the order in which codes first appear.
    """
    found: dict[Key, list[Point]] = {}
    for place, (campaign, of_campaign) in enumerate(zip(stored, rows, strict=True)):
        repeats: dict[Key, list[Point]] = {}
        for row in of_campaign:
            key = Key(row["match_key"], row["task"], row["metric"], row["clock"], tuple(str(row[name]) for name in NAMES))
            point = Point(
                campaigns=(place,),
                at=campaign.head.created_at,
                code=campaign.head.code,
                mean=float(row["mean"]),
                ideal=float(row["ideal"]),
                interval=(row["interval_low"], row["interval_high"]),
                processes=1,
                process_interval=None,
                process_error=None,
                rounds=row["rounds"],
                deadline_ns=campaign.deadlines.get(row["trial"]),
            )
            repeats.setdefault(key, []).append(point)
        for key, of_key in repeats.items():
            kept = [point.deadline_ns for point in of_key if point.deadline_ns is not None]
            whole = replace(_merged(of_key), campaigns=(place,), deadline_ns=max(kept) if len(kept) == len(of_key) else None)
            found.setdefault(key, []).append(whole)
    if not of_code:
        return found
    return {
        key: [_merged([point for point in points if point.code == code]) for code in dict.fromkeys(point.code for point in points)]
        for key, points in found.items()
    }


def _merged(points: Sequence[Point]) -> Point:
    """Return the mean of points, each of a process or more; halves of independent intervals add up as standard deviations do."""
    if len(points) == 1:
        return points[0]
    mean, low, high = mean_of_processes([point.mean for point in points])
    below, above = (math.sqrt(sum((point.mean - point.interval[side]) ** 2 for point in points)) / len(points) for side in (0, 1))
    deadlines = [point.deadline_ns for point in points if point.deadline_ns is not None]
    return replace(
        points[0],
        campaigns=tuple(place for point in points for place in point.campaigns),
        mean=mean,
        interval=(mean - below, mean + above),
        processes=sum(point.processes for point in points),
        process_interval=(low, high),
        process_error=(high - low) / 2 / student_t(len(points)),
        rounds=sum(point.rounds for point in points),
        deadline_ns=round(float(np.median(deadlines))) if deadlines else None,
    )


@dataclass(frozen=True)
class Series:
    """One system in every campaign.

    names
        what a reader calls it, under `HEADS`: the end of its id is among them where the others are not enough for every series.
    places, courses
        of each figure, the places of the points that have it, and its levels over these; those of certified deadlines are of logarithms.
    """

    key: Key
    names: tuple[str, ...]
    points: tuple[Point, ...]
    places: Mapping[Figure, tuple[int, ...]]
    courses: Mapping[Figure, Course]


@dataclass(frozen=True)
class Change:
    """One change point.

    before, after
        the points that it lies between, by their places in the series.
    level_before, level_after, noise
        of tail quality on the metric's scale; of deadlines in ns, with the noise as a share.
    """

    series: Series
    figure: Figure
    before: int
    after: int
    level_before: float
    level_after: float
    noise: float


def tests_of(series: Iterable[Sequence[Point]]) -> int:
    """Return how many series of figures are long enough to hold a change point; at least 1, which is what all are judged by."""
    lengths = [length for points in series for length in (len(points), sum(point.deadline_ns is not None for point in points))]
    return max(sum(length >= 2 * FEWEST for length in lengths), 1)


def series_of(points: Mapping[Key, Sequence[Point]]) -> list[Series]:
    """Return the levels of every series; all together have one probability of a false alarm."""
    tests, found = tests_of(points.values()), []
    alike = Counter((key.task, key.names) for key in points)
    are_told_apart = max(alike.values(), default=1) == 1
    for key, of_key in points.items():
        certified = tuple(place for place, point in enumerate(of_key) if point.deadline_ns is not None)
        quality = course([point.mean for point in of_key], float(np.median([point.sd for point in of_key])), tests)
        deadline = course(np.log([of_key[place].deadline_ns or 1 for place in certified]), 0.0, tests)
        places: dict[Figure, tuple[int, ...]] = {"tail quality": tuple(range(len(of_key))), "deadline": certified}
        end = key.match_key.rpartition("-")[2] if alike[key.task, key.names] > 1 else ""
        names = key.names if are_told_apart else (*key.names, end)
        found.append(Series(key, names, tuple(of_key), places, {"tail quality": quality, "deadline": deadline}))
    return found


def changes_of(series: Sequence[Series]) -> list[Change]:
    """Return every change point, in order of time."""
    found = []
    for one in series:
        for figure in get_args(Figure):
            places, course_of = one.places[figure], one.courses[figure]
            for before, after in course_of.changes:
                here, there = (level.mean if figure == "tail quality" else float(np.exp(level.mean)) for level in (before, after))
                found.append(Change(one, figure, places[before.end - 1], places[after.start], here, there, course_of.noise))
    return sorted(found, key=lambda change: (change.series.points[change.after].at, change.series.key.match_key, change.figure))


OF_SERIES = (
    Column("match_key", "str", "the id without the repeat"),
    Column("model", "str", "its name"),
    Column("task", "str", "its name"),
    Column("system", "str", "its name"),
    Column("runtime", "str", "its name"),
    Column("batch", "int32", "samples per inference"),
)
# One row per campaign, or per code with ``--by code``, and system.
HISTORY = (
    Column("campaign", "str", "the campaign's folder, below that of the history; the first one of a code"),
    Column("campaigns", "int32", "number of campaigns of the row"),
    Column("created_at", "time", "when the campaign was begun"),
    Column("code", "str", "version of the program, and the first 8 letters of the digest of the code that measured"),
    *OF_SERIES,
    Column("metric", "str", "the primary metric"),
    Column("clock", "str", "`total`, under load `response`"),
    Column("threshold_ns", "int64", "the one threshold at which all campaigns are read"),
    Column("ideal", "float", "quality without a threshold"),
    Column("mean", "float", "tail quality, a mean over rounds, and over processes"),
    Column("interval_low", "float", "lower limit of its 95 % interval from rounds and visits"),
    Column("interval_high", "float", "upper limit"),
    Column("processes", "int32", "number of fresh processes"),
    Column("process_low", "float?", "lower limit of its 95 % interval over processes; null of one process"),
    Column("process_high", "float?", "upper limit"),
    Column("rounds", "int32", "number of rounds"),
    Column("deadline_ns", "int64?", "the certified deadline: the longest of repeats, the median of a code; null where none is"),
    Column("level", "float", "mean of the level that it belongs to"),
    Column("noise", "float", "standard deviation of one campaign of the series about its level"),
    Column("change", "bool", "whether a level of tail quality begins here"),
    Column("deadline_level_ns", "float?", "geometric mean of the level of deadlines; null where none is certified"),
    Column("deadline_change", "bool", "whether a level of deadlines begins here"),
)


def history_rows(series: Sequence[Series], folders: Sequence[str], thresholds: Mapping[str, int]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of ``history.parquet``; ``folders`` are those of all campaigns, in order of time."""
    for one in series:
        quality, deadline, certified = one.courses["tail quality"], one.courses["deadline"], one.places["deadline"]
        levels = {place: level for level in quality.levels for place in range(level.start, level.end)}
        deadlines = {certified[place]: level for level in deadline.levels for place in range(level.start, level.end)}
        starts = {certified[level.start] for level in deadline.levels[1:]}
        for place, point in enumerate(one.points):
            low, high = point.process_interval or (None, None)
            yield {
                "campaign": folders[point.campaigns[0]],
                "campaigns": len(point.campaigns),
                "created_at": point.at,
                "code": point.code,
                **one.key.labels,
                "metric": one.key.metric,
                "clock": one.key.clock,
                "threshold_ns": thresholds[one.key.task],
                "ideal": point.ideal,
                "mean": point.mean,
                "interval_low": point.interval[0],
                "interval_high": point.interval[1],
                "processes": point.processes,
                "process_low": low,
                "process_high": high,
                "rounds": point.rounds,
                "deadline_ns": point.deadline_ns,
                "level": levels[place].mean,
                "noise": quality.noise,
                "change": levels[place].start == place > 0,
                "deadline_level_ns": float(np.exp(deadlines[place].mean)) if place in deadlines else None,
                "deadline_change": place in starts,
            }


# One row per change point.
CHANGE_POINTS = (
    Column("figure", "str", "`tail quality` or `deadline`"),
    *OF_SERIES,
    Column("last_before", "time", "when the last campaign of the level before was begun"),
    Column("first_after", "time", "when the first campaign of the level after was begun"),
    Column("code_before", "str", "the code of the former"),
    Column("code_after", "str", "the code of the latter"),
    Column("level_before", "float", "mean tail quality, or geometric mean of deadlines in ns, of the level before"),
    Column("level_after", "float", "the same of the level after"),
    Column("noise", "float", "standard deviation of one campaign about its level; of deadlines as a share"),
)


def change_rows(changes: Sequence[Change]) -> pa.Table:
    """Return ``change_points.parquet``."""
    rows = []
    for change in changes:
        before, after = (change.series.points[place] for place in (change.before, change.after))
        rows.append(
            change.series.key.labels
            | {
                "figure": change.figure,
                "last_before": before.at,
                "first_after": after.at,
                "code_before": before.code,
                "code_after": after.code,
                "level_before": change.level_before,
                "level_after": change.level_after,
                "noise": change.noise,
            }
        )
    return table_of(rows, schema_of(CHANGE_POINTS))
