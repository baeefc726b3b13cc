"""``inspect DIR [TRIAL]``: the failed and the slowest answers of a trial, or the trials there are."""

import shlex
from pathlib import Path

import click

from orchestrator.commands.line import COUNT, PLACE, verb
from orchestrator.report.pasted import ORCHESTRATOR


@verb("inspect results/latest", "inspect results/latest efficientnet_lite0-imagenet_samples-cpu_1core --top 20")
@click.argument("directory", metavar="DIR", type=PLACE)
@click.argument("trial", metavar="[TRIAL]", required=False)
@click.option("--top", type=COUNT, default=10, metavar="N", help="how many answers to list (default 10)")
def command(directory: Path, trial: str | None, top: int) -> int:
    """List the failed and the slowest answers of a trial.

    Show the answers before and after each, and what else happened in its round. Without TRIAL, list the trials.
    """
    from orchestrator.analysis.late_answers import latest_answers
    from orchestrator.commands.listing import print_trials, tables_of
    from orchestrator.commands.reading import find_trial
    from orchestrator.report.terminal import Terminal
    from orchestrator.storage.reader import open_campaign

    campaign = open_campaign(directory)
    if trial is None:
        print_trials(campaign)
        Terminal().prose("choose one, by how its id begins or ends:")
        Terminal().line(f"{ORCHESTRATOR} inspect {shlex.quote(str(directory))} TRIAL")  # never broken: it is to be pasted
        return 0
    trial_id = find_trial(campaign, trial)
    terminal = Terminal()
    tables = tables_of(campaign, trial_id, latest_answers(campaign, trial_id, top))
    terminal.tables(table for table in tables if table.rows)
    return 0
