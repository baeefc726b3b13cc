"""The knee: tail quality against the rate of arrivals."""

from __future__ import annotations

import numpy as np

from orchestrator.analysis.reading import Reading
from orchestrator.report.figures.chart import Axis, Chart, Series


def capacity_chart(reading: Reading) -> Chart:
    """Return mean tail quality at the deadline against the rate, one line for each search."""
    members = {entry.key: entry for entry in reading.entries}
    searches: dict[int, list[dict[str, float | str]]] = {}
    for row in reading.results.tables["capacity"].to_pylist():
        if row["trial"] in members and row["rate_per_s"] is not None:
            searches.setdefault(row["search"], []).append(row)
    series, floors = [], set()
    for rows in searches.values():
        by_rate = sorted(rows, key=lambda row: float(row["rate_per_s"]))
        first = by_rate[0]
        x, y, low, high = (
            np.array([float(row[name]) for row in by_rate]) for name in ("rate_per_s", "mean", "interval_low", "interval_high")
        )
        label = " · ".join(str(first[name]) for name in ("model", "system", "runtime", "load"))
        series.append(Series(label, x, y, "line", str(rows[0]["trial"]), low, high))
        floors.add(float(first["keep"]) * float(first["ideal"]))
    if series:
        ends = np.array([min(float(line.x[0]) for line in series), max(float(line.x[-1]) for line in series)])
        series += [Series(f"required {floor:.3g}", ends, np.array([floor, floor]), "line", faint=True) for floor in sorted(floors)]
    return Chart(
        name="capacity",
        section="quality",
        place=0,
        title="Capacity: tail quality against the rate of arrivals",
        note="At the deadline that was asked for, on the response clock; each rate is a trial of its own. A line bends where a system no "
        "longer keeps up: the knee. Bands are the intervals that the verdicts rest on.",
        x=Axis("samples a second", log=True),
        y=Axis(reading.metric),
        series=series,
    )
