"""Tail quality against threshold, over rounds, and who is ahead of whom at which threshold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from orchestrator.report.figures.chart import Axis, Chart, Floats, Series
from orchestrator.report.figures.reading import Reading
from orchestrator.stats import units
from orchestrator.stats.times import Clock

TIME = "threshold (ms)"
MOST_FLIPS = 40
LEAST = 1e-9
"""Differences of quality below this are the rounding of sums."""


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
    """Return tail quality over rounds at the chosen threshold."""
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
        note="At the chosen threshold. "
        + (
            f"A point stands for up to {longest} rounds in a row: their mean, or the worst of them." if together else "One point per round."
        ),
        x=Axis("round"),
        y=Axis(reading.metric),
        series=series,
        choices={"clock": reading.clocks} | ({"figure": ("mean", "worst round of each stretch")} if together else {}),
    )


def histogram_chart(reading: Reading) -> Chart:
    """Return how rounds spread over tail quality at the chosen threshold."""
    series = []
    for clock in reading.clocks:
        for entry in reading.entries:
            curve = reading.curves[clock, entry.key]
            shares = np.concatenate([100 * curve.shares, np.zeros((len(curve.shares), 1))], axis=1)
            series.append(Series(entry.label, curve.edges, shares, "step", entry.key, tags={"clock": clock}))
    return Chart(
        name="rounds-histogram",
        section="rounds",
        place=2,
        title="Histogram of rounds",
        note="At the chosen threshold: share of all rounds by their quality, in 24 bins.",
        x=Axis(reading.metric),
        y=Axis("rounds (%)"),
        series=series,
        choices={"clock": reading.clocks},
    )


def ranks(reading: Reading, clock: Clock) -> dict[str, Floats]:
    """Return the place of every system at every threshold, [G]: by mean, then by worst round; equal ones share the better place."""
    means = np.stack([np.round(reading.curves[clock, entry.key].oriented("mean"), 9) for entry in reading.systems])
    worst = np.stack([np.round(reading.curves[clock, entry.key].oriented("worst"), 9) for entry in reading.systems])
    by_mean, by_worst = (units.ranks(-each.T, "dense") for each in (means, worst))
    keys = by_mean * (len(means) + 1) + by_worst
    places = units.ranks(keys, "least").T
    places[:, np.isnan(places).any(axis=0)] = np.nan
    return {entry.key: places[number] for number, entry in enumerate(reading.systems)}


def rank_chart(reading: Reading) -> Chart:
    """Return who is ahead at which threshold."""
    places = {clock: ranks(reading, clock) for clock in reading.clocks}
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


def flips(reading: Reading) -> Iterator[tuple[str, str, str, str, bool]]:
    """Yield pairs of trials that change places between neighbouring common thresholds on the total clock.

    Who is ahead at first, who afterwards, both thresholds, and whether the intervals lie apart at both.
    """
    grid, entries = reading.grids[reading.clock], reading.systems
    curves = [reading.curves[reading.clock, entry.key] for entry in entries]
    means, lows, highs = (np.stack([curve.oriented(name) for curve in curves]) for name in ("mean", "low", "high"))
    for before, after in pairwise(index for index, label in enumerate(grid.labels) if label):
        first, last = (means[:, None, at] - means[None, :, at] for at in (before, after))
        for one, other in np.argwhere((first > LEAST) & (last < -LEAST)):
            apart = lows[one, before] > highs[other, before] and lows[other, after] > highs[one, after]
            yield entries[one].label, entries[other].label, grid.labels[before], grid.labels[after], bool(apart)
