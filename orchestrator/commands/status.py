"""``status DIR``: how far a campaign has come; a running one is not disturbed."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.commands.line import PLACE, verb
from orchestrator.report.pasted import ORCHESTRATOR

if TYPE_CHECKING:
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
    why = {record.trial_id: (record.stopping.reason if record.stopping else None) or record.reason for record in records}
    columns = ["trial", "state", "rounds", "faults", "host", "why"]
    rows = [
        [
            record.trial_id,
            record.state,
            str(campaign.rounds(record.trial_id).num_rows) if record.started_at else "0",
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
        if left := left_in_words(_time_left(campaign, records)):
            terminal.prose(f"At the pace of its rounds so far: {left}.")
        terminal.prose("Not finished. If no run of it is under way, go on with:")
        terminal.line(f"{ORCHESTRATOR} resume {shlex.quote(str(campaign.directory))}")


def _time_left(campaign: Campaign, records: Sequence[TrialRecord]) -> tuple[float, float] | None:
    """Return the seconds that are left at least and at most, by what is stored; those of processes before the last ones do not count."""
    import numpy as np

    from orchestrator.commands.remaining import Pace, bounds_of, time_left
    from orchestrator.storage.schema import UNFINISHED

    paces, began, ended = [], [], []
    for record in records:
        rounds = campaign.rounds(record.trial_id) if record.started_at else None
        least, most = bounds_of(record.trial.measurement)
        if rounds is None or not rounds.num_rows:
            paces.append(Pace(0, least, most))
            continue
        done = rounds.num_rows
        starts, lengths = (rounds.column(name).to_numpy() for name in ("started_monotonic_ns", "duration_ns"))
        of_last = rounds.column("process").to_numpy() == rounds.column("process")[-1].as_py()
        began.append(starts[of_last].min())
        ended.append((starts + lengths)[of_last].max())
        low, high = (least, most) if record.state in UNFINISHED else (done, done)
        paces.append(Pace(done, low, high, int(of_last.sum()), float(np.mean(lengths[of_last])) / 1e9))
    return time_left(paces, (max(ended) - min(began)) / 1e9) if began else None
