"""The table of the gaps between the tokens of streamed answers."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, rows_of
from orchestrator.report.table import Marks, Table, who, who_columns
from orchestrator.report.text import milliseconds

NOTE = (
    "A gap is the time from one piece of an answer to the next, as the client received them, over all answers of all rounds. Pieces are "
    "tokens unless the server puts several into one. Longest in an answer: how long each answer stood still at most (p50, p99 of answers)."
)
HEADS = ("answers", "gaps", "gap p50", "gap p95", "gap p99", "longest", "longest in an answer")


def token_gap_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task the gaps between tokens; nothing where no answer was streamed."""
    for group in results.groups:
        rows = rows_of(results, "token_gaps", group)
        if rows:
            marks = Marks(rows)
            yield Table(
                title=f"Gaps between tokens of {group.task}",
                columns=[*who_columns(group), *HEADS],
                rows=[
                    [
                        *who(row, group),
                        f"{row['answers']:,}",
                        f"{row['gaps']:,}",
                        *(milliseconds(row[name]) for name in ("p50_ns", "p95_ns")),
                        f"{milliseconds(row['p99_ns'])}{marks.of(row)}",
                        milliseconds(row["longest_ns"]),
                        f"{milliseconds(row['longest_p50_ns'])}, {milliseconds(row['longest_p99_ns'])}",
                    ]
                    for row in rows
                ],
                note=NOTE + marks.note(),
                right=frozenset(HEADS),
            )
