"""How trials settled, and what their first rounds predicted."""

from __future__ import annotations

import numpy as np

from orchestrator.analysis.reading import Reading
from orchestrator.analysis.tables.convergence import rjsd_column
from orchestrator.report.charts.draw import (
    Chart,
    Lines,
    channel,
    level,
    mark,
    metric_words,
    rounded,
)

MOST_CHECKS = 500
"""Most checks drawn of a trial, evenly chosen."""
METHODS_NOTE = (
    "The first rounds predict the last, at thresholds that are percentiles of the first (p60, p90, "
    "p95, p99). Points below the line kept less than was predicted. block-bootstrap keeps the "
    "inferences of a round together, the other takes them as independent."
)


def settling_chart(reading: Reading) -> Chart:
    """Return the rJSD trajectory of every trial."""
    lines, rows = Lines(reading), []
    bounds: dict[str, float] = {}
    for entry in reading.entries:
        stopping = entry.data.record.stopping
        checks = [dict(check) for check in (stopping.checks if stopping else ())]
        found = {row["rjsd_bound"] for row in checks if row.get("rjsd_bound") is not None}
        bounds |= {f"bound {bound:g}": bound for bound in sorted(found)}
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
        "while the trial ran. It says that the density is stable, and nothing of the tail. Under "
        "rule paper it is the figure of the paper's program.",
        spec=lines.spec(
            rows,
            [mark("dots"), mark("tips", [("x", "rounds"), ("y", "rJSD")])],
            level(bounds),
            x=channel("x", "rounds", tickMinStep=1),
            y=channel("y", "rJSD (0 to 1)", log=True),
        ),
    )


def prediction_chart(reading: Reading) -> Chart:
    """Return predicted against observed tail quality."""
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
    chosen = "datum.method == method && datum.figure == figure"
    told = [("at", "threshold"), ("x", "predicted"), ("y", "observed")]
    return Chart(
        name="prediction",
        section="prediction",
        place=1,
        title="Predicted against observed",
        note=METHODS_NOTE,
        spec=lines.spec(
            rows,
            [mark("point", told)],
            [diagonal],
            {"figure": ("mean", "worst round"), "method": tuple(methods) or ("",)},
            [{"filter": chosen}],
            x=channel("x", f"predicted tail quality ({metric_words(reading)})"),
            y=channel("y", f"observed tail quality ({metric_words(reading)})"),
        ),
    )
