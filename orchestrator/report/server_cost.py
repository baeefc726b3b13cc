"""What a server adds to the time of a model that was measured in the timed process too."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, rows_of
from orchestrator.report.table import Table, who, who_columns
from orchestrator.report.text import milliseconds

NOTE = (
    "Cost is the difference of the medians, in brackets the least and the largest of the four quarters of the rounds: sending and reading, "
    "the server's own work and queue, and what its cores are better or worse at. The client's own part of it stands under Servers. "
    "Answers differ where scores or corners are more than 0.1 % apart."
)
HEADS = ("answers that differ", "in process p50", "in process p99", "served p50", "served p99", "cost p50", "cost p99")


def server_cost_tables(results: CampaignAnalysis) -> Iterator[Table]:
    """Yield per task what each server costs; nothing where no model was measured both ways."""
    for group in results.groups:
        rows = rows_of(results, "server_cost", group)
        if rows:
            runtimes = {data.trial_id: data.record.trial.runtime.name for data in group.trials}
            yield Table(
                title=f"What servers of {group.task} cost ({group.clock} time)",
                columns=[*who_columns(group), "server", "against runtime", *HEADS],
                rows=[
                    [
                        *who(row, group),
                        row["server"],
                        runtimes[row["against"]],
                        f"{row['different_answers']} of {row['samples']}",
                        *(milliseconds(row[f"{where}_p{percent}_ns"]) for where in ("in_process", "served") for percent in (50, 99)),
                        f"{_signed(row['cost_p50_ns'])} ({_signed(row['cost_low_ns'])} to {_signed(row['cost_high_ns'])})",
                        _signed(row["cost_p99_ns"]),
                    ]
                    for row in rows
                ],
                note=NOTE,
                right=frozenset(HEADS),
            )


def _signed(ns: float | None) -> str:
    """Write a difference in ms with its sign; a dash where there is none."""
    return "-" if ns is None else f"{'-' if ns < 0 else '+'}{milliseconds(abs(ns))}"
