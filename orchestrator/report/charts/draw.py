"""What charts share: colours, axes, marks and what a page moves, as parts of Vega-Lite.

Readers tell colours and dashes apart, also those who see fewer colours, and in black and white.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from orchestrator.analysis.curves import Floats
from orchestrator.analysis.reading import Entry, Reading
from orchestrator.report.text import printable

# The parts of the page.
SECTIONS = ("quality", "latency", "rounds", "ranking", "settling", "prediction", "causes")
# After Okabe and Ito (Color Universal Design, 2008), for thin lines on white: violet in place of
# yellow, and a darker purple.
COLOURS = ("#0072b2", "#d55e00", "#000000", "#009e73", "#b5457f", "#56b4e9", "#4b0092", "#e69f00")
# As many for a dark ground.
DARK_COLOURS = (
    *("#56a9e8", "#f28c4b", "#f2f4f7", "#4ce08f"),
    *("#ff5fa8", "#f22963", "#a877ff", "#fcc91c"),
)
# Lengths of strokes and gaps, in widths of the line; none is a whole line.
DASHES: tuple[tuple[float, ...], ...] = (
    *((), (5, 2), (1.2, 1.6)),
    *((7, 2, 1.2, 2), (2.5, 1.2), (9, 2.5, 3, 2.5)),
)
Spec = dict[str, Any]
INK, QUIET, LINES = (
    {"expr": f"dark ? '{dark}' : '{light}'"}
    for light, dark in (("#1b1f24", "#e8ebee"), ("#56606b", "#a9b3bd"), ("#e3e6ea", "#343b43"))
)
# Lines named in a legend, and systems of several models that one panel holds.
MOST_IN_LEGEND, MOST_TOGETHER = 16, 10
LETTER = 5.3  # Width of a letter on average in a legend, in px.
SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down")
CLOCKS = {
    "total": "total time",
    "inference": "inference time",
    "response": "response time",
    "first_token": "time to first token",
    "per_token": "time per token",
}
METRICS = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "subject_accuracy": "accuracy by subject",
    "map": "mean average precision",
    "map50": "mean average precision at 50 % overlap",
    "map75": "mean average precision at 75 % overlap",
    "f1_macro": "macro F1",
    "f1_micro": "micro F1",
    "hit_rate_at_10": "hit rate at 10",
    "ndcg_at_10": "NDCG at 10",
}


def config(text: float = 12, small: float = 11, line: float = 2) -> Spec:
    """Return the look of a chart: sizes of titles and of labels, and the width of a line, in px."""
    return {
        "background": "transparent",
        "font": "sans-serif",
        "view": {"stroke": None},
        "line": {"strokeWidth": line},
        "point": {"strokeWidth": 0.75 * line, "size": 14 * line},
        "rule": {"color": INK, "strokeWidth": 0.75 * line},
        "text": {"color": INK, "fontSize": small},
        "title": {"color": INK, "fontSize": 1.1 * text, "anchor": "start", "offset": 10},
        "header": {"labelColor": INK, "labelFontSize": text, "labelFontWeight": "bold"},
        "axis": {
            "labelColor": QUIET,
            "titleColor": QUIET,
            "tickColor": QUIET,
            "gridColor": LINES,
            "domainColor": QUIET,
            "labelFontSize": small,
            "titleFontSize": text,
            "titleFontWeight": "normal",
            "labelOverlap": "greedy",
            "labelSeparation": 4,
        },
        "legend": {
            "labelColor": INK,
            "titleColor": INK,
            "labelFontSize": small,
            "labelLimit": 0,
            "orient": "bottom",
            "symbolStrokeWidth": line,
            "symbolSize": 30 * text,
            "symbolOpacity": 1,
            "offset": 8,
        },
    }


@dataclass(frozen=True)
class Chart:
    """A figure.

    name
        as in ``--only NAME`` and in names of files.
    section, place
        the part of the page that it stands in, and its place there, the lowest first.
    spec
        Vega-Lite, whose parameters ``deadline`` (ms), ``clock``, ``picked`` (short key of a system,
        or nothing) and ``dark`` a page may set; those with a ``bind`` are a reader's own choice.
    """

    name: str
    section: str
    title: str
    note: str
    spec: Spec
    place: int = 100


def rounded(values: Iterable[float], digits: int = 4) -> list[float | None]:
    """Return what a screen shows of numbers; None where one is not finite."""
    return [float(f"{one:.{digits}g}") if math.isfinite(one) else None for one in values]


def corners(**columns: Floats) -> dict[str, list[float | None]]:
    """Return columns of steps without the places at which nothing changes; the first is x."""
    table = np.array([rounded(column) for column in columns.values()], dtype=np.float64)
    same = np.all(np.nan_to_num(table[1:, 1:]) == np.nan_to_num(table[1:, :-1]), axis=0)
    kept = ~np.concatenate([[False], same])
    kept[-1] = True
    return dict(zip(columns, map(rounded, table[:, kept]), strict=True))


def channel(
    field: str, title: Any, log: bool = False, zero: bool = False, domain: Any = None, **more: Any
) -> Spec:
    """Return a position of numbers; ``more`` is of its axis."""
    scale: Spec = {"type": "log", "nice": False} if log else {"zero": zero}
    scale |= {} if domain is None else {"domain": domain}
    axis = {"title": title, "tickCount": 8} | ({"format": "~g"} if log else {}) | more
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def on_clock(before: str) -> Spec:
    """Return an axis title that ends with the name of the clock that is drawn."""
    words = ", ".join(f"'{clock}': '{name}'" for clock, name in CLOCKS.items())
    return {"expr": f"'{before}' + ({{{words}}}[clock] || clock) + ' (ms)'"}


def metric_words(reading: Reading) -> str:
    """Return the name of a metric on an axis."""
    return METRICS.get(reading.metric, printable(reading.metric))


def mark(kind: str, tooltip: Sequence[tuple[str, str]] = (), **encoding: Any) -> Spec:
    """Return a layer: a line, ``step``, ``band``, ``point``, or invisible points that tell."""
    kinds: dict[str, Spec] = {
        "line": {"type": "line"},
        "dots": {"type": "line", "point": {"size": 18, "strokeDash": [1, 0]}},
        "step": {"type": "line", "interpolate": "step-after"},
        "band": {"type": "area"},
        "step-band": {"type": "area", "interpolate": "step-after"},
        "point": {"type": "point", "strokeDash": [1, 0]},
        "tips": {"type": "point", "size": 120, "opacity": 0, "filled": True},
    }
    own: Spec = {"opacity": _opacity(0.15)} if kind.endswith("band") else {}
    own |= {"opacity": {"value": 0}} if kind == "tips" else {}
    shown = encoding | own
    if tooltip:
        titles = [("of", "system"), *tooltip]
        shown = shown | {"tooltip": [{"field": one, "title": title} for one, title in titles]}
    drawn = kinds[kind] | {"clip": kind not in ("point", "tips")}
    return {"name": kind, "mark": drawn, "encoding": shown}


def _opacity(most: float) -> Spec:
    unlit = {"or": [{"not": {"param": "lit"}}, "picked != '' && datum.k != picked"]}
    return {
        "condition": [{"test": unlit, "value": 0.1 * most}, {"test": "datum.faint", "value": 0.4}],
        "value": most,
    }


def rule(side: str, last: float = math.inf) -> list[Spec]:
    """Return the mark of the deadline on an axis of time, x or y, which ends at ``last``."""
    late = f"deadline > {min(last / 2, 1e300):.6g}"
    place = {"field": "at", "type": "quantitative"}
    text: Spec = {"type": "text", "baseline": "bottom", "align": "left", "dx": 4, "dy": -2}
    if side == "x":
        text |= {
            "align": {"expr": f"{late} ? 'right' : 'left'"},
            "dx": {"expr": f"{late} ? -4 : 4"},
        }
    told = {"x": place, "y": {"value": 2}} if side == "x" else {"y": place, "x": {"value": 0}}
    return [
        {
            "data": {"values": [{}]},
            "transform": [
                {"calculate": "deadline", "as": "at"},
                {"calculate": "format(deadline, '.4~g') + ' ms'", "as": "words"},
            ],
            "layer": [
                {"mark": {"type": "rule", "strokeDash": [5, 3]}, "encoding": {side: place}},
                {"mark": text, "encoding": {**told, "text": {"field": "words"}}},
            ],
        }
    ]


def level(values: Mapping[str, float]) -> list[Spec]:
    """Return horizontal lines with their names."""
    rows = [{"at": value, "words": name} for name, value in values.items()]
    place = {"field": "at", "type": "quantitative"}
    text = {"type": "text", "align": "left", "baseline": "bottom", "dx": 3, "dy": -2}
    return [
        {"data": {"values": rows}, "mark": kind, "encoding": {"y": place, **encoding}}
        for kind, encoding in (
            ({"type": "rule", "strokeDash": [2, 3], "color": QUIET}, {}),
            ({**text, "color": QUIET}, {"x": {"value": 0}, "text": {"field": "words"}}),
        )
        if rows
    ]


def line_styles(
    wanted: Mapping[str, tuple[int, int]],
) -> dict[str, tuple[int, tuple[float, ...]]]:
    """Return the number of a colour, and dashes, for each line, no two alike while there are such.

    ``wanted`` are the numbers of both by key, which a line gets unless another one has them.
    """
    found: dict[str, tuple[int, int]] = {}
    for key, (colour, dash) in wanted.items():
        pair = dash % len(DASHES), colour % len(COLOURS)
        pairs = product(range(len(DASHES)), range(len(COLOURS)))
        taken = found.values()
        found[key] = next((one for one in (pair, *pairs) if one not in taken), pair)
    return {key: (colour, DASHES[dash]) for key, (dash, colour) in found.items()}


class Lines:
    """The systems of a chart: their names, colours and dashes, and whether models have panels.

    ``kept`` is what stands before names where no model has a panel, by the key of the system.
    """

    def __init__(self, reading: Reading, kept: Mapping[str, str] | None = None) -> None:
        keys, ranks = reading.short_keys(), reading.ranks(reading.clock)
        grid = reading.grids[reading.clock]
        systems = sorted(reading.systems, key=lambda one: float(ranks[one.key][grid.start]))
        self.start = {"clock": str(reading.clock), "deadline": float(f"{grid.ms[grid.start]:.12g}")}
        self.models = list(dict.fromkeys(printable(one.model) for one in systems))
        self.models *= len(self.models) > 1 and len(systems) > MOST_TOGETHER
        places = [one.place[bool(self.models) :] for one in systems]
        numbers = {place: at for at, place in enumerate(dict.fromkeys(places))}
        self._heads = {}
        wanted: dict[str, tuple[int, int]] = {}
        for one, place in zip(systems, places, strict=True):
            name = one.label.removeprefix(f"{one.model} · ") if self.models else one.label
            before = kept.get(one.key, "") if kept and not self.models else ""
            name = f"{before} {printable(name)}".strip()
            colour = numbers[place] if len(numbers) > 1 else one.dash
            wanted.setdefault(name, (colour, one.dash))
            for member in (one, *one.processes):
                told = {"s": name, "k": keys[one.key], "of": printable(member.label)}
                of_model = {"m": printable(one.model)} if self.models else {}
                self._heads[member.key] = told | of_model
        self.styles = line_styles(wanted)

    def row(self, entry: Entry, clock: Any = None, **columns: Any) -> Spec:
        """Return a row of data: names of the system, and a list of numbers for each column."""
        head = self._heads[entry.key] | ({"clock": str(clock)} if clock else {})
        return head | {
            name: rounded(values) if isinstance(values, np.ndarray) else values
            for name, values in columns.items()
        }

    def spec(
        self,
        rows: Sequence[Spec],
        layers: Sequence[Spec],
        over: Sequence[Spec] = (),
        choices: Mapping[str, Sequence[str]] | None = None,
        transform: Sequence[Spec] = (),
        **encoding: Any,
    ) -> Spec:
        """Return a specification.

        ``layers`` are drawn for each system and share ``encoding``, ``over`` once above them all;
        of ``choices`` the first is drawn until a reader makes another.
        """
        sign = "shape" if layers[0]["name"] == "point" else "strokeDash"
        named = by_name(self.styles, sign) | {"opacity": _opacity(1)}
        named["detail"] = [{"field": "of"}, {"field": "faint"}]
        lit = {"name": "lit", "select": {"type": "point", "fields": ["s"]}, "bind": "legend"}
        signed = {sign: named.pop(sign)}
        first, *others = (
            one if one["name"].endswith("band") else {**one, "encoding": signed | one["encoding"]}
            for one in layers
        )
        drawn = {"layer": [{"params": [lit], **first}, *others], "encoding": named | encoding}
        return whole(rows, [drawn, *over], self.start, choices, transform, self.models)


def by_name(
    styles: Mapping[str, tuple[int, Sequence[float]]],
    sign: str = "strokeDash",
) -> Spec:
    """Return the encoding of the field ``s`` by colours and dashes, or shapes, with a legend."""
    names = list(styles)
    room = int(LETTER * max(map(len, names), default=0) + 50)
    legend: Spec = {
        "title": None,
        "columns": {"expr": f"max(1, floor(wide / {room}))"},
        **({"values": names[:MOST_IN_LEGEND]} if len(names) > MOST_IN_LEGEND else {}),
        **({"symbolType": "stroke"} if sign == "strokeDash" else {"symbolSize": 80}),
    }
    ranges: dict[str, list[Any]] = {
        "color": [{"expr": f"ink[{colour}]"} for colour, _ in styles.values()],
        "strokeDash": [[2 * one for one in dash] or [1, 0] for _, dash in styles.values()],
        "shape": [SHAPES[DASHES.index(tuple(dash))] for _, dash in styles.values()],
    }
    return {
        name: {
            "field": "s",
            "type": "nominal",
            "legend": legend if len(names) > 1 else None,
            "scale": {"domain": names, "range": ranges[name]},
        }
        for name in ("color", sign)
    }


def whole(
    rows: Sequence[Spec],
    layers: Sequence[Spec],
    start: Mapping[str, Any] | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
    transform: Sequence[Spec] = (),
    models: Sequence[str] = (),
) -> Spec:
    """Return a specification of rows, whose lists are flattened; each of ``models`` has a panel."""
    lists = [name for name, value in rows[0].items() if isinstance(value, list)] if rows else []
    values = {"dark": False, "wide": 640, "picked": "", **(start or {})}
    selects = [
        {"name": name, "value": made[0], "bind": {"input": "select", "options": list(made)}}
        for name, made in (choices or {}).items()
    ]
    panel: Spec = {"width": 640, "height": 300, "layer": list(layers)}
    if models:
        facet = {"field": "m", "type": "nominal", "title": None, "sort": list(models)}
        panel = {"facet": facet, "columns": 2, "spec": panel}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "params": [
            *({"name": name, "value": value} for name, value in values.items()),
            {"name": "ink", "expr": f"dark ? {list(DARK_COLOURS)} : {list(COLOURS)}"},
            *selects,
        ],
        "data": {"values": list(rows)},
        "transform": [
            *([{"filter": "datum.clock == clock"}] if rows and "clock" in rows[0] else []),
            *([{"flatten": lists}] if lists else []),
            *transform,
        ],
        **panel,
    }
