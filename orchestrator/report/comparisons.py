"""The table of differences between systems and runtimes of one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.comparison import FRESH_PROCESSES, SAMPLES_LIKE_THESE, THIS_DATA_SET
from orchestrator.analysis.groups import Group
from orchestrator.analysis.results import Results
from orchestrator.report.rows import Row, flag_note, mark, rows_of, who, who_columns
from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds, signed


def comparison_tables(results: Results) -> Iterator[Table]:
    """Yield per task the differences from each model's baseline at the primary threshold."""
    for group in results.groups:
        primary = group.thresholds.primary
        rows = [row for row in rows_of(results, "comparison", group) if primary is not None and row["threshold_ns"] == primary.ns]
        if not rows or primary is None:
            continue
        trials = list(dict.fromkeys(row["trial"] for row in rows))
        bound = f"{primary.label}, {milliseconds(primary.ns)}" if primary.origin == "reference" else primary.label
        yield Table(
            title=f"Differences of tail quality in {group.task} ({group.trials[0].metric}) within {bound}",
            columns=[*who_columns(group), "minus baseline", "this data set", "samples like these", "fresh processes"],
            rows=[_cells([row for row in rows if row["trial"] == trial], group) for trial in trials],
            note="Mean tail quality minus the baseline's, with 95 % intervals: over rounds of these processes (this data set), and over "
            "rounds and samples (samples like these). A fresh process differs from the last by more than its rounds tell: only repeats "
            "(measurement.repeat=3 or more) give a verdict on whether a system is better or worse. It stands in the row of the first "
            "repeat, with one-sided bounds that hold for all trials together." + flag_note(rows),
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
        _verdict(verdict) if verdict is not None else "",
    ]


def _verdict(row: Row) -> str:
    """Write a verdict with its figure: the difference of means over repeats, its bounds and what would have been found."""
    if row["interval_low"] is None:
        return str(row["verdict"])
    parameters = dict(row["parameters"])
    found = f"{row['verdict']}: {signed(row['difference'])} [{signed(row['interval_low'])}, {signed(row['interval_high'])}]"
    return f"{found}, a drop of {parameters['detectable_drop']:.3f} would show{mark(row['flags'])}"


def _difference(row: Row | None) -> str:
    if row is None:
        return "-"
    low, high = row["interval_low"], row["interval_high"]
    interval = f"[{signed(low)}, {signed(high)}]" if low is not None and high is not None else "[unknown]"
    return f"{signed(row['difference'])} {interval}{mark(row['flags'])}"
