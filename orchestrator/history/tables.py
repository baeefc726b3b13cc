"""A history in words and tables, and ``history.html`` with the picture of each series."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from orchestrator.contracts import InputError
from orchestrator.history.change_points import ERROR, FEWEST, fewest_campaigns
from orchestrator.history.series import HEADS, Change, Figure, Point, Series, tests_of
from orchestrator.history.stored import Stored
from orchestrator.report.chart_files import Look, stacked, svg_of
from orchestrator.report.charts.draw import Spec, channel, whole
from orchestrator.report.html import page_of, said
from orchestrator.report.table import Table, condensed
from orchestrator.report.text import milliseconds, printable, quality
from orchestrator.stats.thresholds import NS_PER_MS
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import TrialRecord

NOTHING = "nothing that was recorded"
LEFT_OUT = ("platform", "torch_git")
MACHINE = ("host", "processor", "logical_cores", "memory_bytes", "governor", "turbo")
LOOK = Look(width=12.5, text=12, small=11, line=2)
DOT, NOISE, VISITS, PROCESSES, CHANGE = "#0072b2", "#9aa3ad", "#56b4e9", "#e69f00", "#b3261e"
# Points of more campaigns are joined by a line in place of a disc each.
FEW = 300
NOTE = (
    "Dot: one campaign. Light blue: its 95 % interval from visits; orange: over its processes, where there are several. Black: levels; "
    "grey: the noise of one campaign about its level, one standard deviation to either side. Red: change points."
)
BARS = "▁▂▃▄▅▆▇█"
# How long the course of a series is, in letters.
CELLS = 16
ABOUT = (
    "now: mean of the newest level, since its first campaign. {before}noise: standard deviation of one campaign "
    "about its level, or the one that its visits and processes predict, if larger. deadline: geometric mean of the newest level of "
    "certified deadlines; certified: how many campaigns certify one."
)
ABOUT_CHANGES = (
    "A change point is no proof of its cause. Of histories without a change, at most {error:g} % show one, over all series. A change "
    "smaller than the noise of one campaign is left out. what else differs: between the last campaign before and the first one after."
)


def title_of(stored: Sequence[Stored]) -> str:
    """Return what a history is of, and from when to when."""
    names = dict.fromkeys(one.head.name for one in stored)
    return said("orchestrator.history", "title", names=names, stored=stored)


def series_tables(series: Sequence[Series], thresholds: Mapping[str, int], of_code: bool, fine: bool) -> Iterator[Table]:
    """Yield a table per task, with one row per series.

    Parameters
    ----------
    of_code
        whether a point is a code rather than a campaign.
    fine
        whether the course may be drawn with letters that are bars.
    """
    what = "codes" if of_code else "campaigns"
    heads = HEADS[: len(series[0].names)]
    for task in dict.fromkeys(one.key.task for one in series):
        some = [one for one in series if one.key.task == task]
        before = any(len(one.courses["tail quality"].levels) > 1 for one in some)
        figures = [what, "now", *(["before"] if before else []), "noise", "deadline", "certified"]
        rows = [
            [
                *one.names,
                *_figures(one, before),
                *([course_of([point.mean for point in one.points])] if fine else []),
            ]
            for one in some
        ]
        yield condensed(
            Table(
                title=f"Tail quality of {task} ({some[0].key.metric}) within {thresholds[task] / NS_PER_MS:g} ms",
                columns=[*heads, *figures, *(["course"] if fine else [])],
                rows=rows,
                note=ABOUT.format(before="before: that of the level before. " if before else ""),
                right=frozenset(figures),
            ),
            ["model", what, "now", "course"],
        )


def _figures(one: Series, before: bool) -> list[str]:
    levels, deadlines = one.courses["tail quality"].levels, one.courses["deadline"].levels
    return [
        f"{len(one.points):,}",
        quality(levels[-1].mean),
        *([quality(levels[-2].mean) if len(levels) > 1 else "-"] if before else []),
        f"{one.courses['tail quality'].noise:.2g}",
        milliseconds(float(np.exp(deadlines[-1].mean))) if deadlines else "-",
        f"{len(one.places['deadline']):,}",
    ]


def course_of(values: Sequence[float], cells: int = CELLS) -> str:
    """Return a series as bars, the means of equal stretches, from its least to its largest.

    Examples
    --------
    >>> course_of([1, 1, 2, 3])
    '▁▁▅█'
    """
    parts = [float(part.mean()) for part in np.array_split(np.asarray(values, dtype=np.float64), min(cells, len(values)))]
    low, high = min(parts), max(parts)
    steps = len(BARS) - 1
    return "".join(BARS[round(steps * (part - low) / (high - low)) if high > low else steps // 2] for part in parts)


def changes_table(changes: Sequence[Change], stored: Sequence[Stored]) -> Table:
    """Return one row per change point, in order of time."""
    opened = cache(open_campaign)
    rows = []
    for change in changes:
        one = change.series
        before, after = one.points[change.before], one.points[change.after]
        rows.append(
            [
                f"{after.at:%Y-%m-%d %H:%M}",
                *one.names,
                one.key.task,
                change.figure,
                *(_words(change.figure, level) for level in (change.level_before, change.level_after)),
                f"{100 * change.noise:.1f} %" if change.figure == "deadline" else f"{change.noise:.2g}",
                what_differs(stored[before.campaigns[-1]], stored[after.campaigns[0]], one.key.match_key, opened),
            ]
        )
    return condensed(
        Table(
            title="Change points",
            columns=["from", *HEADS[: len(changes[0].series.names)], "task", "figure", "before", "after", "noise", "what else differs"],
            rows=rows,
            note=ABOUT_CHANGES.format(error=100 * ERROR),
            right=frozenset(["before", "after", "noise"]),
        ),
        ["from", "figure", "before", "after", "what else differs"],
    )


def sentences(series: Sequence[Series], changes: Sequence[Change], of_code: bool) -> list[str]:
    """Return what the history comes to. Where no series is long enough to be tested, it speaks of all that there are."""
    longest = max(len(one.points) for one in series)
    tests = tests_of(one.points for one in series)
    if longest < 2 * FEWEST:
        tests = len(series) + sum(bool(one.places["deadline"]) for one in series)
    where = len({(change.series.key, change.figure) for change in changes})
    counts = {"changes": len(changes), "where": where, "tests": tests, "longest": longest, "needed": fewest_campaigns(tests)}
    return said("orchestrator.history", "summary", what="codes" if of_code else "campaigns", **counts).splitlines()


def what_differs(before: Stored, after: Stored, match_key: str, opened: Callable[[Path], Campaign]) -> str:
    """Return in words what differs between two campaigns for one system: code, machine and stack."""
    found = [f"code {before.head.code} -> {after.head.code}"] if before.head.code != after.head.code else []
    records: list[TrialRecord] = []
    with suppress(InputError):  # of a damaged campaign
        for campaign in (opened(stored.directory) for stored in (before, after)):
            trials = [planned.trial_id for planned in campaign.record.trials if planned.match_key == match_key]
            records += [campaign.trial(trial_id) for trial_id in trials[:1]]
    if len(records) > 1:
        here, there = records
        pairs = [(name, here.environment.get(name), there.environment.get(name)) for name in MACHINE]
        pairs += [(name, here.stack.get(name), there.stack.get(name)) for name in {**here.stack, **there.stack} if name not in LEFT_OUT]
        found += [f"{name} {mine} -> {theirs}" for name, mine, theirs in pairs if mine != theirs]
        if here.environment.get("boot_id") != there.environment.get("boot_id"):
            found.append("restarted")
    return ", ".join(found) or NOTHING


def history_picture(series: Series, of_code: bool) -> str:
    """Return the picture as SVG: a panel of tail quality, and one of deadlines where any is certified. ``of_code``: a point is a code."""
    titles: dict[Figure, str] = {"tail quality": f"{series.key.metric} within the threshold", "deadline": "certified deadline (ms)"}
    shown = ((figure, title) for figure, title in titles.items() if series.places[figure])
    return stacked([svg_of(history_spec(series, figure, of_code), title, LOOK) for figure, title in shown])


def history_spec(series: Series, figure: Figure, of_code: bool) -> Spec:
    """Return the specification of one panel: points, their limits, levels with their noise, and change points."""
    places, course = series.places[figure], series.courses[figure]
    shown = (lambda level: np.exp(level) / NS_PER_MS) if figure == "deadline" else float
    rows = [_row(place, series.points[place], figure, of_code) for place in places]
    levels = [
        {"from": rows[level.start]["x"], "to": rows[level.end - 1]["x"]}
        | {name: float(shown(level.mean + by * course.noise)) for name, by in (("value", 0), ("low", -1), ("high", 1))}
        for level in course.levels
    ]
    changes = [
        {"x": levels[number]["from"], "words": f"{series.points[places[after.start]].at:%Y-%m-%d}: {' to '.join(words)}"}
        for number, (before, after) in enumerate(course.changes, start=1)
        for words in [[_words(figure, np.exp(level.mean) if figure == "deadline" else level.mean) for level in (before, after)]]
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


def _words(figure: Figure, level: float) -> str:
    return milliseconds(level) if figure == "deadline" else quality(level)


def to_page(title: str, sentences: Sequence[str], tables: Sequence[Table], pictures: Mapping[str, str]) -> str:
    """Return the page: what the history comes to, its change points, the picture of each series by its name, and every table."""
    values = {"title": title, "sentences": sentences, "tables": tables, "pictures": pictures, "note": NOTE}
    return page_of("orchestrator.history", "history_page.html.j2", **values)
