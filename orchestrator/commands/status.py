"""``status DIR``: how far a campaign has come; a running one is not disturbed."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.line import PLACE, verb
from orchestrator.report.pasted import ORCHESTRATOR

if TYPE_CHECKING:
    import pyarrow as pa

    from orchestrator.storage.reader import Campaign
    from orchestrator.storage.records import TrialRecord


@verb("status results/latest", "status results/vision/2026-03-02T09-00-00Z")
@click.argument("directory", metavar="DIR", type=PLACE)
def command(directory: Path) -> int:
    """How far a campaign has come.

    List the trials of a campaign: state, rounds, faults, host, and why each ended. A running campaign is not disturbed.
    """
    from orchestrator.storage.reader import open_campaign

    print_trials(open_campaign(directory))
    return 0


def print_trials(campaign: Campaign) -> None:
    """Print a line per trial, why trials ended, below where that does not fit, and how many there are of each state."""
    from orchestrator.commands.remaining import left_in_words
    from orchestrator.report.table import Table
    from orchestrator.report.terminal import Terminal, fits
    from orchestrator.report.text import trials_counted
    from orchestrator.report.trial_names import said_once, with_names
    from orchestrator.storage.schema import UNFINISHED

    records, terminal = campaign.trials(), Terminal()
    rounds = {record.trial_id: campaign.rounds(record.trial_id) for record in records if record.started_at}
    why = {record.trial_id: (record.stopping.reason if record.stopping else None) or record.reason for record in records}
    columns = ["trial", "state", "rounds", "faults", "host", "why"]
    rows = [
        [
            record.trial_id,
            record.state,
            str(rounds[record.trial_id].num_rows if record.trial_id in rounds else 0),
            str(len(record.faults)),
            str(record.placement.get("host", "")),
            why[record.trial_id] or "",
        ]
        for record in records
    ]
    table = Table(title=f"Campaign {campaign.record.name}", columns=columns, rows=rows, right=frozenset(["rounds", "faults"]))
    named = with_names(table, records, terminal.width)
    if fits(named, terminal.width):
        terminal.table(named)
    else:
        without = replace(table, columns=columns[:-1], rows=[row[:-1] for row in rows])
        terminal.table(with_names(without, records, terminal.width))
        ended = {record.trial_id: [(record.state, why[record.trial_id])] if why[record.trial_id] else [] for record in records}
        for whom, (state, reason) in said_once(records, ended):
            terminal.prose(f"{state}: {whom}: {reason}")
    counts = Counter(record.state for record in records)
    terminal.line(f"{trials_counted(len(records))}: {', '.join(f'{count} {state}' for state, count in counts.items())}")
    if any(state in UNFINISHED for state in counts):
        if left := left_in_words(_time_left(records, rounds)):
            terminal.prose(f"At the pace of its rounds so far: {left}.")
        terminal.prose("Not finished. If no run of it is under way, go on with:")
        terminal.line(f"{ORCHESTRATOR} resume {shlex.quote(str(campaign.directory))}")


def _time_left(records: Sequence[TrialRecord], rounds: Mapping[str, pa.Table]) -> tuple[float, float] | None:
    """Return the seconds that are left at least and at most, by the rounds of each trial's last process."""
    import pyarrow.compute as pc

    from orchestrator.commands.remaining import pace_of, time_left
    from orchestrator.storage.schema import UNFINISHED

    paces, began, ended = [], [], []
    for record in records:
        pace, stored = pace_of(record.trial.measurement), rounds.get(record.trial_id)
        if stored is not None and stored.num_rows:
            of_last = stored.filter(pc.equal(stored.column("process"), stored.column("process")[-1]))
            starts, lengths = of_last.column("started_at").to_pylist(), of_last.column("duration_ns").to_numpy() / 1e9
            began.append(starts[0].timestamp())  # hosts have a clock of days in common, and no other
            ended.append(starts[-1].timestamp() + float(lengths[-1]))
            pace = pace._replace(done=stored.num_rows, timed=len(starts), round_s=float(lengths.mean()))
        if record.state not in UNFINISHED:
            pace = pace._replace(least=pace.done, most=pace.done)
        paces.append(pace)
    return time_left(paces, max(ended) - min(began)) if began else None
