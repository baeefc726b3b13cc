"""Tail quality of replayed trials against the rate of arrivals, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.analysis.campaign_analysis import Row
from orchestrator.analysis.groups import Group
from orchestrator.report.colours import COLOURS
from orchestrator.report.quality_picture import even_ticks, ticks
from orchestrator.report.replayed import words_of
from orchestrator.report.svg import INK, QUIET, RULE, Drawing, spread, width_of
from orchestrator.report.table import who
from orchestrator.report.text import quality

PLOT_WIDTH, PLOT_HEIGHT = 520.0, 300.0
LEFT, TOP, BOTTOM, LINE = 54.0, 72.0, 54.0, 17.0
FALLBACK_DASH = "6 4"


def replay_picture(answers: Sequence[tuple[Group, Sequence[Row]]]) -> str | None:
    """Return the picture, one panel a group; None where no group has rows of two rates or more."""
    found = [(group, rows) for group, rows in answers if len({row["rate_per_s"] for row in rows}) > 1]
    if not found:
        return None
    labels = [label for group, rows in found for label, _, _ in _lines(group, rows)]
    height = TOP + PLOT_HEIGHT + BOTTOM
    width = LEFT + PLOT_WIDTH + max(width_of(label) for label in labels) + 60
    drawing = Drawing(width, height * len(found), "Mean tail quality against the rate of arrivals, one line a system")
    for number, (group, rows) in enumerate(found):
        _panel(drawing, number * height, group, rows)
    return drawing.to_svg()


def _lines(group: Group, rows: Sequence[Row]) -> list[tuple[str, list[tuple[float, float]], str]]:
    """Return name, points (rate, quality) and dashes of each line: every trial, and every trial with its fallback."""
    made = []
    for trial in dict.fromkeys(row["trial"] for row in rows):
        own = [row for row in rows if row["trial"] == trial]
        name = " ".join(filter(None, who(own[0], group)))
        for label, column, dash in ((name, "mean", ""), (f"{name} with fallback", "fallback_mean", FALLBACK_DASH)):
            if own[0][column] is not None:
                made.append((f"{quality(own[-1][column])} {label}", [(row["rate_per_s"], row[column]) for row in own], dash))
    return made


def _panel(drawing: Drawing, above: float, group: Group, rows: Sequence[Row]) -> None:
    rates = sorted({float(row["rate_per_s"]) for row in rows})
    lines = _lines(group, rows)
    values = [value for _, points, _ in lines for _, value in points] + [row["ideal"] for row in rows]
    floor, top = float(min(0.0, *values)), float(max(0.0, *values))
    top = top if top > floor else floor + 1.0

    def x_of(rate: float) -> float:
        return LEFT + PLOT_WIDTH * math.log(rate / rates[0]) / math.log(rates[-1] / rates[0])

    def y_of(value: float) -> float:
        return above + TOP + PLOT_HEIGHT * (1 - (value - floor) / (1.04 * (top - floor)))

    bottom = above + TOP + PLOT_HEIGHT
    drawing.text(8, above + 22, f"{group.task}: {words_of(rows[0])}", bold=True, size=15)
    drawing.text(8, above + 40, f"mean {rows[0]['metric']} against the rate, played back from closed-loop times", QUIET)
    for value in even_ticks(floor, top):
        drawing.path([(LEFT, y_of(value)), (LEFT + PLOT_WIDTH, y_of(value))], RULE)
        drawing.text(LEFT - 6, y_of(value) + 4, f"{value:.3g}", QUIET, 12, "end")
    for rate in ticks(rates[0], rates[-1]):
        drawing.path([(x_of(rate), bottom), (x_of(rate), bottom + 5)], QUIET)
        drawing.text(x_of(rate), bottom + 19, f"{rate:g}", QUIET, 12, "middle")
    drawing.text(LEFT + PLOT_WIDTH / 2, bottom + 38, "samples a second", QUIET, 12, "middle")
    ideals = {row["ideal"] for row in rows}
    for ideal in ideals if len(ideals) == 1 else ():
        drawing.path([(LEFT, y_of(ideal)), (LEFT + PLOT_WIDTH, y_of(ideal))], INK, 1, "2 3")
        drawing.text(LEFT + 4, y_of(ideal) - 5, "ideal", INK, 12)
    colours = _colours(lines)
    order = sorted(range(len(lines)), key=lambda number: y_of(lines[number][1][-1][1]))
    spots = spread([y_of(lines[number][1][-1][1]) for number in order], LINE, above + TOP, bottom)
    for spot, number in zip(spots, order, strict=True):
        label, points, dash = lines[number]
        places = [(x_of(rate), y_of(value)) for rate, value in points]
        drawing.path(places, colours[number], 2, dash)
        for x, y in places:
            drawing.dot(x, y, colours[number], 3)
        edge = places[-1]
        drawing.path([edge, (edge[0] + 12, spot), (edge[0] + 34, spot)], colours[number], 2, dash)
        drawing.text(edge[0] + 38, spot + 4, label)


def _colours(lines: Sequence[tuple[str, list[tuple[float, float]], str]]) -> list[str]:
    """Return the colour of each line; a trial and what it keeps with its fallback share one."""
    found: list[str] = []
    number = -1
    for _, _, dash in lines:
        number += not dash
        found.append(COLOURS[number % len(COLOURS)])
    return found
