"""Each series of a history as levels, and its change points with what else differs there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from orchestrator.history.change_points import FEWEST, Course, course
from orchestrator.history.points import Key, Point
from orchestrator.storage.columns import Column, schema_of
from orchestrator.storage.stored_form import table_of

Figure = Literal["tail quality", "deadline"]


@dataclass(frozen=True)
class Series:
    """One system in every campaign.

    certified
        places of the points that certify a deadline.
    quality, deadline
        levels of tail quality over all points, and of the logarithm of certified deadlines over those points.
    """

    key: Key
    points: tuple[Point, ...]
    certified: tuple[int, ...]
    quality: Course
    deadline: Course

    def course(self, figure: Figure) -> Course:
        """Return the levels of one figure."""
        return self.quality if figure == "tail quality" else self.deadline

    def places(self, figure: Figure) -> tuple[int, ...]:
        """Return the places of the points that have a figure."""
        return tuple(range(len(self.points))) if figure == "tail quality" else self.certified


FIGURES: tuple[Figure, ...] = ("tail quality", "deadline")


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


def series_of(points: Mapping[Key, Sequence[Point]]) -> list[Series]:
    """Return the levels of every series; all together have one probability of a false alarm."""
    tests = tests_of(points.values())
    return [_series(key, tuple(of_key), tests) for key, of_key in points.items()]


def tests_of(series: Iterable[Sequence[Point]]) -> int:
    """Return how many series of figures are long enough to hold a change point; at least 1, which is what all are judged by."""
    lengths = [length for points in series for length in (len(points), sum(point.deadline_ns is not None for point in points))]
    return max(sum(length >= 2 * FEWEST for length in lengths), 1)


def _series(key: Key, points: tuple[Point, ...], tests: int) -> Series:
    certified = tuple(place for place, point in enumerate(points) if point.deadline_ns is not None)
    expected = float(np.median([point.sd for point in points]))
    quality = course([point.mean for point in points], expected, tests)
    deadline = course(np.log([points[place].deadline_ns or 1 for place in certified]), 0.0, tests)
    return Series(key, points, certified, quality, deadline)


def changes_of(series: Sequence[Series]) -> list[Change]:
    """Return every change point, in order of time."""
    found = [change for one in series for figure in FIGURES for change in _changes(one, figure)]
    return sorted(found, key=lambda change: (change.series.points[change.after].at, change.series.key.match_key, change.figure))


def _changes(series: Series, figure: Figure) -> Iterator[Change]:
    of_figure, places = series.course(figure), series.places(figure)
    for before, after in of_figure.changes:
        levels = (before.mean, after.mean) if figure == "tail quality" else (float(np.exp(before.mean)), float(np.exp(after.mean)))
        yield Change(series, figure, places[before.end - 1], places[after.start], *levels, of_figure.noise)


OF_SERIES = (
    Column("match_key", "str", "what trials that are the same work share"),
    Column("model", "str", "its name"),
    Column("task", "str", "its name"),
    Column("system", "str", "its name"),
    Column("runtime", "str", "its name"),
    Column("batch", "int32", "samples per inference"),
)
HISTORY = (
    Column("campaign", "str", "the campaign's folder, below that of the history; the first one of a code"),
    Column("campaigns", "int32", "how many campaigns the row is of"),
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
    Column("processes", "int32", "how many fresh processes it is of"),
    Column("process_low", "float?", "lower limit of its 95 % interval over processes; null of one process"),
    Column("process_high", "float?", "upper limit"),
    Column("rounds", "int32", "how many rounds it is of"),
    Column("deadline_ns", "int64?", "the deadline that is certified; null where none is"),
    Column("level", "float", "mean of the level that it belongs to"),
    Column("noise", "float", "standard deviation of one campaign of the series about its level"),
    Column("change", "bool", "whether a level of tail quality begins here"),
    Column("deadline_level_ns", "float?", "geometric mean of the level of deadlines; null where none is certified"),
    Column("deadline_change", "bool", "whether a level of deadlines begins here"),
)
"""One row per campaign, or per code with ``--by code``, and system."""


def history_rows(series: Sequence[Series], folders: Sequence[str], thresholds: Mapping[str, int]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of ``history.parquet``; ``folders`` are those of all campaigns, in order of time."""
    for one in series:
        levels = {place: level for level in one.quality.levels for place in range(level.start, level.end)}
        deadlines = {one.certified[place]: level for level in one.deadline.levels for place in range(level.start, level.end)}
        starts = {one.certified[level.start] for level in one.deadline.levels[1:]}
        model, system, runtime, batch = one.key.names
        for place, point in enumerate(one.points):
            low, high = point.process_interval or (None, None)
            yield {
                "campaign": folders[point.campaigns[0]],
                "campaigns": len(point.campaigns),
                "created_at": point.at,
                "code": point.code,
                "match_key": one.key.match_key,
                "model": model,
                "task": one.key.task,
                "system": system,
                "runtime": runtime,
                "batch": int(batch),
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
                "noise": one.quality.noise,
                "change": levels[place].start == place > 0,
                "deadline_level_ns": float(np.exp(deadlines[place].mean)) if place in deadlines else None,
                "deadline_change": place in starts,
            }


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
"""One row per change point."""


def change_rows(changes: Sequence[Change]) -> pa.Table:
    """Return ``change_points.parquet``."""
    return table_of([_change_row(change) for change in changes], schema_of(CHANGE_POINTS))


def _change_row(change: Change) -> dict[str, Any]:
    key, points = change.series.key, change.series.points
    model, system, runtime, batch = key.names
    before, after = points[change.before], points[change.after]
    return {
        "figure": change.figure,
        "match_key": key.match_key,
        "model": model,
        "task": key.task,
        "system": system,
        "runtime": runtime,
        "batch": int(batch),
        "last_before": before.at,
        "first_after": after.at,
        "code_before": before.code,
        "code_after": after.code,
        "level_before": change.level_before,
        "level_after": change.level_after,
        "noise": change.noise,
    }
