"""``status DIR``: how far a campaign has come, from its stored files alone; a running driver is not disturbed."""

from __future__ import annotations

from collections import Counter

from orchestrator.commands.arguments import Arguments
from orchestrator.contracts import InputError
from orchestrator.report.table import Table
from orchestrator.report.terminal import Terminal
from orchestrator.report.text import trials_counted
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import TrialRecord


def execute(arguments: Arguments) -> int:
    """Print one line per trial. Returns the exit code."""
    if len(arguments.directories) != 1 or arguments.overrides:
        raise InputError("status takes one results directory and no KEY=VALUE: name one, such as results/latest")
    campaign = open_campaign(arguments.directories[0])
    records = campaign.trials()
    terminal = Terminal()
    terminal.table(_table(campaign, records))
    counts = Counter(record.state for record in records)
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    terminal.line(f"{trials_counted(len(records))}: {told}")
    return 0


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
