"""Numbers and figures as the page's script reads them: arrays as base64, everything else as JSON that cannot end its element."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.report.figures.chart import Axis, Chart, Floats, Series

LEVELS = 65_534
"""Quality by round is drawn in so many steps; 65,535 stands for nothing."""


def exact(values: Floats) -> dict[str, str]:
    """Return float64 as the script decodes it."""
    return {"f8": _base64(values.astype("<f8"))}


def drawn(values: Floats) -> dict[str, Any]:
    """Return values that are only drawn: float32, and 16 bits for one row per threshold."""
    if values.ndim == 2:
        top = float(np.nanmax(values, initial=0)) or 1.0
        steps = np.where(np.isfinite(values), np.rint(np.nan_to_num(values) / top * LEVELS), LEVELS + 1)
        return {"u2": _base64(steps.astype("<u2")), "top": top, "width": values.shape[1]}
    return {"f4": _base64(values.astype("<f4"))}


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def chart_data(chart: Chart) -> dict[str, Any]:
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
        "series": [_series(series, chart.x.date) for series in chart.series],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    return {"title": axis.title, "log": axis.log, "date": axis.date, "falling": axis.falling, "ticks": [list(tick) for tick in axis.ticks]}


def _series(series: Series, date: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "label": series.label,
        "kind": series.kind,
        "entry": series.entry,
        "faint": series.faint,
        "symbol": series.symbol,
        "tags": dict(series.tags),
        "names": list(series.names),
        "y": drawn(series.y),
    }
    if isinstance(series.x, np.ndarray):
        made["x"] = exact(series.x) if date else drawn(series.x)
    else:
        made["x"] = list(series.x)
    if series.low is not None and series.high is not None:
        made |= {"low": drawn(series.low), "high": drawn(series.high)}
    return made


def script_json(document: Any) -> str:
    """Return JSON that is safe within a script element: nothing in it can begin or end markup."""
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
