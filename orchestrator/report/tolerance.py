"""One figure per system: tail quality averaged over how long users wait."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, rows_of
from orchestrator.analysis.quality import scale_of
from orchestrator.report.table import Marks, Table, mean_within, who, who_columns
from orchestrator.report.text import quality

NOTE = (
    "A user counts the answers that come within his own tolerance; the figure is the mean over users and rounds. In brackets the 95 % "
    "interval, of rounds to come, or over fresh processes where there are repeats."
)


def tolerance_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task what each system keeps on average over `analysis.tolerance`, the best first; nothing without one."""
    for group in results.groups:
        rows = [row for row in rows_of(results, "tolerance", group) if row["clock"] == group.clock]
        if rows:
            scale = scale_of(group.trials[0].judged(rows[0]["metric"]))
            rows.sort(key=lambda row: -scale.gained(row["mean"]))
            marks = Marks(rows)
            heads = ["averaged over users", "worst round", "ideal"]
            names = [name for name in who_columns(group) if name != "repeat"]
            yield Table(
                title=f"Tail quality of {group.task} ({rows[0]['metric']} of {rows[0]['samples']} samples, {group.clock} time) averaged "
                f"over users: {rows[0]['tolerance']}",
                columns=[*names, *heads],
                rows=[
                    [
                        *who(row, group, names),
                        mean_within(row, marks),
                        quality(row["worst"]),
                        quality(row["ideal"]),
                    ]
                    for row in rows
                ],
                note=NOTE + marks.note(),
                right=frozenset(heads),
            )
