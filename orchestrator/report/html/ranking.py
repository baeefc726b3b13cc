"""The ranking at the deadline that is shown first, and the deadlines that each trial keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.campaign_analysis import Row
from orchestrator.analysis.flags import UNSTEADY
from orchestrator.analysis.quality import scale_of
from orchestrator.analysis.ranking import is_unsteady
from orchestrator.analysis.reading import Entry, Reading
from orchestrator.analysis.tables.deadline import NEVER, Deadlines, kept_from, longest
from orchestrator.report.html.glossary import Word, words
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
    """A system at the threshold that is shown first, in the order of their places."""

    entry: Entry
    place: int
    dots: Dots
    ideal: str
    mean: str
    interval: str
    worst: str
    p99: str
    deadline: str
    rounds: str
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
    at, places, claims, top = reading.grids[clock].start, reading.ranks(clock), claims_by_clock(reading), top_of(reading)
    scale = scale_of(reading.group.trials[0].judged(reading.metric))
    wide = next(word for word in words() if word.term == UNSTEADY)
    rows = []
    for entry in reading.systems:
        curve = reading.curves[clock, entry.key]
        mean, low, high, worst = (float(values[at]) for values in (curve.mean, curve.low, curve.high, curve.worst))
        rows.append(
            RankedRow(
                entry=entry,
                place=int(places[entry.key][at]),
                dots=Dots(*(along(value, top) for value in (low, high, mean, worst, curve.ideal))),
                ideal=quality(curve.ideal),
                mean=quality(mean),
                interval=quality_within(low, high, curve.ideal),
                worst=quality(worst),
                p99=claims[entry.key][clock]["p99"],
                deadline=claims[entry.key][clock]["deadline"],
                rounds=_by_process([len(one.data.times[clock]) for one in entry.members]),
                state=", ".join(dict.fromkeys(one.data.record.state for one in entry.members)),
                flags=(*(flags[flag] for flag in curve.flags[at]), *([wide] if is_unsteady(low, high, scale.gained(curve.ideal)) else [])),
            )
        )
    deadlines = kept_from(reading.results.rows("deadline"), clock)
    return sorted(rows, key=lambda row: (row.place, longest(deadlines.get(one.key, NEVER) for one in row.entry.members)))


def _by_process(rounds: Sequence[int]) -> str:
    """Write how many rounds there are: those of each process where all have as many, else their sum."""
    if len(rounds) == 1:
        return str(rounds[0])
    return f"{len(rounds)} \N{MULTIPLICATION SIGN} {rounds[0]}" if len(set(rounds)) == 1 else f"{sum(rounds)} in {len(rounds)}"


@dataclass(frozen=True)
class KeptRow:
    """The deadline that a system keeps on one clock, in all processes; ``certified_at`` and ``observed_at`` are places along the axis."""

    entry: Entry
    clock: str
    floor: str
    certified: str
    certified_at: float | None
    observed: str
    observed_at: float | None
    rounds: str
    reason: str


@dataclass(frozen=True)
class Kept:
    """The deadlines of a task, per clock the shortest first, and what their axis spans."""

    rows: tuple[KeptRow, ...]
    spans: Mapping[str, str]


def kept_deadlines(reading: Reading) -> Kept:
    """Return the deadline of each system and clock, the longest of its processes: certified or not, and as it was seen."""
    stored = [row for row in reading.results.rows("deadline") if row["reference"] == "own"]
    rows: list[KeptRow] = []
    spans: dict[str, str] = {}
    for clock in reading.clocks:
        mine, kept = {row["trial"]: row for row in stored if row["clock"] == clock}, kept_from(stored, clock)
        found = [
            (entry, longest(kept[one.key] for one in entry.members), [mine[one.key] for one in entry.members])
            for entry in reading.systems
            if all(one.key in mine for one in entry.members)
        ]
        times = [ns for _, deadlines, _ in found for ns in deadlines if math.isfinite(ns)]
        first, last = (min(times), max(times)) if times else (1, 1)
        spans[clock] = f"{milliseconds(first)} to {milliseconds(last)}, logarithmic" if times else ""
        found.sort(key=lambda one: (next(filter(math.isfinite, one[1]), math.inf), one[0].label))
        rows += [_kept_row(entry, deadlines, of_processes, clock, first, last) for entry, deadlines, of_processes in found]
    return Kept(tuple(rows), spans)


def _why_not(rows: Sequence[Row]) -> str:
    """Say why a deadline is not certified, and in how many of the processes."""
    reasons = [str(row["reason"] or "") for row in rows if not row["certified"]]
    if not reasons:
        return ""
    several = f" ({len(reasons)} of {len(rows)} processes)" if len(rows) > 1 else ""
    return "; ".join(dict.fromkeys(reasons)) + several


def _kept_row(entry: Entry, deadlines: Deadlines, rows: Sequence[Row], clock: str, first: float, last: float) -> KeptRow:
    def place(ns: float) -> float | None:
        if not math.isfinite(ns):
            return None
        return round(LEFT + WIDTH * (math.log(ns / first) / math.log(last / first) if last > first else 0.5), 2)

    certified, observed = deadlines
    return KeptRow(
        entry=entry,
        clock=clock,
        floor=quality_at_least(rows[0]["floor"]),
        certified=milliseconds(certified) if math.isfinite(certified) else "none",
        certified_at=place(certified),
        observed=milliseconds(observed) if math.isfinite(observed) else milliseconds(None),
        observed_at=place(observed),
        rounds=_by_process([row["rounds"] for row in rows]),
        reason=_why_not(rows),
    )


def claims_by_clock(reading: Reading) -> dict[str, dict[str, dict[str, str]]]:
    """Return per system and clock what the tables hold of p99 and of the deadline it keeps, as text."""
    results = reading.results
    latency = {(row["trial"], row["clock"]): row for row in results.rows("latency") if row["percentile"] == 99}
    deadlines = {clock: kept_from(results.rows("deadline"), clock) for clock in reading.clocks}
    return {
        entry.key: {
            clock: {
                "p99": _p99([latency.get((one.key, clock)) for one in entry.members]),
                "deadline": _deadline([deadlines[clock].get(one.key) for one in entry.members]),
            }
            for clock in reading.clocks
        }
        for entry in reading.systems
    }


def _p99(rows: Sequence[Row | None]) -> str:
    """Write the p99 of a process, or of several the least and the greatest."""
    known = [row for row in rows if row is not None]
    if len(known) < len(rows):
        return "-"
    times = sorted((row["value_ns"] for row in known), key=lambda ns: math.inf if ns is None else ns)
    ends = dict.fromkeys(milliseconds(ns) for ns in (times[0], times[-1]))
    return " to ".join(ends) + ("" if all(row["certified"] for row in known) else " not certified")


def _deadline(of_processes: Sequence[Deadlines | None]) -> str:
    known = [one for one in of_processes if one is not None]
    if len(known) < len(of_processes):
        return "-"
    certified, observed = longest(known)
    if math.isfinite(certified):
        return f"{milliseconds(certified)} certified"
    return f"{milliseconds(observed)} observed" if math.isfinite(observed) else "none"
