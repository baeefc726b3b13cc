"""Small plots side by side as SVG: lines, bands, points and cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, product

from orchestrator.report.chart_files import Look, svg_of
from orchestrator.report.charts.draw import (
    COLOURS,
    DASHES,
    MOST_IN_LEGEND,
    QUIET,
    Spec,
    by_name,
    channel,
    level,
    rounded,
    whole,
)
from orchestrator.report.text import printable

LOOK = Look(width=16, text=12, small=10, line=1.5)
WIDTH, HEIGHT, COLUMNS = 230, 160, 4
LONG = 40
"""Letters of a title that stands in two lines."""
OWN_LEGEND: Spec = {"title": None, "columns": 1, "symbolType": "stroke"}
Values = Sequence[float]


@dataclass(frozen=True)
class Line:
    """A line of a name in the legend; ``low`` and ``high`` are a band, ``points`` draws dots."""

    name: str
    x: Values
    y: Values
    low: Values = ()
    high: Values = ()
    points: bool = False


@dataclass(frozen=True)
class Plot:
    """One plot; ``cells`` is a matrix drawn as a heat map, values from 0 to ``most``."""

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
    shared, looks = _look(line for plot in figure.plots for line in plot.lines), []
    for plot in figure.plots:
        own = _look(plot.lines)
        own["color"]["legend"] = own["strokeDash"]["legend"] = OWN_LEGEND
        looks.append(own if len(shared["color"]["scale"]["domain"]) > MOST_IN_LEGEND else shared)
    made = whole([], [])
    apart = "independent" if looks[0] is not shared else "shared"
    spec = {name: made[name] for name in ("$schema", "config", "params")} | {
        "concat": [
            _heat(plot) if plot.cells else _plot(plot, look)
            for plot, look in zip(figure.plots, looks, strict=True)
        ],
        "columns": COLUMNS,
        "resolve": {"scale": {"color": apart, "strokeDash": apart}},
    }
    return svg_of(spec, figure.title, LOOK)


def _look(lines: Iterable[Line]) -> Spec:
    """Return the encoding of lines by their names."""
    names = dict.fromkeys(printable(line.name) for line in lines)
    pairs = product(DASHES, range(len(COLOURS)))
    return by_name(
        {name: (colour, dash) for name, (dash, colour) in zip(names, cycle(pairs), strict=False)}
    )


def _plot(plot: Plot, look: Spec) -> Spec:
    rows = [
        {"s": printable(line.name)}
        | {"x": rounded(line.x), "y": rounded(line.y)}
        | {"low": rounded(line.low or line.y), "high": rounded(line.high or line.y)}
        for line in plot.lines
    ]
    labels = {str(int(place)): name for place, name in plot.x_ticks}
    ticks = {"values": list(map(int, labels)), "labelExpr": f"({labels})[datum.value]"}
    x = channel("x", plot.x_label, plot.log_x, **(ticks if labels else {}))
    y = channel("y", printable(plot.y_label), zero=plot.from_zero)
    dots = any(line.points for line in plot.lines)
    mark = {"type": "circle", "size": 12, "opacity": 1} if dots else {"type": "line"}
    band = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": look["color"]}
    layers = [
        *([{"mark": {"type": "area", "opacity": 0.15}, "encoding": band}] if not dots else []),
        {"mark": mark, "encoding": {"x": x, "y": y, **look}},
        *level({" " * number: place for number, place in enumerate(plot.y_marks, start=1)}),
    ]
    marks = [{"x": at, "words": name, "n": n} for n, (at, name) in enumerate(plot.x_marks)]
    text = {"type": "text", "align": "left", "color": QUIET, "dx": 2, "fontSize": 9}
    text["dy"] = {"expr": "-10 * datum.n"}
    place = {"x": x, "y": {"value": HEIGHT - 6}, "text": {"field": "words"}}
    for kind, encoding in (({"type": "rule", "strokeDash": [2, 3]}, {"x": x}), (text, place)):
        layers += [{"data": {"values": marks}, "mark": kind, "encoding": encoding}] if marks else []
    if not rows:
        layers = [{"mark": {"type": "text", "text": "nothing to show"}}]
    return _frame(plot, WIDTH) | {
        "data": {"values": rows or [{}]},
        "transform": [{"flatten": ["x", "y", "low", "high"]}] if rows else [],
        "layer": layers,
    }


def _heat(plot: Plot) -> Spec:
    """Return a heat map, white at 0 and dark at its most."""
    rows = [
        {"row": row, "column": column, "d": value}
        for row, values in enumerate(plot.cells)
        for column, value in enumerate(values)
    ]
    scale = {"domain": [0, plot.most], "range": ["#ffffff", "#1f3f77"]}
    legend = {"title": None, "orient": "right"}
    places = {"x": "column", "y": "row"}
    return _frame(plot, HEIGHT) | {
        "data": {"values": rows},
        "mark": "rect",
        "encoding": {
            "color": {"field": "d", "type": "quantitative", "scale": scale, "legend": legend},
            **{side: {"field": of, "type": "ordinal", "axis": None} for side, of in places.items()},
        },
    }


def _frame(plot: Plot, width: int) -> Spec:
    """Return the size of a plot and its title, in two lines where it is long."""
    title, half = printable(plot.title), len(plot.title) // 2
    breaks = [at for at, letter in enumerate(title) if letter == " " and len(title) > LONG]
    middle = min(breaks, key=lambda at: abs(at - half), default=len(title))
    lines = list(filter(None, (title[:middle], title[middle:].strip())))
    return {"title": {"text": lines, "fontSize": 11}, "width": width, "height": HEIGHT}
