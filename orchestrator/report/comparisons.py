"""The table of differences between systems and runtimes of one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.analysis.comparison import FRESH_PROCESSES, SAMPLES_LIKE_THESE, THIS_DATA_SET
from orchestrator.analysis.groups import Group
from orchestrator.analysis.results import Results
from orchestrator.report.rows import Row, bound, flag_note, mark, read_at, rows_of, who, who_columns
from orchestrator.report.table import Table
from orchestrator.report.text import signed
from orchestrator.stats.thresholds import Threshold


def comparison_tables(results: Results, everywhere: bool = False) -> Iterator[Table]:
    """Yield per task the differences from each model's baseline at the primary threshold, or ``everywhere``: at all common ones."""
    for group in results.groups:
        found = rows_of(results, "comparison", group)
        for threshold in read_at(group, everywhere):
            rows = [row for row in found if row["threshold_ns"] == threshold.ns]
            trials = list(dict.fromkeys(row["trial"] for row in rows))
            if trials:
                yield _table(group, threshold, [[row for row in rows if row["trial"] == trial] for trial in trials])


def _table(group: Group, threshold: Threshold, trials: Sequence[Sequence[Row]]) -> Table:
    return Table(
        title=f"Differences of tail quality in {group.task} ({group.trials[0].metric}, total time) within {bound(threshold)}",
        columns=[*who_columns(group), "minus baseline", "this data set", "samples like these", "fresh processes"],
        rows=[_comparison_cells(rows, group) for rows in trials],
        note="Mean tail quality minus the baseline's, with 95 % intervals: over rounds of these processes (this data set), and over "
        "rounds and samples (samples like these). A fresh process differs from the last by more than its rounds tell: only repeats "
        "(measurement.repeat=3 or more) give a verdict on whether a system is better or worse. It stands in the row of the first "
        "repeat, at the primary threshold, with one-sided bounds that hold for all trials together."
        + flag_note([row for rows in trials for row in rows]),
        right=frozenset(["this data set", "samples like these"]),
        within_ns=threshold.ns,
    )


def _comparison_cells(rows: Sequence[Row], group: Group) -> list[str]:
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
