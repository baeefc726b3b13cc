"""The table of differences between systems and runtimes of one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.comparison import FRESH_PROCESSES, SAMPLES_LIKE_THESE, THIS_DATA_SET
from orchestrator.analysis.results import Group, Results
from orchestrator.report.rows import Row, flag_note, mark, rows_of, who, who_columns
from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds


def comparison_tables(results: Results) -> Iterator[Table]:
    """Yield per task the differences from each model's baseline at the primary threshold."""
    for group in results.groups:
        primary = group.thresholds.primary
        rows = [row for row in rows_of(results, "comparison", group) if primary is not None and row["threshold_ns"] == primary.ns]
        if not rows or primary is None:
            continue
        trials = list(dict.fromkeys(row["trial"] for row in rows))
        bound = f"{primary.label}, {milliseconds(primary.ns)}"
        yield Table(
            title=f"Differences of tail quality in {group.task} ({group.trials[0].metric}) within {bound}",
            columns=[*who_columns(group), "minus baseline", "this data set", "samples like these", "fresh processes"],
            rows=[_cells([row for row in rows if row["trial"] == trial], group) for trial in trials],
            note="Mean tail quality minus the baseline's, with 95 % intervals: over rounds of these processes (this data set), and over "
            "rounds and samples (samples like these). A fresh process differs from the last by more than its rounds tell: only repeats "
            "(measurement.repeat=3 or more) give a verdict on whether a system is better or worse." + flag_note(rows),
            right=frozenset(["this data set", "samples like these"]),
        )


def _cells(rows: Sequence[Row], group: Group) -> list[str]:
    scopes = {row["scope"]: row for row in rows}
    first = rows[0]
    baseline = next(data.record for data in group.trials if data.trial_id == first["baseline"])
    verdict = scopes.get(FRESH_PROCESSES)
    return [
        *who(first, group),
        f"{baseline.trial.system.name} with {baseline.trial.runtime.name}",
        _difference(scopes.get(THIS_DATA_SET)),
        _difference(scopes.get(SAMPLES_LIKE_THESE)),
        verdict["verdict"] if verdict is not None else "",
    ]


def _difference(row: Row | None) -> str:
    if row is None:
        return "-"
    low, high = row["interval_low"], row["interval_high"]
    interval = f"[{low:+.3f}, {high:+.3f}]" if low is not None and high is not None else "[unknown]"
    return f"{row['difference']:+.3f} {interval}{mark(row['flags'])}"
