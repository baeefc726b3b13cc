"""The ranking at the deadline that is shown first, and the deadlines that each trial keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.report.figures.charts.quality import ranks
from orchestrator.report.figures.reading import Entry, Reading
from orchestrator.report.html.glossary import Word
from orchestrator.report.text import milliseconds, quality, quality_at_least, quality_within

LEFT, WIDTH = 5, 150
"""Where the axis of a small figure in a row begins, and how long it is."""


@dataclass(frozen=True)
class Dots:
    """Places along the axis of a small figure: the interval, the mean, the worst round and ideal quality."""

    low: float
    high: float
    mean: float
    worst: float
    ideal: float


@dataclass(frozen=True)
class RankedRow:
    """A trial at the threshold that is shown first, in the order of their places."""

    entry: Entry
    place: int
    dots: Dots
    ideal: str
    mean: str
    interval: str
    worst: str
    p99: str
    deadline: str
    rounds: int
    state: str
    flags: tuple[Word, ...]


def top_of(reading: Reading) -> float:
    """Return the quality at which axes end: the largest one of the task."""
    ends = [(curve.ideal, float(curve.high.max()), float(curve.mean.max())) for curve in reading.curves.values()]
    return max(max(end) for end in ends) or 1.0


def along(value: float, top: float) -> float:
    """Return the place of a quality along the axis, between its ends."""
    return round(LEFT + WIDTH * min(1.0, max(0.0, value / top)), 2)


def ranked_rows(reading: Reading, flags: Mapping[str, Word]) -> list[RankedRow]:
    """Return the rows as they stand on paper and before the slider is moved: total clock, primary threshold."""
    clock = reading.clock
    at, places, claims, top = reading.grids[clock].start, ranks(reading, clock), claims_by_clock(reading), top_of(reading)
    rows = []
    for entry in reading.entries:
        curve = reading.curves[clock, entry.key]
        mean, low, high, worst = (float(values[at]) for values in (curve.mean, curve.low, curve.high, curve.worst))
        rows.append(
            RankedRow(
                entry=entry,
                place=int(places[entry.key][at]),
                dots=Dots(*(along(value, top) for value in (low, high, mean, worst, curve.ideal))),
                ideal=quality(curve.ideal),
                mean=quality(mean),
                interval=quality_within(low, high),
                worst=quality(worst),
                p99=claims[entry.key][clock]["p99"],
                deadline=claims[entry.key][clock]["deadline"],
                rounds=len(entry.data.times[clock]),
                state=entry.data.record.state,
                flags=tuple(flags[flag] for flag in curve.flags[at]),
            )
        )
    exact = {entry.key: float(reading.curves[clock, entry.key].oriented("mean")[at]) for entry in reading.entries}
    return sorted(rows, key=lambda row: (row.place, -exact[row.entry.key]))


@dataclass(frozen=True)
class KeptRow:
    """The deadline that a trial keeps on one clock; ``certified_at`` and ``observed_at`` are places along the axis."""

    entry: Entry
    clock: str
    floor: str
    certified: str
    certified_at: float | None
    observed: str
    observed_at: float | None
    rounds: int
    reason: str


@dataclass(frozen=True)
class Kept:
    """The deadlines of a task, per clock the shortest first, and what their axis spans."""

    rows: tuple[KeptRow, ...]
    spans: Mapping[str, str]


def kept_deadlines(reading: Reading) -> Kept:
    """Return the deadline of each trial and clock: certified or not, and as it was seen."""
    stored = [row for row in reading.results.rows("deadline") if row["reference"] == "own"]
    rows: list[KeptRow] = []
    spans: dict[str, str] = {}
    for clock in reading.clocks:
        mine = {row["trial"]: row for row in stored if row["clock"] == clock}
        found = [(entry, mine[entry.key]) for entry in reading.entries if entry.key in mine]
        times = [row[name] for _, row in found for name in ("deadline_ns", "observed_ns") if row[name] is not None]
        first, last = (min(times), max(times)) if times else (1, 1)
        spans[clock] = f"{milliseconds(first)} to {milliseconds(last)}, logarithmic" if times else ""
        found.sort(key=lambda pair: (_shortest(pair[1]), pair[0].label))
        rows += [_kept_row(entry, row, clock, first, last) for entry, row in found]
    return Kept(tuple(rows), spans)


def _shortest(row: Mapping[str, Any]) -> float:
    known = row["deadline_ns"] if row["certified"] else row["observed_ns"]
    return math.inf if known is None else float(known)


def _kept_row(entry: Entry, row: Mapping[str, Any], clock: str, first: float, last: float) -> KeptRow:
    def place(ns: float | None) -> float | None:
        if ns is None:
            return None
        return round(LEFT + WIDTH * (math.log(ns / first) / math.log(last / first) if last > first else 0.5), 2)

    certified = row["deadline_ns"] if row["certified"] else None
    return KeptRow(
        entry=entry,
        clock=clock,
        floor=quality_at_least(row["floor"]),
        certified="none" if certified is None else milliseconds(certified),
        certified_at=place(certified),
        observed=milliseconds(row["observed_ns"]),
        observed_at=place(row["observed_ns"]),
        rounds=row["rounds"],
        reason="" if certified is not None else str(row["reason"] or ""),
    )


def claims_by_clock(reading: Reading) -> dict[str, dict[str, dict[str, str]]]:
    """Return per trial and clock what the tables hold of p99 and of the deadline it keeps, as text."""
    results = reading.results
    latency = {(row["trial"], row["clock"]): row for row in results.rows("latency") if row["percentile"] == 99}
    deadline = {(row["trial"], row["clock"]): row for row in results.rows("deadline") if row["reference"] == "own"}
    return {
        entry.key: {
            clock: {"p99": _p99(latency.get((entry.key, clock))), "deadline": _deadline(deadline.get((entry.key, clock)))}
            for clock in reading.clocks
        }
        for entry in reading.entries
    }


def _p99(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    return milliseconds(row["value_ns"]) + ("" if row["certified"] else " not certified")


def _deadline(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    if row["certified"]:
        return f"{milliseconds(row['deadline_ns'])} certified"
    return "none" if row["observed_ns"] is None else f"{milliseconds(row['observed_ns'])} observed"
