"""What time depends on, and what else happened."""

from __future__ import annotations

import zlib

import numpy as np

from orchestrator.analysis.curves import NS_PER_MS, stretches
from orchestrator.analysis.reading import MEASURES, Reading
from orchestrator.report.figures.chart import Axis, Chart, Series

MOST_SAMPLES = 200
FEWEST_SIZES = 5
"""Distinct sizes of input from which on time is drawn against them."""
MOST_MOMENTS = 150


def size_chart(reading: Reading) -> Chart:
    """Return each sample's median total time, which is its batch's, against the size of its input."""
    series, most = [], 0
    for entry in reading.systems:
        sizes = entry.data.input_sizes
        if len(np.unique(sizes)) < FEWEST_SIZES:
            continue
        seed = [reading.results.analysis.seed, zlib.crc32(reading.group.data_digest.encode())]
        chosen = np.sort(np.random.default_rng(seed).permutation(len(sizes))[:MOST_SAMPLES])
        most = max(most, len(sizes))
        medians = np.median(np.concatenate([one.data.times[one.data.clock][:, chosen] for one in entry.members]), axis=0) / NS_PER_MS
        medians[~np.isfinite(medians)] = np.nan
        series.append(Series(entry.label, sizes[chosen].astype(np.float64), medians, "points", entry.key))
    drawn = (
        f" {MOST_SAMPLES} of {most} samples are drawn, by a seeded choice that is the same for all trials." if most > MOST_SAMPLES else ""
    )
    return Chart(
        name="input-size",
        section="causes",
        place=1,
        title="Time against input size",
        note=f"Median total time of each sample over all rounds.{drawn}",
        x=Axis("input size, as the model counts it"),
        y=Axis("median total time (ms)", log=True),
        series=series,
        threshold="y",
    )


def stage_chart(reading: Reading) -> Chart:
    """Return the mean time per stage."""
    known = [entry for entry in reading.systems if entry.key in reading.evidence]
    names, seen = [entry.label for entry in known], [reading.evidence[entry.key] for entry in known]
    series = [
        Series(stage, names, np.array([one.stage_means_ns.get(stage, np.nan) for one in seen]) / NS_PER_MS, "bars")
        for stage in ("preprocess", "inference", "postprocess")
        if seen
    ]
    return Chart(
        name="stages",
        section="causes",
        place=2,
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
            seen = reading.evidence.get(entry.key)
            if seen is not None and measure in seen.measures:
                _, values, _ = stretches(seen.measures[measure], MOST_MOMENTS)
                _, when, _ = stretches(seen.started_ms, MOST_MOMENTS)
                together = max(together, -(-seen.started_ms.size // MOST_MOMENTS))
                series.append(Series(entry.label, when, values, "line", entry.key, tags={"measure": measure}))
                measures.append(measure)
    drawn = f" A point is the mean of up to {together} rounds in a row." if together > 1 else ""
    return Chart(
        name="evidence",
        section="causes",
        place=3,
        title="What else happened",
        note=f"Evidence of each round by the time of day (UTC). It flags figures; nothing is ever dropped for it.{drawn}",
        x=Axis("time (UTC)", date=True),
        y=Axis(""),
        series=series,
        choices={"measure": tuple(dict.fromkeys(measures))},
    )
