"""What stands in each section of the page, as data for the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.report.claims import comparison_tables, deadline_tables, other_figure_tables, prediction_tables, process_tables
from orchestrator.report.explained import evidence_tables, slow_rounds_tables
from orchestrator.report.faults import fault_tables
from orchestrator.report.figures.chart import Chart
from orchestrator.report.figures.charts import charts_of
from orchestrator.report.figures.charts.quality import MOST_FLIPS, flips
from orchestrator.report.figures.evidence import Evidence
from orchestrator.report.figures.reading import Reading
from orchestrator.report.html.moving import MovingRow, moving_rows
from orchestrator.report.result_tables import (
    cross_system_tables,
    latency_tables,
    own_threshold_tables,
    problem_tables,
)
from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds, trials_counted
from orchestrator.stats.times import PRIMARY_CLOCK


@dataclass(frozen=True)
class Part:
    """A heading with figures and tables under it; ``folded`` tables are opened by the reader."""

    anchor: str
    title: str
    charts: Sequence[tuple[str, Chart]]
    tables: Sequence[Table]
    folded: Sequence[Table] = ()


@dataclass(frozen=True)
class TaskSection:
    """All of one task."""

    number: int
    title: str
    rows: Sequence[MovingRow]
    threshold: str
    threshold_ns: int
    threshold_label: str
    positions: int
    start: int
    marks: Sequence[tuple[int, str]]
    parts: Sequence[Part]


def task_section(number: int, reading: Reading, results: CampaignAnalysis) -> TaskSection:
    """Return the section of one task."""
    own = replace(results, groups=tuple(group for group in results.groups if group is reading.group))
    charts: dict[str, list[tuple[str, Chart]]] = {}
    for chart in charts_of(reading):
        charts.setdefault(chart.section, []).append((f"{chart.name}-{number}", chart))
    described = {
        "quality": (
            "Tail quality",
            list(cross_system_tables(own)),
            [*deadline_tables(own), *comparison_tables(own, everywhere=True), *process_tables(own)],
            (),
        ),
        "latency": ("Latency", (), list(latency_tables(own)), ()),
        "rounds": ("Rounds", (), (), ()),
        "slow": ("Slow rounds", (), list(slow_rounds_tables(own)), list(evidence_tables(own))),
        "ranking": ("Where the ranking flips", [flip_table(reading)], (), ()),
        "settling": ("How trials settled", (), (), ()),
        "prediction": ("Prediction", (), list(prediction_tables(own)), ()),
        "causes": ("What time depends on", [*gap_table(reading)], (), ()),
        "more": ("More tables", (), (), [*other_figure_tables(own, everywhere=True), *own_threshold_tables(own)]),
    }
    parts = [
        Part(f"{anchor}-{number}", title, charts.get(anchor, ()), [*first, *then], folded)
        for anchor, (title, first, then, folded) in described.items()
        if charts.get(anchor) or first or then or folded
    ]
    grid = reading.grids[PRIMARY_CLOCK]
    return TaskSection(
        number=number,
        title=reading.title,
        rows=moving_rows(reading),
        threshold=milliseconds(int(grid.ns[grid.start])),
        threshold_ns=int(grid.ns[grid.start]),
        threshold_label=", ".join(label for label in grid.labels[grid.start].split(", ") if label.startswith("p")),
        positions=len(grid.ns) - 1,
        start=grid.start,
        marks=[(index, label) for index, label in enumerate(grid.labels) if label],
        parts=parts,
    )


def flip_table(reading: Reading) -> Table:
    """Return which trials change places between neighbouring common thresholds."""
    found = list(flips(reading))
    more = f" {len(found) - MOST_FLIPS} more are not shown." if len(found) > MOST_FLIPS else ""
    note = "Pairs whose mean tail quality changes order between neighbouring common thresholds, total time."
    return Table(
        title="Ranking flips",
        columns=["ahead", "of", "within", "but behind within", "intervals"],
        rows=[
            [ahead, behind, before, after, "apart at both" if apart else "overlap"]
            for ahead, behind, before, after, apart in sorted(found, key=lambda flip: not flip[-1])[:MOST_FLIPS]
        ],
        note=note + more if found else "No pair of trials changes places between neighbouring common thresholds.",
    )


def gap_table(reading: Reading) -> Iterator[Table]:
    """Yield the time that our own loop took between two samples in each trial."""
    rows = []
    for entry in reading.entries:
        seen = reading.evidence.get(entry.key)
        if seen is not None and seen.gap_ns is not None:
            total = sum(seen.stage_means_ns.values())
            share = f"{seen.gap_ns[0] / total:.2%}".replace("%", " %") if total else "-"
            rows.append([entry.label, microseconds(seen.gap_ns[0]), microseconds(seen.gap_ns[1]), share])
    if rows:
        yield Table(
            title="Our own loop between two samples",
            columns=["trial", "median", "p99", "of the mean total time"],
            rows=rows,
            note="From the last stamp of a sample to the first of the next: outside both clocks, measured in this campaign. A batch "
            "counts once.",
            right=frozenset(["median", "p99", "of the mean total time"]),
        )


def problems(results: CampaignAnalysis) -> list[Table]:
    """Return what failed, was infeasible or was left out, and all faults."""
    return [*problem_tables(results), *fault_tables(results)]


def unwell(results: CampaignAnalysis) -> str:
    """Return how many trials are not done and how many faults there were, or nothing."""
    planned = results.campaign.trials
    missing = sum(trial.state != "done" for trial in planned)
    faults = sum(len(record.faults) for record in results.records)
    parts = [f"{missing} of {trials_counted(len(planned))} {'is' if missing == 1 else 'are'} not done"] if missing else []
    parts += [f"{faults} fault{'' if faults == 1 else 's'} occurred"] if faults else []
    return ", ".join(parts)


def overhead(found: Mapping[str, Evidence]) -> str:
    """Return the sentence on what our own loop costs, of the trial where it is largest."""
    gaps = [seen.gap_ns[0] for seen in found.values() if seen.gap_ns is not None]
    if not gaps:
        return ""
    return (
        f"Between the end of one sample and the start of the next this program took {microseconds(min(gaps))} to {microseconds(max(gaps))} "
        "(medians per trial, measured in this campaign); that lies outside both clocks."
    )


def microseconds(ns: float) -> str:
    """Write a short time in microseconds with two significant digits or whole ones."""
    us = ns / 1000
    return f"{us:.2g} µs" if us < 100 else f"{us:.0f} µs"
