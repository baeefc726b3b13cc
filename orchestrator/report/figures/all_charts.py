"""Every figure of a report, in the order a reader asks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from orchestrator.analysis.results import Results
from orchestrator.report.figures.chart import Chart
from orchestrator.report.figures.evidence import Evidence
from orchestrator.report.figures.latency_charts import density_chart, distribution_chart, percentile_chart
from orchestrator.report.figures.other_charts import evidence_chart, prediction_chart, settling_chart, size_chart, stage_chart
from orchestrator.report.figures.quality_charts import curve_chart, histogram_chart, rank_chart, rounds_chart
from orchestrator.report.figures.reading import Reading, readings

MAKERS = (
    curve_chart,
    density_chart,
    distribution_chart,
    percentile_chart,
    rounds_chart,
    histogram_chart,
    rank_chart,
    settling_chart,
    prediction_chart,
    size_chart,
    stage_chart,
    evidence_chart,
)


def charts_of(reading: Reading) -> list[Chart]:
    """Return the figures of one task; those that nothing was recorded for are left out."""
    return [chart for chart in (make(reading) for make in MAKERS) if chart.series]


def figures(
    results: Results, others: Sequence[Results] = (), evidence: Sequence[Mapping[str, Evidence]] = ()
) -> dict[str, tuple[Reading, Chart]]:
    """Return all figures by name: as their kind is called, with the task's name where a campaign has several tasks."""
    found = readings(results, others, evidence)
    named: dict[str, tuple[Reading, Chart]] = {}
    for reading in found:
        suffix = "" if len(found) == 1 else "-" + re.sub(r"[^A-Za-z0-9_.-]+", "_", reading.pool.group.task)
        for chart in charts_of(reading):
            name = chart.name + suffix
            while name in named:
                name += "-2"
            named[name] = reading, chart
    return named
