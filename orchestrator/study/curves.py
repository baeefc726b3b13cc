"""The paper's quality curves and tails: mean, worst, best and spread of quality over rounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.analysis.quality import ideal_quality, scale_of
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import SHOWN_SERVICE_CLOCKS
from orchestrator.study.material import Material, who, who_columns
from orchestrator.study.tables import Column, StudyTable, Value, known, named, numbers, three, time_ms, whole

CURVE_NOTE = (
    "Thresholds are percentiles of the trial's own times of these rounds, as the paper takes them: an own percentile fixes how many "
    "answers are late, so that these rows describe one trial and rank none. sd over rounds, divided by rounds - 1."
)
TAIL_NOTE = (
    "Tail latency: the trial's own percentile of all its times. Tail quality there, and at the same percentile of the reference trial of "
    "the task, which is one threshold for all systems."
)


def quality_table(material: Material) -> StudyTable:
    """Return mean, min, max and sd over rounds at the trial's own percentiles: of the first rounds, and of all."""
    rows: list[list[Value]] = []
    for group, data in material.trials():
        judged = data.judged(data.metric)
        scale = scale_of(judged)
        for clock in SHOWN_SERVICE_CLOCKS:
            every = len(data.times[clock])
            for count in dict.fromkeys((min(material.criteria.first_rounds, every), every)):
                bounds = percentiles_inverted_cdf(data.inferences[clock][:count], material.criteria.percentiles)
                curve = judged.curve(data.times[clock][:count], bounds)
                for percentile, bound, gained in zip(material.criteria.percentiles, bounds, curve, strict=True):
                    quality = scale.shown(gained)
                    sd = known(float(quality.std(ddof=1))) if count > 1 else None
                    figures = [float(quality.mean()), float(quality.min()), float(quality.max())]
                    of = "all" if count == every else f"first {count}"
                    label: list[Value] = [*who(group, data), clock, of, f"p{percentile:g}", count, len(data.references)]
                    rows.append([*label, known(bound), ideal_quality(judged), *figures, sd])
    return StudyTable(
        "quality",
        "Quality over rounds at own percentiles",
        [
            *who_columns(),
            *named("clock", "rounds used", "percentile"),
            *numbers(whole, "rounds", "samples"),
            *numbers(time_ms, "threshold"),
            *numbers(three, "ideal", "mean", "min", "max", "sd"),
        ],
        rows,
        CURVE_NOTE,
    )


def tail_table(material: Material) -> StudyTable:
    """Return tail latency and tail quality from p90 to p99.9."""
    rows: list[list[Value]] = []
    for group, data in material.trials():
        judged = data.judged(data.metric)
        scale = scale_of(judged)
        for clock in SHOWN_SERVICE_CLOCKS:
            own = percentiles_inverted_cdf(data.inferences[clock], material.criteria.tail_percentiles)
            common = list(_common(material, group.thresholds.percentiles[clock]))
            curve = scale.shown(judged.curve(data.times[clock], own).mean(axis=1))
            at_common = scale.shown(judged.curve(data.times[clock], [bound for bound in common if bound is not None]).mean(axis=1))
            of_common = iter(at_common.tolist())
            for percentile, bound, quality, threshold in zip(material.criteria.tail_percentiles, own, curve.tolist(), common, strict=True):
                kept = None if threshold is None else next(of_common)
                figures = [known(bound), quality, threshold, kept, ideal_quality(judged)]
                rows.append([*who(group, data), clock, f"p{percentile:g}", *figures, len(data.references)])
    return StudyTable(
        "tail",
        "Tail latency and tail quality",
        [
            *who_columns(),
            *named("clock", "percentile"),
            Column("tail latency", time_ms),
            Column("tail quality", three),
            Column("reference threshold", time_ms),
            Column("tail quality there", three),
            Column("ideal", three),
            Column("samples", whole),
        ],
        rows,
        TAIL_NOTE,
    )


def _common(material: Material, thresholds: tuple[Threshold, ...]) -> Iterator[float | None]:
    """Yield the reference's percentiles in ns, None where the analysis does not have one."""
    known_ns = {threshold.percentile: float(threshold.ns) for threshold in thresholds}
    for percentile in material.criteria.tail_percentiles:
        yield known_ns.get(percentile)


def latency_table(material: Material) -> StudyTable:
    """Return mean and percentiles of time: the conventional view."""
    rows: list[list[Value]] = []
    for group, data in material.trials():
        for clock in SHOWN_SERVICE_CLOCKS:
            times = data.inferences[clock]
            finite = times[np.isfinite(times)]
            p50, p99 = percentiles_inverted_cdf(times, [50, 99])
            rows.append([*who(group, data), clock, float(finite.mean()) if finite.size else None, known(p50), known(p99), times.size])
    columns = [*who_columns(), *named("clock"), *numbers(time_ms, "mean", "p50", "p99"), *numbers(whole, "inferences")]
    return StudyTable("latency", "Latency", columns, rows)
