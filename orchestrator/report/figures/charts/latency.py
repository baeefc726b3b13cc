"""Distributions of times: density, distribution function, percentiles."""

from __future__ import annotations

import numpy as np

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.curves import Floats
from orchestrator.analysis.reading import Reading
from orchestrator.report.figures.chart import Axis, Chart, Series
from orchestrator.stats.latency import MIN_BEYOND
from orchestrator.stats.times import Clock

PLACES = 240
"""Points of a drawn density."""
OUTERMOST = 0.0005
"""Share of inferences beyond the drawn part of a density, at either end."""
PERCENTILES = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999)


def density_chart(reading: Reading) -> Chart:
    """Return the densities of log time."""
    series = []
    for clock in reading.clocks:
        places = _places(reading, clock)
        for entry in reading.systems:
            times = reading.times[clock, entry.key]
            if times.timed and places.size:
                density = times.density(places)
                series.append(Series(entry.label, places, density, "line", entry.key, tags={"clock": clock}))
    return Chart(
        name="density",
        section="latency",
        place=1,
        title="Density of times",
        note="Gaussian kernel density of log time, bandwidth by Improved Sheather-Jones. Computed from all inferences of all rounds; drawn "
        "from the 0.05th to the 99.95th percentile of the trials together.",
        x=Axis("time (ms)", log=True),
        y=Axis("density of log time"),
        series=series,
        choices={"clock": reading.clocks},
        threshold="x",
    )


def _places(reading: Reading, clock: Clock) -> Floats:
    ends = [reading.times[clock, entry.key].at(np.array([OUTERMOST, 1 - OUTERMOST])) for entry in reading.systems]
    lows, highs = (np.array([end[side] for end in ends]) for side in (0, 1))
    if not np.isfinite(lows).any():
        return np.zeros(0)
    last = np.nanmax(highs) if np.isfinite(highs).any() else np.nanmax(lows)
    return np.geomspace(np.nanmin(lows) / 1.1, last * 1.1, PLACES)


def distribution_chart(reading: Reading) -> Chart:
    """Return the share of inferences by time, on a logarithmic axis of time."""
    series = []
    for clock in reading.clocks:
        for entry in reading.systems:
            times = reading.times[clock, entry.key]
            shares = np.concatenate([np.linspace(0, 0.9, 91), times.shares()[times.shares() > 0.9]])
            series.append(Series(entry.label, times.at(shares), 100 * shares, "line", entry.key, tags={"clock": clock}))
    return Chart(
        name="distribution",
        section="latency",
        place=2,
        title="Distribution of times",
        note="Share of inferences that take at most this long, over all rounds. Those without a time count and are never reached.",
        x=Axis("time (ms)", log=True),
        y=Axis("inferences (%)"),
        series=series,
        choices={"clock": reading.clocks},
        threshold="x",
    )


def percentile_chart(reading: Reading) -> Chart:
    """Return time by percentile, in the manner of HdrHistogram: each further nine takes the same room."""
    series = []
    largest = max((times.size for times in reading.times.values()), default=1)
    effective = _effective_samples(reading.results)
    for clock in reading.clocks:
        for entry in reading.systems:
            times = reading.times[clock, entry.key]
            slowest, stored = 1 - 0.5 / times.size, effective[entry.members[0].key, clock][0]
            shares = np.unique([*times.shares(), *stored[stored < slowest], slowest])
            odds, values = 1 / (1 - shares), times.at(shares)
            independent = sum(_at_next(*effective[one.key, clock], shares) for one in entry.members)
            unsure = (1 - shares) * independent < MIN_BEYOND - 1e-9
            last = max(int(np.argmax(unsure)), 1)
            tags = {"clock": clock}
            series.append(Series(entry.label, odds[:last], values[:last], "line", entry.key, tags=tags))
            series.append(Series(entry.label, odds[last - 1 :], values[last - 1 :], "line", entry.key, faint=True, tags=tags))
    ticks = [(1 / (1 - p / 100), f"{p:g}") for p in PERCENTILES if p < 100 * (1 - 0.9 / max(largest, 2))]
    return Chart(
        name="percentiles",
        section="latency",
        place=3,
        title="Times by percentile",
        note=f"Faint where fewer than {MIN_BEYOND} independent inferences lie beyond, or nothing bounds the percentile above, so that it "
        f"is not certified: those of a round that are alike count as fewer."
        f"{' Of repeats, all processes together.' if reading.repeated else ''}",
        x=Axis("percentile", log=True, ticks=ticks),
        y=Axis("time (ms)", log=True),
        series=series,
        choices={"clock": reading.clocks},
        threshold="y",
    )


def _at_next(known: Floats, samples: Floats, shares: Floats) -> Floats:
    """Return at each share what the table has at the next percentile that it holds."""
    return np.asarray(samples[np.minimum(np.searchsorted(known, shares - 1e-9), len(known) - 1)])


def _effective_samples(results: CampaignAnalysis) -> dict[tuple[str, str], tuple[Floats, Floats]]:
    """Return per trial and clock the rising percentiles of its table, as shares, and as how many independent inferences each counts.

    None count for a percentile that nothing bounds from above.
    """
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in results.rows("latency"):
        unbounded = not row["certified"] and row["samples_beyond"] >= MIN_BEYOND
        counted = 0 if unbounded else row["effective_samples"]
        found.setdefault((row["trial"], row["clock"]), []).append((row["percentile"] / 100, counted))
    columns = {key: np.array(sorted(rows), dtype=np.float64).T for key, rows in found.items()}
    return {key: (shares, samples) for key, (shares, samples) in columns.items()}
