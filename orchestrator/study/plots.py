"""Small plots side by side as SVG: axes, lines, bands, points and cells, placed by data."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.report.colours import AMOUNT, COLOURS, strokes, style_of
from orchestrator.report.quality_picture import even_ticks, ticks
from orchestrator.report.svg import INK, QUIET, RULE, Drawing, width_of
from orchestrator.study.tables import significant

WIDTH, HEIGHT = 250.0, 170.0
LEFT, TOP, RIGHT, BOTTOM = 52.0, 58.0, 16.0, 46.0
TITLE_SIZE = 11.0
LEGEND_LINE = 16.0
MOST_TICKS = 5

Values = Sequence[float]


def line_style(number: int) -> tuple[str, str]:
    """Return colour and dashes of the line of that number."""
    colour, dashes = style_of(number)
    return colour, strokes(dashes)


@dataclass(frozen=True)
class Line:
    """A line; ``low`` and ``high`` are a band around it, ``points`` draws dots instead."""

    x: Values
    y: Values
    colour: str = COLOURS[0]
    low: Values = ()
    high: Values = ()
    points: bool = False
    dash: str = ""
    width: float = 1.5


@dataclass(frozen=True)
class Plot:
    """One plot.

    cells
        a matrix drawn as a heat map in place of lines, values from 0 to ``most``.
    """

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
    """Plots in rows, under one name, with a legend below: names with their colour and dashes."""

    name: str
    title: str
    plots: Sequence[Plot]
    legend: Sequence[tuple[str, str, str]] = ()
    columns: int = 4
    caption: str = field(default="")


def draw(figure: Figure) -> str:
    """Return the figure as SVG: equal plots give equal text."""
    columns = max(1, min(figure.columns, len(figure.plots)))
    rows = math.ceil(len(figure.plots) / columns)
    cell = (LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM)
    width = columns * cell[0] + 8
    beside = max(
        1, int(width // (60 + max((width_of(name, 12) for name, *_ in figure.legend), default=0.0)))
    )
    below = -(-len(figure.legend) // beside)
    drawing = Drawing(width, 30 + rows * cell[1] + LEGEND_LINE * below + 8, figure.title)
    drawing.text(8, 20, figure.title, bold=True, size=15)
    for number, plot in enumerate(figure.plots):
        _plot(
            drawing, plot, number % columns * cell[0] + LEFT, 30 + number // columns * cell[1] + TOP
        )
    for number, (name, colour, dash) in enumerate(figure.legend):
        x, y = (
            12 + number // below * width / beside,
            30 + rows * cell[1] + LEGEND_LINE * (number % below + 0.6),
        )
        drawing.path([(x, y - 4), (x + 28, y - 4)], colour, 2.5, dash)
        drawing.text(x + 34, y, name, INK, 12)
    return drawing.to_svg()


def title_lines(title: str) -> list[str]:
    """Return a plot's title in one line, or in two broken behind a comma or a colon."""
    if width_of(title, TITLE_SIZE) <= WIDTH:
        return [title]
    breaks = [place.end() for place in re.finditer(r"[,:] ", title)]
    if not breaks:
        return [title]
    middle = min(breaks, key=lambda place: abs(2 * place - len(title)))
    return [title[:middle].rstrip(), title[middle:]]


def _plot(drawing: Drawing, plot: Plot, left: float, top: float) -> None:
    for number, words in enumerate(reversed(title_lines(plot.title))):
        drawing.text(left, top - 10 - 14 * number, words, INK, TITLE_SIZE, bold=True)
    bottom = top + HEIGHT
    drawing.text(left + WIDTH / 2, bottom + 34, plot.x_label, QUIET, 11, "middle")
    drawing.text(left - LEFT + 4, top - 40, plot.y_label, QUIET, 11)
    if plot.cells:
        _cells(drawing, plot, left, top)
        return
    xs, ys = (
        _finite(line.x for line in plot.lines),
        _finite(values for line in plot.lines for values in (line.y, line.low, line.high)),
    )
    ys += list(plot.y_marks)
    if not xs or not ys:
        drawing.text(left + 8, top + 20, "nothing to show", QUIET, 11)
        return
    x_low, x_high = _span(min(xs), max(xs), plot.log_x)
    y_low, y_high = _span(0.0 if plot.from_zero else min(ys), max(ys), False)
    scale = math.log if plot.log_x else float

    def x_of(x: float) -> float:
        return left + WIDTH * (scale(x) - scale(x_low)) / (scale(x_high) - scale(x_low))

    def y_of(y: float) -> float:
        return bottom - HEIGHT * (y - y_low) / (y_high - y_low)

    _axes(drawing, plot, (x_low, x_high, y_low, y_high), x_of, y_of, (left, top))
    for line in plot.lines:
        _line(drawing, line, x_of, y_of)


def _axes(
    drawing: Drawing,
    plot: Plot,
    span: tuple[float, float, float, float],
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
    corner: tuple[float, float],
) -> None:
    (x_low, x_high, y_low, y_high), (left, top) = span, corner
    bottom = top + HEIGHT
    for value in even_ticks(y_low, y_high):
        drawing.path([(left, y_of(value)), (left + WIDTH, y_of(value))], RULE)
        drawing.text(left - 5, y_of(value) + 4, f"{value:.10g}", QUIET, 10, "end")
    places = plot.x_ticks or [
        (value, f"{value:.4g}") for value in (ticks if plot.log_x else even_ticks)(x_low, x_high)
    ]
    step = -(-len(places) // MOST_TICKS) if places else 1
    for value, name in places[::step]:
        drawing.path([(x_of(value), bottom), (x_of(value), bottom + 4)], QUIET)
        drawing.text(x_of(value), bottom + 17, name, QUIET, 10, "middle")
    for value in plot.y_marks:
        drawing.path([(left, y_of(value)), (left + WIDTH, y_of(value))], INK, 1, "3 3")
    for number, (value, name) in enumerate(plot.x_marks):
        if x_low <= value <= x_high:
            drawing.path([(x_of(value), top), (x_of(value), bottom)], QUIET, 1, "2 3")
            drawing.text(x_of(value) + 2, bottom - 4 - 10 * number, name, QUIET, 9)
    drawing.path([(left, top), (left, bottom), (left + WIDTH, bottom)], QUIET)


def _line(
    drawing: Drawing, line: Line, x_of: Callable[[float], float], y_of: Callable[[float], float]
) -> None:
    if len(line.low):
        edge = (
            list(zip(line.x, line.low, strict=True))
            + list(zip(line.x, line.high, strict=True))[::-1]
        )
        drawing.area([(x_of(x), y_of(y)) for x, y in edge], line.colour, 0.15)
    places = [(x_of(x), y_of(y)) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
    if line.points:
        for x, y in places:
            drawing.dot(x, y, line.colour, 1.8)
    elif places:
        drawing.path(places, line.colour, line.width, line.dash)


def _cells(drawing: Drawing, plot: Plot, left: float, top: float) -> None:
    """Draw a heat map, white at 0 and dark at its most, with its scale in words."""
    size = min(WIDTH, HEIGHT) / len(plot.cells)
    for row, values in enumerate(plot.cells):
        for column, value in enumerate(values):
            drawing.box(
                left + column * size,
                top + row * size,
                size,
                size,
                AMOUNT,
                max(0.0, min(1.0, value / plot.most)),
            )
    drawing.text(left, top + HEIGHT + 17, f"white 0, dark {significant(plot.most)}", QUIET, 10)


def _finite(groups: Iterable[Values]) -> list[float]:
    return [float(value) for values in groups for value in values if math.isfinite(value)]


def _span(low: float, high: float, log: bool) -> tuple[float, float]:
    """Return limits with some room, of a value alone around it."""
    if log:
        return (low * 0.97, high * 1.03) if high > low else (low * 0.8, high * 1.25)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - (room if low else 0.0), high + room
