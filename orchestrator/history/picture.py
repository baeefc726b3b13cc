"""``history.html`` and its pictures: a series over time, with the noise of visits and processes, levels and change points."""

from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.history.series import Figure, Point, Series
from orchestrator.report.chart_files import Look, stacked, svg_of
from orchestrator.report.charts.draw import Spec, channel, whole
from orchestrator.report.html import page_of
from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds, printable, quality

LOOK = Look(width=12.5, text=12, small=11, line=2)
DOT, NOISE, VISITS, PROCESSES, CHANGE = "#0072b2", "#9aa3ad", "#56b4e9", "#e69f00", "#b3261e"
FEW = 300
"""Points of more campaigns are joined by a line in place of a disc each."""
NS_PER_MS = 1e6
NOTE = (
    "Dot: one campaign. Light blue: its 95 % interval from visits; orange: over its processes, where there are several. Black: levels; "
    "grey: the noise of one campaign about its level, one standard deviation to either side. Red: change points."
)


def history_picture(series: Series, of_code: bool) -> str:
    """Return the picture as SVG: a panel of tail quality, and one of deadlines where any is certified. ``of_code``: a point is a code."""
    panels: list[Figure] = ["tail quality", *(["deadline"] if series.certified else [])]  # type: ignore[list-item]
    titles = {"tail quality": f"{series.key.metric} within the threshold", "deadline": "certified deadline (ms)"}
    return stacked([svg_of(history_spec(series, panel, of_code), titles[panel], LOOK) for panel in panels])


def history_spec(series: Series, figure: Figure, of_code: bool) -> Spec:
    """Return the specification of one panel: points, their limits, levels with their noise, and change points."""
    places, course = series.places(figure), series.course(figure)
    rows = [_row(place, series.points[place], figure, of_code) for place in places]
    levels = [
        {"from": rows[level.start]["x"], "to": rows[level.end - 1]["x"]}
        | {name: _shown(figure, level.mean + by * course.noise) for name, by in (("value", 0), ("low", -1), ("high", 1))}
        for level in course.levels
    ]
    changes = [
        {
            "x": levels[number]["from"],
            "words": f"{series.points[places[after.start]].at:%Y-%m-%d}: {_words(figure, before.mean, after.mean)}",
        }
        for number, (before, after) in enumerate(course.changes, start=1)
    ]
    codes = [printable(point.code) for point in series.points]
    time: Spec = {"field": "x", "type": "temporal", "scale": {"type": "utc"}, "axis": {"title": None, "format": "%Y-%m-%d"}}
    x = channel("x", None, format="d", tickMinStep=1, labelExpr=f"({codes})[datum.value]") if of_code else time
    y, span = channel("value", None), {"x": x | {"field": "from"}, "x2": {"field": "to"}}
    late = rows[0]["x"] + 0.7 * (rows[-1]["x"] - rows[0]["x"])
    band = {"type": "rule", "strokeWidth": 4} if len(rows) == 1 else {"type": "area", "opacity": 0.35}
    label = {"type": "text", "color": CHANGE, "baseline": "top"}
    layers: list[tuple[Sequence[Spec] | None, Spec, Spec]] = [
        (levels, {"type": "rect", "color": NOISE, "opacity": 0.3}, {**span, "y": y | {"field": "low"}, "y2": {"field": "high"}}),
        *(
            (None, band | {"color": colour}, {"x": x, "y": y | {"field": f"{of}_low"}, "y2": {"field": f"{of}_high"}})
            for of, colour in (("processes", PROCESSES), ("visits", VISITS))
            if any(f"{of}_low" in row for row in rows)
        ),
        (None, {"type": "line" if len(rows) > FEW else "circle", "color": DOT, "opacity": 1}, {"x": x, "y": y}),
        (levels, {"type": "rule", "strokeWidth": 2}, {**span, "y": y}),
        (changes, {"type": "rule", "color": CHANGE, "strokeDash": [5, 3]}, {"x": x}),
        *(
            ([one for one in changes if (one["x"] > late) == right], label | side, {"x": x, "y": {"value": 0}, "text": {"field": "words"}})
            for right, side in ((False, {"align": "left", "dx": 6}), (True, {"align": "right", "dx": -6}))
        ),
    ]
    drawn = [({} if data is None else {"data": {"values": data}}) | {"mark": mark, "encoding": of} for data, mark, of in layers]
    return whole(rows, drawn)


def _row(place: int, point: Point, figure: Figure, of_code: bool) -> Spec:
    row: Spec = {"x": place if of_code else point.at.timestamp() * 1000}
    if figure == "deadline":
        return row | {"value": (point.deadline_ns or 1) / NS_PER_MS}
    limits = {"visits": point.interval, "processes": point.process_interval}
    known = {f"{name}_{side}": value for name, pair in limits.items() if pair for side, value in zip(("low", "high"), pair, strict=True)}
    return row | {"value": point.mean} | known


def _shown(figure: Figure, level: float) -> float:
    return float(np.exp(level)) / NS_PER_MS if figure == "deadline" else level


def _words(figure: Figure, *levels: float) -> str:
    return " to ".join(milliseconds(float(np.exp(level))) if figure == "deadline" else quality(level) for level in levels)


def to_page(title: str, sentences: Sequence[str], tables: Sequence[Table], pictures: Mapping[str, str]) -> str:
    """Return the page: what the history comes to, its change points, the picture of each series by its name, and every table."""
    values = {"title": title, "sentences": sentences, "tables": tables, "pictures": pictures, "note": NOTE}
    return page_of("orchestrator.history", "history_page.html.j2", **values)
