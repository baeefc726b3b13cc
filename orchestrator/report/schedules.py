"""Under load: what was asked for, what was delivered, and what of the waiting was our own."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.report.table import Marks, Table, who, who_columns
from orchestrator.report.text import milliseconds, per_cent, seconds

NOTE = (
    "Asked, scheduled and delivered are samples a second. Own delay is what our loop added where a sample found the server idle (p50, "
    "p99, longest); foreign CPU is the time that other processes had on the trial's cores meanwhile; queued gap (p50) is from the end "
    "of an inference to the next start where samples waited; gap error (p50, p99) is by how much the distance of two starts at an idle "
    "server differs from that of their arrivals; spacing is the p-value of the schedule's gaps against the law asked for. Waiting for "
    "other samples is the system's own, and part of its response. Ramps are left out. Of imported trials our loop is that of the "
    "program that measured."
)
HEADS = (
    "load", "idle", "streams", "asked", "scheduled", "delivered", "own delay", "foreign CPU", "queued gap", "gap error", "spacing",
    "utilisation", "mean wait", "dropped", "overloaded streams",
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
    delays = [short(row[f"own_delay_{name}_ns"]) for name in ("p50", "p99", "max")]
    foreign_ns = row["foreign_cpu_ns"]
    return [
        row["load"] + marks.of(row),
        row["idle"],
        str(row["streams"]),
        *("-" if row[f"{name}_per_s"] is None else f"{row[f'{name}_per_s']:.6g}" for name in ("asked", "scheduled", "delivered")),
        ", ".join(delays),
        "-" if foreign_ns is None else seconds(foreign_ns / 1e9),
        short(row["queued_gap_p50_ns"]),
        ", ".join(short(row[f"gap_error_{name}_ns"]) for name in ("p50", "p99")),
        "-" if row["spacing_p"] is None else f"p = {row['spacing_p']:.2f}",
        "-" if row["utilisation"] is None else f"{row['utilisation']:.2f}",
        milliseconds(row["mean_wait_ns"]),
        per_cent(row["dropped_share"]),
        str(row["overloaded_streams"]),
    ]


def short(ns: float | None) -> str:
    """Write a delay in us, from 1 ms on in ms; a dash where there is none."""
    return f"{ns / 1000:.3g} us" if ns is not None and ns < 999_500 else milliseconds(ns)
