"""The points of a history: what each campaign keeps of each system, and with what noise of its visits and processes."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from pyarrow import compute as pc

from orchestrator.contracts import InputError
from orchestrator.history.stored import Row, Stored
from orchestrator.stats.thresholds import DEFAULT_PRIMARY, NS_PER_MS, primary_threshold
from orchestrator.stats.variance_components import FEWEST_PROCESSES, mean_of_processes, student_t

Z = 1.959963984540054
"""Half-widths of 95 % are so many standard deviations of a normal law."""
NAMES = ("model", "system", "runtime", "batch")


@dataclass(frozen=True)
class Key:
    """What a series is of: the same work in every campaign, judged by one metric."""

    match_key: str
    task: str
    metric: str
    clock: str
    names: tuple[str, ...]


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
        """The standard deviation that its own visits and processes let expect of it."""
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
    asked = wanted if wanted is not None else next((one.head.primary for one in stored), None)
    fixed = primary_threshold(asked, None)
    if wanted is not None and fixed is None:
        raise InputError(f"--threshold {wanted}: a percentile is another time in every campaign; name a time, such as --threshold '50 ms'")
    found: dict[str, int] = {}
    counts: dict[str, Counter[int]] = {}
    aims: dict[str, int] = {}
    for one in stored:
        table = one.quality
        columns = [table.column(name).to_pylist() for name in ("task", "threshold_ns", "threshold_origin")]
        seen = set(zip(*columns, strict=True))
        for task, ns, origin in seen:
            counts.setdefault(task, Counter()).update([ns] if origin == "absolute" else [])
        for task in {task for task, _, _ in seen} - set(aims):
            aims[task] = _aim(one, task)
    for task, of_task in counts.items():
        if fixed is not None:
            found[task] = fixed.ns
        else:
            best = max(of_task.values(), default=0)
            often = [ns for ns, count in of_task.items() if count == best] or [aims[task]]
            found[task] = min(often, key=lambda ns: (abs(math.log(ns / aims[task])), ns))
    return found


def _aim(stored: Stored, task: str) -> int:
    """Return the time of the primary percentile of a task in one campaign, or the middle one of its thresholds."""
    table = stored.quality.filter(pc.equal(stored.quality.column("task"), task))
    label = stored.head.primary or DEFAULT_PRIMARY
    pairs = zip(table.column("threshold").to_pylist(), table.column("threshold_ns").to_pylist(), strict=True)
    rows = sorted((ns, of) for of, ns in pairs)
    return int(next((ns for ns, of in rows if of == label), rows[len(rows) // 2][0]))


def points_of(stored: Sequence[Stored], rows: Sequence[Sequence[Row]]) -> dict[Key, list[Point]]:
    """Return the series of a history, each with one point per campaign that has it, in order of time.

    Parameters
    ----------
    stored, rows
        campaigns in order of time, and of each one row per trial at the threshold of its task; repeats are processes of one point.
    """
    found: dict[Key, list[Point]] = {}
    for place, (campaign, of_campaign) in enumerate(zip(stored, rows, strict=True)):
        repeats: dict[Key, list[Row]] = {}
        for row in of_campaign:
            names = tuple(str(row[name]) for name in NAMES)
            repeats.setdefault(Key(row["match_key"], row["task"], row["metric"], row["clock"], names), []).append(row)
        for key, of_key in repeats.items():
            found.setdefault(key, []).append(_point(place, campaign, of_key))
    return found


def _point(place: int, stored: Stored, rows: Sequence[Row]) -> Point:
    means = [float(row["mean"]) for row in rows]
    mean, interval, error = _over(means)
    deadlines = [stored.deadlines.get(row["trial"]) for row in rows]
    kept = [ns for ns in deadlines if ns is not None]
    return Point(
        campaigns=(place,),
        at=stored.created_at,
        code=stored.head.code,
        mean=mean,
        ideal=float(rows[0]["ideal"]),
        interval=_mean_interval(mean, [(row["mean"], row["interval_low"], row["interval_high"]) for row in rows]),
        processes=len(rows),
        process_interval=interval,
        process_error=error,
        rounds=sum(row["rounds"] for row in rows),
        deadline_ns=max(kept) if len(kept) == len(rows) else None,
    )


def _over(means: Sequence[float]) -> tuple[float, tuple[float, float] | None, float | None]:
    """Return the mean of processes, its interval over them and its standard error; None of one process."""
    if len(means) < FEWEST_PROCESSES:
        return means[0], None, None
    mean, low, high = mean_of_processes(means)
    return mean, (low, high), (high - low) / 2 / student_t(len(means))


def _mean_interval(mean: float, parts: Iterable[tuple[float, float, float]]) -> tuple[float, float]:
    """Return the interval of the mean of independent figures from theirs: halves add up as standard deviations do."""
    found = list(parts)
    below = math.sqrt(sum((of - low) ** 2 for of, low, _ in found)) / len(found)
    above = math.sqrt(sum((high - of) ** 2 for of, _, high in found)) / len(found)
    return mean - below, mean + above


def by_code(points: Sequence[Point]) -> list[Point]:
    """Return one point per code, in the order in which codes first appear: the mean of its campaigns, each a process or more."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(point.code, []).append(point)
    return [_merged(of_code) for of_code in groups.values()]


def _merged(points: Sequence[Point]) -> Point:
    if len(points) == 1:
        return points[0]
    mean, interval, error = _over([point.mean for point in points])
    deadlines = [point.deadline_ns for point in points if point.deadline_ns is not None]
    return replace(
        points[0],
        campaigns=tuple(place for point in points for place in point.campaigns),
        mean=mean,
        interval=_mean_interval(mean, [(point.mean, *point.interval) for point in points]),
        processes=sum(point.processes for point in points),
        process_interval=interval,
        process_error=error,
        rounds=sum(point.rounds for point in points),
        deadline_ns=round(float(np.median(deadlines))) if deadlines else None,
    )


def threshold_words(ns: int) -> str:
    """Write a threshold in ms."""
    return f"{ns / NS_PER_MS:g} ms"
