"""Tail quality against threshold, over rounds, and who is ahead of whom at which threshold."""

from __future__ import annotations

import numpy as np

from orchestrator.analysis.reading import Reading
from orchestrator.report.figures.chart import Axis, Chart, Series

TIME = "threshold (ms)"


MEANS = {
    False: "Mean over rounds with its 95 % interval as a band",
    True: "Mean over processes with its 95 % interval as a band, and each process as a thin line",
}
"""What the note says of a campaign without and with repeats."""


def curve_chart(reading: Reading) -> Chart:
    """Return tail quality against threshold, with bands."""
    series = []
    for clock in reading.clocks:
        for entry in reading.systems:
            curve, grid = reading.curves[clock, entry.key], reading.grids[clock]
            tags = {"clock": clock, "figure": "mean"}
            for process in entry.processes:
                mean = reading.curves[clock, process.key].mean
                series.append(Series(process.label, grid.ms, mean, "step", process.key, faint=True, tags=tags))
            series.append(Series(entry.label, grid.ms, curve.mean, "step", entry.key, curve.low, curve.high, tags=tags))
            series.append(Series(entry.label, grid.ms, curve.worst, "step", entry.key, tags={"clock": clock, "figure": "worst round"}))
    return Chart(
        name="tail-quality",
        section="quality",
        place=1,
        title="Tail quality against threshold",
        note=f"{MEANS[reading.repeated]}, or the worst round. Each value holds until the next threshold of the grid.",
        x=Axis(TIME, log=True),
        y=Axis(reading.metric),
        series=series,
        choices={"clock": reading.clocks, "figure": ("mean", "worst round")},
        threshold="x",
    )


def rounds_chart(reading: Reading) -> Chart:
    """Return tail quality over rounds at the primary threshold."""
    series = []
    longest = max(
        -(-len(entry.data.times[entry.data.clock]) // reading.curves[reading.clock, entry.key].centres.size) for entry in reading.entries
    )
    together = longest > 1
    for clock in reading.clocks:
        for entry in reading.entries:
            curve, x = reading.curves[clock, entry.key], reading.curves[clock, entry.key].centres
            for figure, y in (
                (("mean", curve.rounds), ("worst round of each stretch", curve.worst_rounds)) if together else (("", curve.rounds),)
            ):
                tags = {"clock": clock} | ({"figure": figure} if together else {})
                series.append(Series(entry.label, x, y, "line", entry.key, tags=tags))
    return Chart(
        name="rounds",
        section="rounds",
        place=1,
        title="Tail quality over rounds",
        note="At the primary threshold. "
        + (
            f"A point stands for up to {longest} rounds in a row: their mean, or the worst of them." if together else "One point per round."
        ),
        x=Axis("round"),
        y=Axis(reading.metric),
        series=series,
        choices={"clock": reading.clocks} | ({"figure": ("mean", "worst round of each stretch")} if together else {}),
    )


def histogram_chart(reading: Reading) -> Chart:
    """Return how rounds spread over tail quality at the primary threshold."""
    series = []
    for clock in reading.clocks:
        for entry in reading.entries:
            curve = reading.curves[clock, entry.key]
            shares = np.append(100 * curve.shares, 0.0)
            series.append(Series(entry.label, curve.edges, shares, "step", entry.key, tags={"clock": clock}))
    return Chart(
        name="rounds-histogram",
        section="rounds",
        place=2,
        title="Histogram of rounds",
        note="At the primary threshold: share of all rounds by their quality, in 24 bins.",
        x=Axis(reading.metric),
        y=Axis("rounds (%)"),
        series=series,
        choices={"clock": reading.clocks},
    )


def rank_chart(reading: Reading) -> Chart:
    """Return who is ahead at which threshold."""
    places = {clock: reading.ranks(clock) for clock in reading.clocks}
    series = [
        Series(entry.label, reading.grids[clock].ms, places[clock][entry.key], "step", entry.key, tags={"clock": clock})
        for clock in reading.clocks
        for entry in reading.systems
    ]
    return Chart(
        name="ranking",
        section="ranking",
        place=1,
        title="Ranking by threshold",
        note="By mean tail quality, then by the worst round; trials that keep the same share the better place. Lines cross where a "
        "ranking flips.",
        x=Axis(TIME, log=True),
        y=Axis("place", falling=True),
        series=series,
        choices={"clock": reading.clocks},
        threshold="x",
    )
