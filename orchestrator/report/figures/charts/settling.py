"""How trials settled, and what their first rounds predicted."""

from __future__ import annotations

import numpy as np

from orchestrator.analysis.reading import Reading
from orchestrator.analysis.tables.convergence import rjsd_column
from orchestrator.report.figures.chart import Axis, Chart, Series
from orchestrator.stats.units import evenly_chosen

MOST_CHECKS = 1000
"""Most checks drawn of a trial; of more, evenly chosen ones are drawn, with the first and the last."""


def settling_chart(reading: Reading) -> Chart:
    """Return the rJSD trajectory of every trial."""
    series, bounds, thinned = [], set(), ""
    for entry in reading.entries:
        rows = [dict(check) for check in (entry.data.record.stopping.checks if entry.data.record.stopping else ())]
        bounds |= {row["rjsd_bound"] for row in rows if row.get("rjsd_bound") is not None}
        for clock in reading.clocks:
            column = rjsd_column(entry.data.record, clock)
            seen = [(row["rounds"], row[column]) for row in rows if row.get(column) is not None]
            if len(seen) > MOST_CHECKS:
                seen = [seen[index] for index in evenly_chosen(len(seen), MOST_CHECKS)]
                thinned = f" At most {MOST_CHECKS:,} checks of a trial are drawn."
            if seen:
                rounds, values = np.array(seen, dtype=np.float64).T
                series.append(Series(entry.label, rounds, values, "line", entry.key, tags={"clock": clock}))
    if series:
        last = max(float(line.x[-1]) for line in series if not isinstance(line.x[-1], str))
        series += [
            Series(f"bound {bound:g}", np.array([1.0, last]), np.array([bound, bound]), "line", faint=True) for bound in sorted(bounds)
        ]
    return Chart(
        name="rjsd",
        section="settling",
        place=1,
        title="How the density settled (rJSD)",
        note="Distance of the density of all times so far from five earlier ones, at each check while the trial ran. It says that the "
        "density is stable, and nothing of the tail. Under rule paper it is the figure of the paper's program." + thinned,
        x=Axis("rounds"),
        y=Axis("rJSD", log=True),
        series=series,
        choices={"clock": reading.clocks},
    )


def prediction_chart(reading: Reading) -> Chart:
    """Return predicted against observed tail quality."""
    rows = reading.results.rows("prediction")
    series = []
    methods: dict[str, None] = {}
    for entry in reading.entries:
        mine = [row for row in rows if row["trial"] == entry.data.trial_id and row["metric"] == entry.data.metric]
        for clock in reading.clocks:
            for method in dict.fromkeys(row["method"] for row in mine):
                methods[method] = None
                chosen = [row for row in mine if (row["clock"], row["method"]) == (clock, method)]
                for figure, column in (("mean", "mean"), ("worst round", "minimum")):
                    pairs = [(row[f"predicted_{column}"], row[f"observed_{column}"], row["threshold"]) for row in chosen]
                    pairs = [pair for pair in pairs if pair[0] is not None and pair[1] is not None]
                    if pairs:
                        x, y = np.array([pair[:2] for pair in pairs], dtype=np.float64).T
                        tags = {"clock": clock, "method": method, "figure": figure}
                        names = [pair[2] for pair in pairs]
                        series.append(Series(entry.label, x, y, "points", entry.key, tags=tags, names=names))
    if series:
        best = max(reading.curves[reading.clock, entry.key].ideal for entry in reading.entries)
        series.append(Series("as predicted", np.array([0.0, best]), np.array([0.0, best]), "line", faint=True))
    return Chart(
        name="prediction",
        section="prediction",
        place=1,
        title="Predicted against observed",
        note="The first rounds predict the last, at thresholds that are percentiles of the first (p60, p90, p95, p99). Points below the "
        "line kept less than was predicted. block-bootstrap keeps the inferences of a round together, the other takes them as independent.",
        x=Axis(f"predicted {reading.metric}"),
        y=Axis(f"observed {reading.metric}"),
        series=series,
        choices={"clock": reading.clocks, "method": tuple(methods), "figure": ("mean", "worst round")},
    )
