"""How trials settled, what was predicted, what time depends on, and what else happened."""

from __future__ import annotations

import zlib

import numpy as np

from orchestrator.report.figures.chart import Axis, Chart, Series
from orchestrator.report.figures.curves import stretches
from orchestrator.report.figures.evidence import MEASURES
from orchestrator.report.figures.grid import NS_PER_MS
from orchestrator.report.figures.reading import SHOWN_CLOCKS, Reading

MOST_SAMPLES = 200
MOST_MOMENTS = 150
MOST_CHECKS = 1000
"""Of a trial's trajectory; of more, evenly chosen ones are drawn, the first and the last among them."""


def settling_chart(reading: Reading) -> Chart:
    """Return the rJSD trajectory of every trial."""
    series, bounds, thinned = [], set(), ""
    for entry in reading.entries:
        rows = [dict(check) for check in (entry.data.record.stopping.checks if entry.data.record.stopping else ())]
        bounds |= {row["rjsd_bound"] for row in rows if row.get("rjsd_bound") is not None}
        for clock in SHOWN_CLOCKS:
            seen = [(row["rounds"], row[f"rjsd_{clock}"]) for row in rows if row.get(f"rjsd_{clock}") is not None]
            if len(seen) > MOST_CHECKS:
                seen = [seen[index] for index in np.linspace(0, len(seen) - 1, MOST_CHECKS).astype(np.int64)]
                thinned = f" Of more than {MOST_CHECKS:,} checks of a trial so many are drawn."
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
        title="How the density settled (rJSD)",
        note="Distance of the density of all times so far from five earlier ones, at each check while the trial ran. It says that the "
        "density is stable, and nothing of the tail." + thinned,
        x=Axis("rounds"),
        y=Axis("rJSD", log=True),
        series=series,
        choices={"clock": SHOWN_CLOCKS},
    )


def prediction_chart(reading: Reading) -> Chart:
    """Return predicted against observed tail quality."""
    rows = {}
    for entry in reading.entries:
        if id(entry.results) not in rows:
            rows[id(entry.results)] = entry.results.tables["prediction"].to_pylist()
    series = []
    methods: dict[str, None] = {}
    for entry in reading.entries:
        mine = [row for row in rows[id(entry.results)] if row["trial"] == entry.data.trial_id and row["metric"] == entry.data.metric]
        for clock in SHOWN_CLOCKS:
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
        best = max(reading.curves["total", entry.key].ideal for entry in reading.entries)
        series.append(Series("as predicted", np.array([0.0, best]), np.array([0.0, best]), "line", faint=True))
    return Chart(
        name="prediction",
        title="Predicted against observed",
        note="The first rounds predict the last, at thresholds that are percentiles of the first (p60, p90, p95, p99). Points below the "
        "line kept less than was predicted. block-bootstrap keeps the inferences of a round together, the other takes them as independent.",
        x=Axis(f"predicted {reading.pool.metric}"),
        y=Axis(f"observed {reading.pool.metric}"),
        series=series,
        choices={"clock": SHOWN_CLOCKS, "method": tuple(methods), "figure": ("mean", "worst round")},
    )


def size_chart(reading: Reading) -> Chart:
    """Return each sample's median total time, which is its batch's, against the size of its input."""
    series, most = [], 0
    for entry in reading.entries:
        sizes = entry.data.input_sizes
        if len(np.unique(sizes)) < 2:
            continue
        seed = [entry.results.analysis.seed, zlib.crc32(reading.pool.group.data_digest.encode())]
        chosen = np.sort(np.random.default_rng(seed).permutation(len(sizes))[:MOST_SAMPLES])
        most = max(most, len(sizes))
        medians = np.median(entry.data.times["total"][:, chosen], axis=0) / NS_PER_MS
        medians[~np.isfinite(medians)] = np.nan
        series.append(Series(entry.label, sizes[chosen].astype(np.float64), medians, "points", entry.key))
    drawn = (
        f" {MOST_SAMPLES} of {most} samples are drawn, by a seeded choice that is the same for all trials." if most > MOST_SAMPLES else ""
    )
    return Chart(
        name="input-size",
        title="Time against input size",
        note=f"Median total time of each sample over all rounds.{drawn}",
        x=Axis("input size, as the model counts it"),
        y=Axis("median total time (ms)", log=True),
        series=series,
        threshold="y",
    )


def stage_chart(reading: Reading) -> Chart:
    """Return the mean time per stage."""
    names = [entry.label for entry in reading.entries if entry.key in reading.evidence]
    told = [reading.evidence[entry.key] for entry in reading.entries if entry.key in reading.evidence]
    series = [
        Series(stage, names, np.array([one.stage_means_ns.get(stage, np.nan) for one in told]) / NS_PER_MS, "bars")
        for stage in ("preprocess", "inference", "postprocess")
        if told
    ]
    return Chart(
        name="stages",
        title="Where the time goes",
        note="Mean time per stage of all inferences that have one; the stages add up to the mean total time.",
        x=Axis(""),
        y=Axis("mean time (ms)"),
        series=series,
        stacked=True,
    )


def evidence_chart(reading: Reading) -> Chart:
    """Return what else happened in each round, by the time of day."""
    series, measures, together = [], [], 1
    for measure in MEASURES:
        for entry in reading.entries:
            told = reading.evidence.get(entry.key)
            if told is not None and measure in told.measures:
                _, values, _ = stretches(told.measures[measure][None, :], MOST_MOMENTS)
                _, when, _ = stretches(told.started_ms[None, :], MOST_MOMENTS)
                together = max(together, -(-told.started_ms.size // MOST_MOMENTS))
                series.append(Series(entry.label, when[0], values[0], "line", entry.key, tags={"measure": measure}))
                measures.append(measure)
    drawn = f" A point is the mean of up to {together} rounds in a row." if together > 1 else ""
    return Chart(
        name="evidence",
        title="What else happened",
        note=f"Evidence of each round by the time of day (UTC). It flags figures; nothing is ever dropped for it.{drawn}",
        x=Axis("time (UTC)", date=True),
        y=Axis(""),
        series=series,
        choices={"measure": tuple(dict.fromkeys(measures))},
    )
