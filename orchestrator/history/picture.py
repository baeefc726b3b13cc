"""The picture of one series: its figures over time, with the noise of visits and processes, levels and change points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from orchestrator.history.points import Point
from orchestrator.history.series import Figure, Series
from orchestrator.report.quality_picture import even_ticks
from orchestrator.report.svg import INK, QUIET, RULE, Drawing
from orchestrator.report.text import milliseconds, quality

PLOT_WIDTH, PLOT_HEIGHT = 900.0, 180.0
LEFT, TOP, BOTTOM, RIGHT = 74.0, 44.0, 40.0, 24.0
DOT, NOISE, VISITS, PROCESSES, CHANGE = "#0072b2", "#9aa3ad", "#56b4e9", "#e69f00", "#b3261e"
FEW = 300
"""Points of more campaigns are joined by a line in place of a disc each."""
NS_PER_MS = 1e6
NOTE = (
    "Dot: one campaign. Light blue: its 95 % interval from visits; orange: over its processes, where there are several. Black: levels; "
    "grey: the noise of one campaign about its level, one standard deviation to either side. Red: change points."
)


class Span(NamedTuple):
    """A level: the places of its points, its value, and that with the noise of one campaign to either side."""

    start: int
    end: int
    value: float
    low: float
    high: float


class Panel(NamedTuple):
    """A figure: its values, limits of the noise of each, and levels. ``places`` are those of the points that have it."""

    figure: Figure
    places: Sequence[int]
    values: Sequence[float]
    visits: Sequence[tuple[float, float]]
    processes: Sequence[tuple[float, float] | None]
    levels: Sequence[Span]


def history_picture(series: Series, of_code: bool) -> str:
    """Return the picture as SVG: a panel of tail quality, and one of deadlines where any is certified. ``of_code``: a point is a code."""
    panels = [_quality(series), *([_deadline(series)] if series.certified else [])]
    height = TOP + PLOT_HEIGHT + BOTTOM
    drawing = Drawing(LEFT + PLOT_WIDTH + RIGHT, height * len(panels), f"History of {' '.join(series.key.names)}")
    places = _across(series.points, of_code)
    for number, panel in enumerate(panels):
        _draw(drawing, number * height, series, panel, places)
        _dates(drawing, number * height + TOP + PLOT_HEIGHT, series.points, places, of_code)
    return drawing.to_svg()


def _quality(series: Series) -> Panel:
    noise = series.quality.noise
    return Panel(
        "tail quality",
        series.places("tail quality"),
        [point.mean for point in series.points],
        [point.interval for point in series.points],
        [point.process_interval for point in series.points],
        [Span(level.start, level.end, level.mean, level.mean - noise, level.mean + noise) for level in series.quality.levels],
    )


def _deadline(series: Series) -> Panel:
    values = [(series.points[place].deadline_ns or 1) / NS_PER_MS for place in series.certified]
    noise = series.deadline.noise
    levels = [Span(level.start, level.end, *(_ms(level.mean + by) for by in (0.0, -noise, noise))) for level in series.deadline.levels]
    return Panel("deadline", series.certified, values, [], [], levels)


def _ms(log_ns: float) -> float:
    return float(np.exp(log_ns)) / NS_PER_MS


def _across(points: Sequence[Point], of_code: bool) -> list[float]:
    """Return where each point stands from left to right: by time, or one beside the other."""
    moments = [float(place) for place in range(len(points))] if of_code else [point.at.timestamp() for point in points]
    span = (moments[-1] - moments[0]) or 1.0
    return [LEFT + PLOT_WIDTH * (0.5 if len(points) == 1 else (moment - moments[0]) / span) for moment in moments]


def _draw(drawing: Drawing, above: float, series: Series, panel: Panel, across: Sequence[float]) -> None:
    limits = [limit for pair in (*panel.visits, *panel.processes) if pair is not None for limit in pair]
    every = [*panel.values, *limits, *(value for level in panel.levels for value in (level.low, level.high))]
    low, high = min(every), max(every)
    pad = 0.05 * (high - low) or max(abs(high) * 0.05, 1e-6)
    low, high = low - pad, high + pad

    def y_of(value: float) -> float:
        return above + TOP + PLOT_HEIGHT * (high - value) / (high - low)

    bottom = above + TOP + PLOT_HEIGHT
    title = f"{series.key.metric} within the threshold" if panel.figure == "tail quality" else "certified deadline (ms)"
    drawing.text(8, above + 18, title, bold=True)
    for value in even_ticks(low, high):
        drawing.path([(LEFT, y_of(value)), (LEFT + PLOT_WIDTH, y_of(value))], RULE)
        drawing.text(LEFT - 6, y_of(value) + 4, f"{value:.4g}", QUIET, 12, "end")
    xs = [across[place] for place in panel.places]
    for level in panel.levels:
        left, width = xs[level.start], max(xs[level.end - 1] - xs[level.start], 1.0)
        drawing.box(left, y_of(level.high), width, y_of(level.low) - y_of(level.high), NOISE, 0.3)
    _band(drawing, [(x, pair) for x, pair in zip(xs, panel.processes, strict=False) if pair is not None], y_of, PROCESSES)
    _band(drawing, list(zip(xs, panel.visits, strict=False)), y_of, VISITS)
    if len(xs) > FEW:
        drawing.path([(x, y_of(value)) for x, value in zip(xs, panel.values, strict=True)], DOT)
    else:
        for x, value in zip(xs, panel.values, strict=True):
            drawing.dot(x, y_of(value), DOT, 2.5)
    for number, level in enumerate(panel.levels):
        start = xs[level.start]
        drawing.path([(start, y_of(level.value)), (max(xs[level.end - 1], start + 2), y_of(level.value))], INK, 2)
        if number:
            at = series.points[panel.places[level.start]].at
            drawing.path([(start, above + TOP), (start, bottom)], CHANGE, 1.5, "5 3")
            label = _change_words(panel, number)
            late = start > LEFT + 0.7 * PLOT_WIDTH
            drawing.text(start + (-6 if late else 6), above + TOP - 6, f"{at:%Y-%m-%d}: {label}", CHANGE, 12, "end" if late else "start")


def _change_words(panel: Panel, number: int) -> str:
    before, after = panel.levels[number - 1].value, panel.levels[number].value
    if panel.figure == "deadline":
        return f"{milliseconds(before * NS_PER_MS)} to {milliseconds(after * NS_PER_MS)}"
    return f"{quality(before)} to {quality(after)}"


def _band(drawing: Drawing, limits: Sequence[tuple[float, tuple[float, float]]], y_of: Callable[[float], float], colour: str) -> None:
    """Draw what lies between two limits of every point; a stroke for one point alone."""
    if len(limits) == 1:
        x, (low, high) = limits[0]
        drawing.path([(x, y_of(low)), (x, y_of(high))], colour, 4)
    elif limits:
        upper = [(x, y_of(high)) for x, (_, high) in limits]
        drawing.area([*upper, *((x, y_of(low)) for x, (low, _) in reversed(limits))], colour, 0.35)


def _dates(drawing: Drawing, bottom: float, points: Sequence[Point], across: Sequence[float], of_code: bool) -> None:
    """Write below the plot when, or by which code, some of the points were measured."""
    for place in sorted({round(share * (len(points) - 1)) for share in (0, 0.25, 0.5, 0.75, 1)}):
        anchor = "start" if place == 0 and len(points) > 1 else "end" if place == len(points) - 1 and place else "middle"
        words = points[place].code if of_code else f"{points[place].at:%Y-%m-%d}"
        drawing.path([(across[place], bottom), (across[place], bottom + 5)], QUIET)
        drawing.text(across[place], bottom + 19, words, QUIET, 12, anchor)
