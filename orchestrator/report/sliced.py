"""Tables of tail quality by slice: the groups of samples, or of boxes, that ``analysis.slices`` names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.analysis.groups import Group
from orchestrator.report.table import Marks, Table, bound, mean_within, who, who_columns
from orchestrator.report.text import quality
from orchestrator.stats.thresholds import Threshold

MOST_GROUPS = 20
"""Groups of one slice in a table: those that lose most."""
MEAN = "mean [95 % interval]"


def slice_tables(results: CampaignAnalysis, primary_metric: bool = False) -> Iterator[Table]:
    """Yield per task, slice and metric tail quality of its groups at the primary threshold; nothing without ``analysis.slices``.

    ``primary_metric`` leaves out the other metrics.
    """
    for group in results.groups:
        primary, metric = group.thresholds.primary, group.trials[0].metric
        rows = [row for row in rows_of(results, "slices", group) if primary is not None and _is_at(row, group, primary)]
        for name, of in dict.fromkeys((row["name"], row["metric"]) for row in rows):
            if primary is not None and (of == metric or not primary_metric):
                whole = [row for row in rows_of(results, "tail_quality", group) if row["metric"] == of and _is_at(row, group, primary)]
                yield _table(group, primary, whole, [row for row in rows if (row["name"], row["metric"]) == (name, of)])


def _is_at(row: Row, group: Group, threshold: Threshold) -> bool:
    return bool(row["clock"] == group.clock and threshold.is_of(row))


def _table(group: Group, threshold: Threshold, whole: Sequence[Row], rows: Sequence[Row]) -> Table:
    name, metric, unit = (rows[0][column] for column in ("name", "metric", "unit"))
    shown, left_out = most_lost(rows)
    marks = Marks([*whole, *shown])
    note = (
        "Each group is judged alone, at the threshold of all; its interval is that of its own mean over rounds to come, with these "
        f"{unit}. slices.parquet has every threshold."
    )
    more = f" Of {left_out + MOST_GROUPS} groups those {MOST_GROUPS} stand here that lose most." if left_out else ""
    return Table(
        title=f"Tail quality of {group.task} by {name} ({metric}, {group.clock} time) within {bound(threshold)}",
        columns=[*who_columns(group), "group", unit, "ideal", MEAN, "worst"],
        rows=[
            *([*who(row, group), "all", str(row["samples"]) if unit == "samples" else "", *_cells(row, marks)] for row in whole),
            *([*who(row, group), row["group"], str(row["members"]), *_cells(row, marks)] for row in shown),
        ],
        note=note + more + marks.note(),
        right=frozenset([unit, "ideal", MEAN, "worst"]),
    )


def _cells(row: Row, marks: Marks) -> list[str]:
    return [quality(row["ideal"]), mean_within(row, marks), quality(row["worst"])]


def most_lost(rows: Sequence[Row]) -> tuple[list[Row], int]:
    """Return the rows of the groups that lose most, all trials together, group by group, and how many groups are left out."""
    by_group: dict[str, list[Row]] = {}
    for row in rows:
        by_group.setdefault(row["group"], []).append(row)
    lost = {name: fmean(abs(row["ideal"] - row["mean"]) for row in of_group) for name, of_group in by_group.items()}
    kept = set(sorted(lost, key=lambda name: -lost[name])[:MOST_GROUPS])
    return [row for name, of_group in by_group.items() if name in kept for row in of_group], len(by_group) - len(kept)
