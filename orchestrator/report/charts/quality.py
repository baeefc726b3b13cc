"""Tail quality against threshold and over rounds, ranks, capacity, settling and prediction."""

from collections.abc import Mapping

import numpy as np

from orchestrator.analysis.outcomes import FATES, counted
from orchestrator.analysis.reading import Reading
from orchestrator.analysis.tables.times import rjsd_column
from orchestrator.contracts import by_key
from orchestrator.report.charts.draw import (
    CLOCKS,
    INK,
    Chart,
    Lines,
    Spec,
    channel,
    corners,
    level,
    mark,
    metric_words,
    on_clock,
    rounded,
    rule,
    whole,
)
from orchestrator.report.text import milliseconds, printable

# What the note says of a campaign without and with repeats.
MEANS = {
    False: "Mean over rounds with its 95 % interval as a band",
    True: "Mean over processes with its 95 % interval as a band, each process as a thin line",
}
FIGURES = ("mean", "worst round")
# What is drawn of a row of ``envelope``.
OF_BEST = {
    "y": "mean",
    "low": "interval_low",
    "high": "interval_high",
    "number": "envelope",
    "leads": "leads",
}
CHOSEN = [{"calculate": "figure == 'mean' ? datum.mean : datum.worst", "as": "y"}]
INKS = dict(zip(FATES, (2, 1, 7, 4, 6, 3, 0), strict=True))  # numbers of colours
MOST_CHECKS = 500  # Most checks drawn of a trial, evenly chosen.


def curve_chart(reading: Reading, kept: Mapping[str, str] | None = None) -> Chart:
    """Return tail quality against threshold, with bands; ``kept`` stands before systems' names."""
    lines, rows = Lines(reading, kept), []
    names = ("mean", "low", "high", "worst")
    for clock in reading.clocks:
        ms = reading.grids[clock].ms
        for entry in reading.systems:
            for one in (entry, *entry.processes):
                curve = reading.curves[clock, one.key]
                drawn = corners(x=ms, **{name: getattr(curve, name) for name in names})
                rows.append(lines.row(one, clock, faint=one is not entry, **drawn))
    curves = [reading.curves[reading.clock, entry.key] for entry in reading.systems]
    ideals = {curve.ideal for curve in curves}
    bottom = min(0.0, *(float(curve.worst.min()) for curve in curves))
    top = max(max(curve.ideal, float(curve.high.max())) for curve in curves)
    told = [("x", "threshold (ms)"), ("mean", "mean"), ("low", "low"), ("high", "high")]
    band = mark("step-band", y={"field": "low"}, y2={"field": "high"})
    band["transform"] = [{"filter": "figure == 'mean' && !datum.faint"}]
    return Chart(
        name="tail-quality",
        section="quality",
        place=1,
        title="Tail quality against threshold",
        note=f"{MEANS[reading.repeated]}, or the worst round. Each value holds until the next "
        "threshold that was computed.",
        spec=lines.spec(
            rows,
            [mark("step"), band, mark("tips", [*told, ("worst", "worst round")])],
            [
                *rule("x", float(reading.grids[reading.clock].ms[-1])),
                *level({"ideal": ideals.pop()} if len(ideals) == 1 else {}),
            ],
            {"figure": FIGURES},
            CHOSEN,
            x=channel("x", on_clock("threshold on "), log=True),
            y=channel("y", f"tail quality ({metric_words(reading)})", domain=[bottom, 1.04 * top]),
        ),
    )


def outcome_chart(reading: Reading) -> Chart:
    rows: list[Spec] = []
    for clock in reading.clocks:
        grid = reading.grids[clock]
        drawn = np.array(rounded(grid.ms), dtype=np.float64)
        ms, places = np.unique(drawn, return_index=True)  # equal ones would be stacked
        for entry in reading.systems:
            told = [counted(one.data, clock, grid.ns[places]) for one in entry.members]
            answers = sum(one.data.times[clock].size for one in entry.members)
            for fate in FATES:
                if counts := [of[fate] for of in told if fate in of]:
                    shares = rounded(100 * np.sum(counts, axis=0) / answers)
                    of_fate = {"s": printable(entry.label), "fate": fate, "at": -FATES.index(fate)}
                    rows.append({**of_fate, "clock": str(clock), "x": ms.tolist(), "y": shares})
    names = [fate for fate in reversed(FATES) if any(row["fate"] == fate for row in rows)]
    colours = [{"expr": f"ink[{INKS[fate]}]"} for fate in names]
    area = {
        "mark": {"type": "area", "interpolate": "step-after", "opacity": 0.75, "clip": True},
        "encoding": {
            "x": channel("x", on_clock("deadline on "), log=True),
            "y": channel("y", "answers (%)", domain=[0, 100]) | {"stack": "zero"},
            "order": {"field": "at"},
            "color": {
                "field": "fate",
                "type": "nominal",
                "scale": {"domain": names, "range": colours},
                "legend": {"title": None, "columns": 3, "symbolType": "square"},
            },
            "tooltip": [{"field": one} for one in ("s", "x", "fate", "y")],
        },
    }
    return Chart(
        name="outcomes",
        section="quality",
        place=2,
        title="What becomes of answers, by deadline",
        note="Of all answers of all rounds, each under the first that holds: error, late, "
        "truncated, unparsable, wrong, right.",
        spec=whole(
            rows,
            [area, *rule("x", float(reading.grids[reading.clock].ms[-1]))],
            Lines(reading).start,
            {"system": list(dict.fromkeys(row["s"] for row in rows))},
            [{"filter": "datum.s == system"}],
        ),
    )


def rank_chart(reading: Reading) -> Chart:
    lines = Lines(reading)
    ranks = {clock: reading.ranks(clock) for clock in reading.clocks if len(reading.systems) > 1}
    rows = [
        lines.row(entry, clock, **corners(x=reading.grids[clock].ms, y=places[entry.key]))
        for clock, places in ranks.items()
        for entry in reading.systems
    ]
    places = channel("y", "place (1 is best)", format="d", tickMinStep=1)
    places["scale"] |= {"reverse": True}
    return Chart(
        name="ranking",
        section="ranking",
        place=1,
        title="Ranking by threshold",
        note="By mean tail quality, then by the worst round; systems that keep the same share the "
        "better place. Lines cross where a ranking flips.",
        spec=lines.spec(
            rows,
            [mark("step"), mark("tips", [("x", "threshold (ms)"), ("y", "place")])],
            rule("x", float(reading.grids[reading.clock].ms[-1])),
            x=channel("x", on_clock("threshold on "), log=True),
            y=places,
        ),
    )


def envelope_chart(reading: Reading) -> Chart:
    lines, clock = Lines(reading), reading.clock
    members = {entry.key for entry in reading.entries}
    best = [
        {name: row[column] for name, column in OF_BEST.items()} | {"x": row["threshold_ns"] / 1e6}
        for row in reading.results.rows("envelope")
        if row["trial"] in members
    ]
    rows = [
        lines.row(one, **corners(x=reading.grids[clock].ms, y=reading.curves[clock, one.key].mean))
        for one in reading.systems[: len(best)]
    ]
    place = {name: {"field": name, "type": "quantitative"} for name in ("x", "y", "low")}
    step = {"interpolate": "step-after", "color": INK, "clip": True}
    envelope = {
        "data": {"values": best},
        "encoding": {"x": place["x"], "y": place["y"], "detail": {"field": "number"}},
        "layer": [
            {
                "mark": {**step, "type": "area", "opacity": 0.12},
                "encoding": {"y": place["low"], "y2": {"field": "high"}},
            },
            {"mark": {**step, "type": "line", "strokeWidth": 7, "opacity": 0.3}},
            {
                "mark": {"type": "point", "filled": True, "color": INK, "size": 60, "opacity": 1},
                "transform": [{"filter": "datum.leads"}],
            },
        ],
    }
    return Chart(
        name="envelope",
        section="quality",
        place=2,
        title="The best setting at each deadline",
        note="The broad line is the envelope: the best at each deadline, with its 95 % interval. "
        "From a point on another leads; the table of best settings names it.",
        spec=lines.spec(
            rows,
            [mark("step"), mark("tips", [("x", "deadline (ms)"), ("y", "mean")])],
            [envelope],
            x=channel("x", f"deadline on {CLOCKS[clock]} (ms)", log=True),
            y=channel("y", f"tail quality ({metric_words(reading)})", zero=True),
        ),
    )


def rounds_chart(reading: Reading) -> Chart:
    lines, rows, longest = Lines(reading), [], 1
    for clock in reading.clocks:
        for entry in reading.entries:
            curve = reading.curves[clock, entry.key]
            longest = max(longest, -(-len(entry.data.times[clock]) // len(curve.centres)))
            numbers = {"x": curve.centres + 1, "mean": curve.rounds, "worst": curve.worst_rounds}
            rows.append(lines.row(entry, clock, **numbers))
    drawn = (
        f"A point stands for up to {longest} rounds in a row."
        if longest > 1
        else "One point per round."
    )
    return Chart(
        name="rounds",
        section="rounds",
        place=1,
        title="Tail quality over rounds",
        note=f"At the primary threshold, {primary(reading)}. {drawn}",
        spec=lines.spec(
            rows,
            [
                mark("line" if any(len(row["x"]) > 1 for row in rows) else "dots"),
                mark("tips", [("x", "round"), ("y", "tail quality")]),
            ],
            choices={"figure": FIGURES} if longest > 1 else {},
            transform=CHOSEN if longest > 1 else [{"calculate": "datum.mean", "as": "y"}],
            x=channel("x", "round", tickMinStep=1, format="d"),
            y=channel("y", f"tail quality ({metric_words(reading)})"),
        ),
    )


def histogram_chart(reading: Reading) -> Chart:
    lines = Lines(reading)
    curves = [
        (entry, clock, reading.curves[clock, entry.key])
        for clock in reading.clocks
        for entry in reading.entries
    ]
    rows = [
        lines.row(entry, clock, **corners(x=of.edges, y=np.append(100 * of.shares, 0.0)))
        for entry, clock, of in curves
    ]
    return Chart(
        name="rounds-histogram",
        section="rounds",
        place=2,
        title="Histogram of rounds",
        note="Share of rounds by their tail quality at the primary threshold, "
        f"{primary(reading)}, in 24 bins.",
        spec=lines.spec(
            rows,
            [mark("step"), mark("tips", [("x", "tail quality from"), ("y", "rounds (%)")])],
            x=channel("x", f"tail quality of a round ({metric_words(reading)})"),
            y=channel("y", "share of rounds (%)"),
        ),
    )


def capacity_chart(reading: Reading) -> Chart:
    members = {entry.key: entry for entry in reading.entries}
    lines = Lines(reading)
    columns = {"x": "rate_per_s", "y": "mean", "low": "interval_low", "high": "interval_high"}
    measured = (
        row
        for row in reading.results.rows("capacity")
        if row["trial"] in members and row["rate_per_s"] is not None
    )
    rows, floors = [], {}
    for found in by_key(measured, lambda row: int(row["search"])).values():
        found.sort(key=lambda row: float(row["rate_per_s"]))
        first = found[0]
        numbers = {
            name: np.array([row[column] for row in found], float)
            for name, column in columns.items()
        }
        rows.append(lines.row(members[first["trial"]], **numbers))
        floor = float(first["keep"]) * float(first["ideal"])
        floors[f"required {floor:.3g}"] = floor
    return Chart(
        name="capacity",
        section="quality",
        place=0,
        title="Capacity: tail quality against the rate of arrivals",
        note="At the deadline that was asked for, on the response clock; each rate is a trial of "
        "its own. A line bends where a system no longer keeps up: the knee. Bands are the "
        "intervals that the verdicts rest on.",
        spec=lines.spec(
            rows,
            [
                mark("line"),
                mark("band", y={"field": "low"}, y2={"field": "high"}),
                mark(
                    "point", [("x", "samples/s"), ("y", "mean"), ("low", "low"), ("high", "high")]
                ),
            ],
            level(floors),
            x=channel("x", "samples a second", log=True),
            y=channel("y", f"tail quality ({metric_words(reading)})"),
        ),
    )


def primary(reading: Reading) -> str:
    """Return the time of the primary threshold."""
    grid = reading.grids[reading.clock]
    return milliseconds(int(grid.ns[grid.start]))


def settling_chart(reading: Reading) -> Chart:
    lines, rows = Lines(reading), []
    bounds: dict[str, float] = {}
    for entry in reading.entries:
        stopping = entry.data.record.stopping
        checks = [dict(check) for check in (stopping.checks if stopping else ())]
        found = sorted({row["rjsd_bound"] for row in checks if row.get("rjsd_bound") is not None})
        bounds |= {f"bound {bound:g}": bound for bound in found}
        for clock in reading.clocks:
            column = rjsd_column(entry.data.record, clock)
            seen = [(row["rounds"], row[column]) for row in checks if row.get(column) is not None]
            seen = seen[:: -(-len(seen) // MOST_CHECKS) or 1]
            if seen:
                x, y = np.array(seen, dtype=np.float64).T
                rows.append(lines.row(entry, clock, x=x, y=y))
    return Chart(
        name="rjsd",
        section="settling",
        place=1,
        title="How the density settled (rJSD)",
        note="Distance of the density of all times so far from five earlier ones, at each check "
        "while the trial ran. It shows whether the density is stable, and nothing about the tail. "
        "Under rule paper it is the figure of the paper's program.",
        spec=lines.spec(
            rows,
            [mark("dots"), mark("tips", [("x", "rounds"), ("y", "rJSD")])],
            level(bounds),
            x=channel("x", "rounds", tickMinStep=1),
            y=channel("y", "rJSD (0 to 1)", log=True),
        ),
    )


def prediction_chart(reading: Reading) -> Chart:
    lines, methods = Lines(reading), dict[str, None]()
    members = {entry.key: entry for entry in reading.entries}
    found: dict[tuple[str, ...], list[tuple[float, float, str]]] = {}
    for row in reading.results.rows("prediction"):
        if row["trial"] in members and row["metric"] == reading.metric:
            methods[row["method"]] = None
            for figure, column in (("mean", "mean"), ("worst round", "minimum")):
                x, y = row[f"predicted_{column}"], row[f"observed_{column}"]
                if x is not None and y is not None:
                    drawn = row["trial"], row["clock"], row["method"], figure
                    found.setdefault(drawn, []).append((x, y, row["threshold"]))
    rows = []
    for (trial, clock, method, figure), points in found.items():
        x, y, at = zip(*points, strict=True)
        row = lines.row(members[trial], clock, x=rounded(x), y=rounded(y), at=list(at))
        rows.append(row | {"figure": figure, "method": method})
    best = max(curve.ideal for curve in reading.curves.values())
    diagonal = {
        "data": {"values": [{"x": 0, "y": 0}, {"x": best, "y": best}]},
        "mark": {"type": "line", "strokeDash": [2, 3], "color": "#888888", "strokeWidth": 1},
        "encoding": {name: {"field": name, "type": "quantitative"} for name in ("x", "y")},
    }
    told = [("at", "threshold"), ("x", "predicted"), ("y", "observed")]
    return Chart(
        name="prediction",
        section="prediction",
        place=1,
        title="Predicted against observed",
        note="The first rounds predict the last, at thresholds that are percentiles of the first "
        "(p60, p90, p95, p99). Points below the line kept less than was predicted. block-bootstrap "
        "keeps the inferences of a round together, the other takes them as independent.",
        spec=lines.spec(
            rows,
            [mark("point", told)],
            [diagonal],
            {"figure": ("mean", "worst round"), "method": tuple(methods) or ("",)},
            [{"filter": "datum.method == method && datum.figure == figure"}],
            x=channel("x", f"predicted tail quality ({metric_words(reading)})"),
            y=channel("y", f"observed tail quality ({metric_words(reading)})"),
        ),
    )
