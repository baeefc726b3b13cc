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
