"""Small plots side by side as SVG: lines, bands, points and cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.chart_files import Look, svg_of
from orchestrator.report.charts.draw import QUIET, Spec, by_name, channel, level, rounded, whole
from orchestrator.report.colours import DASHES
from orchestrator.report.text import printable

LOOK = Look(width=16, text=12, small=10, line=1.5)
SIZE, COLUMNS = (230, 160), 4
Values = Sequence[float]


@dataclass(frozen=True)
class Line:
    """A line of a name that the legend of its figure has; ``low`` and ``high`` are a band around it, ``points`` draws dots instead."""

    name: str
    x: Values
    y: Values
    low: Values = ()
    high: Values = ()
    points: bool = False


@dataclass(frozen=True)
class Plot:
    """One plot; ``cells`` is a matrix drawn as a heat map in place of lines, values from 0 to ``most``."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line] = ()
    log_x: bool = False
    x_marks: Sequence[tuple[float, str]] = ()
    x_ticks: Sequence[tuple[float, str]] = ()
    y_marks: Sequence[float] = ()
    from_zero: bool = False
    cells: Sequence[Sequence[float]] = ()
    most: float = 1.0


@dataclass(frozen=True)
class Figure:
    """Plots in rows, under one name."""

    name: str
    title: str
    plots: Sequence[Plot]
    caption: str


def draw(figure: Figure) -> str:
    """Return the figure as SVG: equal plots give equal text."""
    return svg_of(spec_of(figure), figure.title, LOOK)


def spec_of(figure: Figure) -> Spec:
    """Return the specification of a figure; lines of one name look alike in all of its plots."""
    names = list(dict.fromkeys(printable(line.name) for plot in figure.plots for line in plot.lines))
    styles = {name: (number % 8, DASHES[number // 8 % len(DASHES)]) for number, name in enumerate(names)}
    plots = [_plot(plot, by_name(styles)) for plot in figure.plots]
    made = whole([], [])
    return {name: made[name] for name in ("$schema", "config", "params")} | {"concat": plots, "columns": COLUMNS}


def _plot(plot: Plot, look: Spec) -> Spec:
    if plot.cells:
        return _heat(plot)
    names = {str(int(place)): name for place, name in plot.x_ticks}
    ticks = {"values": [place for place, _ in plot.x_ticks], "labelExpr": f"({names})[datum.value]"}
    x = channel("x", plot.x_label, plot.log_x, **(ticks if plot.x_ticks else {}))
    y = channel("y", printable(plot.y_label), zero=plot.from_zero)
    layers: list[Spec] = []
    for line in plot.lines:
        columns = {"x": line.x, "y": line.y} | ({"low": line.low, "high": line.high} if len(line.low) else {})
        data = {"values": [{"s": printable(line.name)} | {name: rounded(values) for name, values in columns.items()}]}
        flat = {"data": data, "transform": [{"flatten": list(columns)}]}
        if len(line.low):
            band = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": look["color"]}
            layers.append(flat | {"mark": {"type": "area", "opacity": 0.15}, "encoding": band})
        mark = {"type": "circle", "size": 12, "opacity": 1} if line.points else {"type": "line"}
        layers.append(flat | {"mark": mark, "encoding": {"x": x, "y": y, **look}})
    marks = {"values": [{"x": place, "words": name, "n": number} for number, (place, name) in enumerate(plot.x_marks)]}
    rule, text = (
        {"type": "rule", "strokeDash": [2, 3], "color": QUIET},
        {"type": "text", "align": "left", "color": QUIET, "dx": 2, "dy": {"expr": "-10 * datum.n"}, "fontSize": 9},
    )
    over = [
        {"data": marks, "mark": rule, "encoding": {"x": x}},
        {"data": marks, "mark": text, "encoding": {"x": x, "text": {"field": "words"}, "y": {"value": SIZE[1] - 6}}},
    ]
    layers += [*(over if plot.x_marks else []), *level({"" if number else " ": place for number, place in enumerate(plot.y_marks)})]
    nothing = {"data": {"values": [{}]}, "mark": {"type": "text", "text": "nothing to show"}}
    return {"title": _title(plot), "width": SIZE[0], "height": SIZE[1], "layer": layers or [nothing]}


def _heat(plot: Plot) -> Spec:
    """Return a heat map, white at 0 and dark at its most."""
    rows = [{"row": row, "column": column, "d": value} for row, values in enumerate(plot.cells) for column, value in enumerate(values)]
    colour = {"field": "d", "type": "quantitative", "scale": {"domain": [0, plot.most], "range": ["#ffffff", "#1f3f77"]}}
    places = {side: {"field": name, "type": "ordinal", "axis": None} for side, name in (("x", "column"), ("y", "row"))}
    return {
        "title": _title(plot), "width": SIZE[1], "height": SIZE[1], "data": {"values": rows}, "mark": "rect",
        "encoding": {**places, "color": colour | {"legend": {"title": None, "orient": "right"}}},
    }  # fmt: skip


def _title(plot: Plot) -> Spec:
    half = len(plot.title) // 2
    breaks = [at for at, letter in enumerate(plot.title) if letter == " "] if len(plot.title) > 40 else []
    middle = min(breaks, key=lambda at: abs(at - half), default=len(plot.title))
    return {
        "text": [printable(plot.title[:middle]), printable(plot.title[middle:].strip())] if breaks else printable(plot.title),
        "fontSize": 11,
    }
