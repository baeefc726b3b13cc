"""The table of deadlines that systems can promise."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.groups import Group
from orchestrator.analysis.results import Results
from orchestrator.report.rows import Row, rows_of, who, who_columns
from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds, quality_at_least

DEADLINE_NOTE = (
    "With {confidence:.0%} confidence at least {kept:.0%} of rounds like these keep {quality:.0%} of ideal quality, when every answer "
    "after the deadline counts as failed. The first rounds count, as many as were fixed beforehand. What was seen promises nothing.{common}"
)
COMMON = " Where models differ in ideal quality, the floor that all of them can keep stands beside each one's own (common)."


def deadline_tables(results: Results) -> Iterator[Table]:
    """Yield per task the deadlines on the total clock: for each trial's own ideal quality, and for a common one where that is lower."""
    wanted = results.analysis.deadline
    for group in results.groups:
        rows = [row for row in rows_of(results, "deadline", group) if row["clock"] == "total"]
        own = {row["trial"]: row["floor"] for row in rows if row["reference"] == "own"}
        rows = [row for row in rows if row["reference"] == "own" or 0 < row["floor"] < own[row["trial"]]]
        common = COMMON if any(row["reference"] == "common" for row in rows) else ""
        if rows:
            yield Table(
                title=f"Deadlines that can be promised on {group.task} ({group.trials[0].metric}, total time)",
                columns=[*who_columns(group), "keep at least", "deadline", f"seen in {1 - wanted.late_share:.0%} of rounds", "rounds"],
                rows=[_deadline_cells(row, group) for row in rows],
                note=DEADLINE_NOTE.format(confidence=wanted.confidence, kept=1 - wanted.late_share, quality=wanted.quality, common=common),
                right=frozenset(["keep at least", "rounds"]),
            )


def _deadline_cells(row: Row, group: Group) -> list[str]:
    floor = quality_at_least(row["floor"]) + (" (common)" if row["reference"] == "common" else "")
    return [*who(row, group), floor, _deadline(row), milliseconds(row["observed_ns"]), str(row["rounds"])]


def _deadline(row: Row) -> str:
    return milliseconds(row["deadline_ns"]) if row["certified"] else f"not certified: {row['reason']}"
