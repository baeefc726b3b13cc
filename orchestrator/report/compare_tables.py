"""The tables of a comparison, for a terminal, a pull request and a page."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.compare_campaigns import Comparison
from orchestrator.analysis.compare_rows import Compared
from orchestrator.report.compare_text import difference_text, fresh_processes_text, slow_down_text, threshold_text
from orchestrator.report.table import Table
from orchestrator.report.text import quality

NOTE = (
    "Mean tail quality on the total clock, candidate minus baseline; a negative difference is a loss. fresh processes: means of repeats, "
    "with one-sided bounds that hold for all rows together (family-wise 5 %, Holm); the verdict rests on it alone. this data set: rounds "
    "of these processes, 95 %. samples like these: rounds and samples, 95 %. no difference shown does not say that there is none."
)
POWER_NOTE = (
    "Smallest drop of quality that these repeats would find with 90 % probability, and the slow-down of all times of the baseline that "
    "costs as much. The noise of the repeats is taken as known; from few repeats it is a rough figure."
)


def comparison_tables(comparison: Comparison, power: bool) -> Iterator[Table]:
    """Yield the verdicts, what the repeats can find where that was asked for, and what else changed."""
    yield _verdicts(comparison)
    if power:
        yield _power(comparison)
    if comparison.changes:
        yield Table(
            title="What else changed",
            columns=["what", "baseline", "candidate", "systems"],
            rows=[[change.name, change.before, change.after, ", ".join(change.systems) or "all"] for change in comparison.changes],
        )


def _verdicts(comparison: Comparison) -> Table:
    who = _who_columns(comparison)
    figures = ["before", "now", "fresh processes", "this data set", "samples like these"]
    rows = []
    for row in comparison.rows:
        scopes = row.scopes
        rows.append(
            [
                *_who(row, who),
                threshold_text(row),
                _mean(row.means_before),
                _mean(row.means),
                fresh_processes_text(row),
                difference_text(scopes.this_data_set),
                difference_text(scopes.samples_like_these),
                row.outcome + (f" ({row.why})" if row.why else ""),
                ", ".join(row.flags),
            ]
        )
    return Table("Comparison with the baseline", [*who, "threshold", *figures, "verdict", "flags"], rows, NOTE, frozenset(figures))


def _power(comparison: Comparison) -> Table:
    who = _who_columns(comparison)
    rows = []
    for row in comparison.rows:
        if row.verdict is None:
            continue
        known = row.verdict.detectable_drop < float("inf")
        counts = f"{row.verdict.repeats_a} and {row.verdict.repeats_b}"
        drop = f"{row.verdict.detectable_drop:.3f}" if known else "-"
        rows.append([*_who(row, who), threshold_text(row), counts, drop, slow_down_text(row)])
    return Table(
        "What these repeats would find", [*who, "threshold", "repeats", "drop", "slow-down"], rows, POWER_NOTE, frozenset(["drop"])
    )


def _who_columns(comparison: Comparison) -> list[str]:
    """Return the columns that tell the trials apart; their match key where names do not."""
    plain = ["model", "system", "runtime"]
    optional = [name for name in ("task", "batch") if len({_label(row, name) for row in comparison.rows}) > 1]
    columns = [*(name for name in optional if name == "task"), *plain, *(name for name in optional if name == "batch")]
    named = {(row.match_key, *_who(row, columns)) for row in comparison.rows}
    return columns if len({name[1:] for name in named}) == len(named) else ["trial", *columns]


def _who(row: Compared, columns: list[str]) -> list[str]:
    return [_label(row, column) for column in columns]


def _label(row: Compared, column: str) -> str:
    trial = row.trial
    labels = {"trial": row.match_key, "batch": str(trial.measurement.batch)}
    return labels.get(column) or str(getattr(trial, column).name)


def _mean(means: tuple[float, ...]) -> str:
    return quality(sum(means) / len(means)) if means else "-"
