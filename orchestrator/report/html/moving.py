"""What the deadline's slider moves: the ranking, with the figures of every trial at every threshold of the grid, and the charts' data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.analysis.curves import Floats
from orchestrator.analysis.flags import UNSTEADY
from orchestrator.analysis.quality import scale_of
from orchestrator.analysis.ranking import WIDE
from orchestrator.analysis.reading import Entry, Reading
from orchestrator.metrics.interface import PLAIN
from orchestrator.report.figures.chart import Axis, Chart, Series
from orchestrator.report.html.first_screen import Asker, kept_by_system
from orchestrator.report.html.glossary import Word, anchor_of
from orchestrator.report.html.packed import Arrays
from orchestrator.report.html.panels import colours_of
from orchestrator.report.html.ranking import claims_by_clock, top_of
from orchestrator.report.table import Table
from orchestrator.report.template import shown
from orchestrator.stats.times import Clock


def chart_data(chart: Chart, arrays: Arrays, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return a figure; ``keys`` are what the page calls its trials."""
    return {
        "name": chart.name,
        "title": chart.title,
        "x": _axis(chart.x),
        "y": _axis(chart.y),
        "choices": {tag: list(values) for tag, values in chart.choices.items()},
        "threshold": chart.threshold,
        "stacked": chart.stacked,
        "moves": chart.moves,
        "series": [_series(series, chart.x, chart.y, arrays) | {"entry": keys.get(series.entry, "")} for series in chart.series],
    }


def table_data(table: Table) -> dict[str, Any]:
    """Return a table that the script writes into the page."""
    return {
        "title": table.title,
        "columns": list(table.columns),
        "rows": [list(row) for row in table.rows],
        "note": table.note,
        "right": [place for place, column in enumerate(table.columns) if column in table.right],
        "within": table.within_ns,
    }


def _axis(axis: Axis) -> dict[str, Any]:
    return {"title": axis.title, "log": axis.log, "date": axis.date, "falling": axis.falling, "ticks": [list(tick) for tick in axis.ticks]}


def _series(series: Series, x: Axis, y: Axis, arrays: Arrays) -> dict[str, Any]:
    made: dict[str, Any] = {
        "label": series.label,
        "kind": series.kind,
        "faint": series.faint,
        "tags": dict(series.tags),
        "names": list(series.names),
        "y": arrays.drawn(series.y, log=y.log),
    }
    if isinstance(series.x, np.ndarray):
        made["x"] = arrays.exact(series.x) if x.date else arrays.drawn(series.x, log=True)
    else:
        made["x"] = list(series.x)
    if series.low is not None and series.high is not None:
        made |= {"low": arrays.limits(series.low, upper=False), "high": arrays.limits(series.high, upper=True)}
    return made


def json_text(document: Any) -> bytes:
    """Return JSON, without spaces."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def as_shown(document: Any) -> Any:
    """Return a document of JSON whose texts, keys too, are those that a template writes (`template.shown`)."""
    if isinstance(document, dict):
        return {shown(key): as_shown(below) for key, below in document.items()}
    return [as_shown(one) for one in document] if isinstance(document, list | tuple) else shown(document)


def moving_data(asker: Asker, arrays: Arrays) -> dict[str, Any]:
    """Return what the slider needs: thresholds per clock and per trial the figures at each of them."""
    reading, flags = asker.reading, asker.flags
    claims = claims_by_clock(reading)
    places = {clock: reading.ranks(clock) for clock in reading.clocks}
    kept = {clock: _by_deadline(reading, clock) for clock in reading.clocks}
    keys, colours = reading.short_keys(), colours_of(reading)
    judged = reading.group.trials[0].judged(reading.metric)
    scale = scale_of(judged)
    return {
        "task": reading.group.task,
        "metric": reading.metric,
        "scale": None if scale == PLAIN else {"late": scale.late, "sign": scale.sign},
        "wide": {"share": WIDE, "term": UNSTEADY, "anchor": anchor_of(UNSTEADY)},
        "runtimes": [[entry.dash, entry.data.record.trial.runtime.name] for entry in reading.systems],
        "top": top_of(reading),
        "keep": reading.results.analysis.deadline.quality,
        "clocks": {
            clock: {"ns": arrays.exact(grid.ns.astype(float)), "labels": list(grid.labels), "start": grid.start}
            for clock, grid in ((clock, reading.grids[clock]) for clock in reading.clocks)
        },
        "entries": {
            keys[entry.key]: _entry_data(reading, entry, arrays, flags, claims[entry.key], places, kept) | {"colour": colours[entry.key]}
            for entry in reading.systems
        },
    }


def _by_deadline(reading: Reading, clock: Clock) -> dict[str, int]:
    """Return the order of the systems by the deadlines that they keep: it decides between those of one place."""
    kept = kept_by_system(reading, clock)
    return {key: order for order, key in enumerate(sorted(kept, key=lambda key: kept[key]))}


def _entry_data(
    reading: Reading,
    entry: Entry,
    arrays: Arrays,
    flags: Mapping[str, Word],
    claims: Mapping[str, Mapping[str, str]],
    places: Mapping[Clock, Mapping[str, Floats]],
    kept: Mapping[Clock, Mapping[str, int]],
) -> dict[str, Any]:
    sets = _flag_sets(reading, entry)
    clocks = {}
    for clock in reading.clocks:
        curve = reading.curves[clock, entry.key]
        clocks[clock] = {
            "ideal": curve.ideal,
            "mean": arrays.exact(curve.mean),
            "worst": arrays.exact(curve.worst),
            "low": arrays.limits(curve.low, upper=False),
            "high": arrays.limits(curve.high, upper=True),
            "flags": [sets.index(tuple(found)) for found in curve.flags],
            "place": [int(place) for place in places[clock][entry.key]],
            "kept": kept[clock][entry.key],
            "rounds": arrays.drawn(curve.worst_rounds[None, :]),
            "centres": arrays.drawn(curve.centres, log=True),
            "bars": [reading.curves[clock, one.key].centres.size for one in entry.members],
            **claims[clock],
        }
    return {
        "label": entry.label,
        "model": entry.model,
        "dash": entry.dash,
        "flags": [[[flags[flag].anchor, flag] for flag in found] for found in sets],
        "clocks": clocks,
    }


def _flag_sets(reading: Reading, entry: Entry) -> list[tuple[str, ...]]:
    """Return each set of flags that figures of a trial have."""
    return sorted({tuple(flags) for clock in reading.clocks for flags in reading.curves[clock, entry.key].flags})
