"""Tail quality where an answer must keep several bounds at once."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, rows_of
from orchestrator.report.table import Marks, Table, mean_within, who, who_columns
from orchestrator.report.text import quality

NOTE = "An answer counts if every clock named keeps its own bound. In brackets the 95 % interval of the mean of rounds to come."
HEADS = ("kept", "worst round", "ideal")


def together_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task what each system keeps within the bounds of `analysis.together_ms`; nothing without them."""
    if not results.analysis.together_ms:
        return
    name = " and ".join(results.analysis.together_ms)
    for group in results.groups:
        metric = group.trials[0].metric
        rows = [row for row in rows_of(results, "tail_quality", group) if row["clock"] == name and row["slice"] == "all"]
        rows = [row for row in rows if row["metric"] == metric]
        if rows:
            marks = Marks(rows)
            yield Table(
                title=f"Tail quality of {group.task} ({metric}) with {name} within {rows[0]['threshold']}",
                columns=[*who_columns(group), *HEADS],
                rows=[
                    [
                        *who(row, group),
                        mean_within(row, marks),
                        quality(row["worst"]),
                        quality(row["ideal"]),
                    ]
                    for row in rows
                ],
                note=NOTE + marks.note(),
                right=frozenset(HEADS),
            )
