"""Under load: what was asked for, what was delivered, and what of the waiting was our own."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.report.table import Marks, Row, Table, rows_of, who, who_columns
from orchestrator.report.text import milliseconds

NOTE = (
    "Asked, scheduled and delivered are samples a second. Own delay is what our loop added where a sample found the server idle (p50, p99, "
    "longest); gap error (p50, p99) is by how much the distance of two such starts differs from that of their arrivals; spacing is the "
    "p-value of the schedule's gaps against the law asked for. Waiting for other samples is the system's own, and part of its response. "
    "Ramps are left out. Of imported trials our loop is that of the program that measured."
)
HEADS = (
    "load", "idle", "streams", "asked", "scheduled", "delivered", "own delay", "gap error", "spacing", "utilisation", "mean wait",
    "dropped", "overloaded streams",
)  # fmt: skip


def load_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task what its trials' schedules came to; nothing for closed loops."""
    for group in results.groups:
        rows = rows_of(results, "load", group)
        if rows:
            marks = Marks(rows)
            yield Table(
                title=f"Schedules of {group.task}",
                columns=[*who_columns(group), *HEADS],
                rows=[[*who(row, group), *_cells(row, marks)] for row in rows],
                note=NOTE + marks.note(),
                right=frozenset(HEADS[2:]),
            )


def _cells(row: Row, marks: Marks) -> list[str]:
    delays = [_microseconds(row[f"own_delay_{name}_ns"]) for name in ("p50", "p99", "max")]
    return [
        row["load"] + marks.of(row),
        row["idle"],
        str(row["streams"]),
        *("-" if row[f"{name}_per_s"] is None else f"{row[f'{name}_per_s']:.6g}" for name in ("asked", "scheduled", "delivered")),
        f"{', '.join(delays)} us",
        f"{_microseconds(row['gap_error_p50_ns'])}, {_microseconds(row['gap_error_p99_ns'])} us",
        "-" if row["spacing_p"] is None else f"p = {row['spacing_p']:.2f}",
        "-" if row["utilisation"] is None else f"{row['utilisation']:.2f}",
        milliseconds(row["mean_wait_ns"]),
        f"{100 * row['dropped_share']:.1f} %",
        str(row["overloaded_streams"]),
    ]


def _microseconds(ns: float | None) -> str:
    return "-" if ns is None else f"{ns / 1000:.3g}"
