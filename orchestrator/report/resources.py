"""The table of what trials take beside their times."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, Row, rows_of
from orchestrator.report.table import Table, who, who_columns
from orchestrator.report.text import memory, milliseconds, seconds

OF_GPU = ("GPU memory", "GPU tensors")
NOTE = (
    "First: total time of the first inference of a process, before anything is warm; warm first: of the first after its warm-up; after a "
    "pause: the longest of a visit's first inference. Memory: the most that was resident in the process, from its start on and while it "
    "was timed. Changed answers: samples that some round answers otherwise than the first round. Other answers: samples answered otherwise "
    "than by the first trial of the same model; - is that, and what nobody knows, since no answers are stored."
)


def resources_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task the first inferences, the peaks of memory and the changed answers of its trials."""
    for group in results.groups:
        rows = rows_of(results, "resources", group)
        on_gpu = any(row["gpu_memory_peak_bytes"] is not None or row["gpu_allocated_peak_bytes"] is not None for row in rows)
        heads = ["load", "first", "warm first", "after a pause", "memory", "in rounds", *(OF_GPU if on_gpu else ())]
        heads += ["changed answers", "other answers"]
        yield Table(
            title=f"First inferences, memory and changed answers of {group.task}",
            columns=[*who_columns(group), *heads],
            rows=[[*who(row, group), *_cells(row, on_gpu)] for row in rows],
            note=NOTE,
            right=frozenset(heads),
        )


def _cells(row: Row, on_gpu: bool) -> list[str]:
    return [
        "-" if row["load_ns"] is None else seconds(row["load_ns"] / 1e9),
        *(milliseconds(row[name]) for name in ("first_total_ns", "warm_first_ns", "paused_first_ns")),
        memory(row["resident_peak_bytes"]),
        memory(row["resident_round_peak_bytes"]),
        *([memory(row["gpu_memory_peak_bytes"]), memory(row["gpu_allocated_peak_bytes"])] if on_gpu else ()),
        _share(row, "changed_samples") if row["changed_samples"] != 0 else "0",
        _share(row, "differing_samples"),
    ]


def _share(row: Row, name: str) -> str:
    return "-" if row[name] is None else f"{row[name]} of {row['samples']}"
