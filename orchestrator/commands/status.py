"""``status DIR``: how far a campaign has come, from its stored files alone; a running driver is not disturbed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from orchestrator.report.table import Table
from orchestrator.report.terminal import Terminal
from orchestrator.report.text import trials_counted
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import TrialRecord


def execute(directory: Path) -> int:
    """Print one line per trial. Returns the exit code."""
    print_trials(open_campaign(directory))
    return 0


def print_trials(campaign: Campaign) -> None:
    """Print one line per trial, and how many there are of each state."""
    records = campaign.trials()
    terminal = Terminal()
    terminal.table(_table(campaign, records))
    counts = Counter(record.state for record in records)
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    terminal.line(f"{trials_counted(len(records))}: {told}")


def _table(campaign: Campaign, records: list[TrialRecord]) -> Table:
    return Table(
        title=f"Campaign {campaign.record.name}",
        columns=["trial", "state", "rounds", "faults", "host", "why"],
        rows=[
            [
                record.trial_id,
                record.state,
                str(campaign.rounds(record.trial_id).num_rows) if record.started_at else "0",
                str(len(record.faults)),
                str(record.placement.get("host", "")),
                (record.stopping.reason if record.stopping else None) or record.reason or "",
            ]
            for record in records
        ],
        right=frozenset(["rounds", "faults"]),
    )
