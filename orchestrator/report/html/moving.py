"""The table that the threshold slider moves: one row per trial, with its figures at every threshold of the grid."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.report.figures.chart import Axis, Chart, Floats, Series
from orchestrator.report.figures.charts.quality import ranks
from orchestrator.report.figures.reading import Entry, Reading
from orchestrator.report.text import milliseconds, quality, quality_within
from orchestrator.stats.times import SHOWN_CLOCKS

LEVELS = 65_534
"""Steps in which quality by round is drawn; 65,535 stands for no value."""


class Arrays:
    """The arrays of a page, each kept once: trials share thresholds and places. ``stored`` holds base64 of little-endian numbers."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self._known: dict[str, int] = {}

    def exact(self, values: Floats) -> dict[str, int]:
        """Return float64 as the script finds it."""
        return {"f8": self._keep(values.astype("<f8"))}

    def drawn(self, values: Floats) -> dict[str, Any]:
        """Return values that are only drawn: float32, and 16 bits where there is one row per threshold."""
        if values.ndim == 2:
            top = float(np.nanmax(values, initial=0)) or 1.0
            steps = np.where(np.isfinite(values), np.rint(np.nan_to_num(values) / top * LEVELS), LEVELS + 1)
            return {"u2": self._keep(steps.astype("<u2")), "top": top, "width": values.shape[1]}
        return {"f4": self._keep(values.astype("<f4"))}

    def _keep(self, values: NDArray[Any]) -> int:
        text = base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
        if text not in self._known:
            self._known[text] = len(self.stored)
            self.stored.append(text)
        return self._known[text]


def chart_data(chart: Chart, arrays: Arrays) -> dict[str, Any]:
    """Return a figure."""
    return {
        "name": chart.name,
        "title": chart.title,
        "x": _axis(chart.x),
        "y": _axis(chart.y),
        "choices": {tag: list(values) for tag, values in chart.choices.items()},
        "threshold": chart.threshold,
        "stacked": chart.stacked,
        "moves": chart.moves,
        "series": [_series(series, chart.x.date, arrays) for series in chart.series],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    return {"title": axis.title, "log": axis.log, "date": axis.date, "falling": axis.falling, "ticks": [list(tick) for tick in axis.ticks]}


def _series(series: Series, date: bool, arrays: Arrays) -> dict[str, Any]:
    made: dict[str, Any] = {
        "label": series.label,
        "kind": series.kind,
        "entry": series.entry,
        "faint": series.faint,
        "tags": dict(series.tags),
        "names": list(series.names),
        "y": arrays.drawn(series.y),
    }
    if isinstance(series.x, np.ndarray):
        made["x"] = arrays.exact(series.x) if date else arrays.drawn(series.x)
    else:
        made["x"] = list(series.x)
    if series.low is not None and series.high is not None:
        made |= {"low": arrays.drawn(series.low), "high": arrays.drawn(series.high)}
    return made


def script_json(document: Any) -> str:
    """Return JSON that is safe within a script element: nothing in it can begin or end markup."""
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


SHOWN_AT_ONCE = 8
"""Trials that are drawn at first; a reader ticks others."""


@dataclass(frozen=True)
class MovingRow:
    """A trial's row at the threshold that is shown first."""

    entry: Entry
    shown: bool
    model: str
    system: str
    runtime: str
    place: str
    ideal: str
    mean: str
    interval: str
    worst: str
    p99: str
    deadline: str
    rounds: int
    flags: str


def moving_rows(reading: Reading) -> list[MovingRow]:
    """Return the rows as they stand on paper and before the slider is moved: total clock, primary threshold."""
    clock = SHOWN_CLOCKS[0]
    at = reading.grids[clock].start
    places = ranks(reading, clock)
    best = sorted(reading.entries, key=lambda entry: places[entry.key][at])[:SHOWN_AT_ONCE]
    chosen = {entry.key for entry in best}
    claims = claims_by_clock(reading)
    rows = []
    for entry in reading.entries:
        curve, trial = reading.curves[clock, entry.key], entry.data.record.trial
        tell = [f"batch {trial.measurement.batch}"] if "batch" in entry.label else []
        tell += [f"repeat {trial.repeat}"] if "repeat" in entry.label else []
        tell += [entry.settings] if entry.settings else []
        rows.append(
            MovingRow(
                entry=entry,
                shown=entry.key in chosen,
                model=", ".join([trial.model.name, *tell]),
                system=trial.system.name,
                runtime=trial.runtime.name,
                place=f"{places[entry.key][at]:.0f}",
                ideal=quality(curve.ideal),
                mean=quality(float(curve.mean[at])),
                interval=quality_within(float(curve.low[at]), float(curve.high[at])),
                worst=quality(float(curve.worst[at])),
                p99=claims[entry.key][clock]["p99"],
                deadline=claims[entry.key][clock]["deadline"],
                rounds=len(entry.data.times[clock]),
                flags=", ".join(curve.flags[at]),
            )
        )
    return rows


def claims_by_clock(reading: Reading) -> dict[str, dict[str, dict[str, str]]]:
    """Return per trial and clock what the tables hold of p99 and of the deadline it can promise, as text."""
    tables = reading.results.tables
    latency = {(row["trial"], row["clock"]): row for row in tables["latency"].to_pylist() if row["percentile"] == 99}
    deadline = {(row["trial"], row["clock"]): row for row in tables["deadline"].to_pylist() if row["reference"] == "own"}
    return {
        entry.key: {
            clock: {"p99": _p99(latency.get((entry.key, clock))), "deadline": _deadline(deadline.get((entry.key, clock)))}
            for clock in SHOWN_CLOCKS
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
        return milliseconds(row["deadline_ns"])
    more = f"; {row['more_rounds']} more rounds" if row["more_rounds"] else ""
    return f"none certified{more}"


def moving_data(reading: Reading, arrays: Arrays) -> dict[str, Any]:
    """Return what the slider needs: thresholds per clock, and per trial the figures at each of them."""
    claims = claims_by_clock(reading)
    places = {clock: ranks(reading, clock) for clock in SHOWN_CLOCKS}
    return {
        "clocks": {
            clock: {"ns": arrays.exact(grid.ns.astype(float)), "labels": list(grid.labels), "start": grid.start}
            for clock, grid in ((clock, reading.grids[clock]) for clock in SHOWN_CLOCKS)
        },
        "entries": {
            entry.key: {
                "label": entry.label,
                "colour": entry.colour,
                "dash": entry.dash,
                "flags": (texts := _flag_texts(reading, entry)),
                "clocks": {
                    clock: {
                        **{
                            name: arrays.exact(getattr(reading.curves[clock, entry.key], name)) for name in ("mean", "worst", "low", "high")
                        },
                        "flags": [texts.index(", ".join(flags)) for flags in reading.curves[clock, entry.key].flags],
                        "place": [int(place) for place in places[clock][entry.key]],
                        **claims[entry.key][clock],
                    }
                    for clock in SHOWN_CLOCKS
                },
            }
            for entry in reading.entries
        },
    }


def _flag_texts(reading: Reading, entry: Entry) -> list[str]:
    """Return each set of flags that figures of a trial have, as text."""
    return sorted({", ".join(flags) for clock in SHOWN_CLOCKS for flags in reading.curves[clock, entry.key].flags})
