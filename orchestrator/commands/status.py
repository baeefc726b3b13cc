"""``status DIR``: how far a campaign has come; a running one is not disturbed."""

from pathlib import Path

import click

from orchestrator.commands.line import PLACE, verb


@verb("status results/latest", "status results/vision/2026-03-02T09-00-00Z")
@click.argument("directory", metavar="DIR", type=PLACE)
def command(directory: Path) -> int:
    """Show how far a campaign has come.

    List the trials of a campaign: state, rounds, faults, host, and why each ended. A running campaign is not disturbed.
    """
    from orchestrator.commands.listing import print_trials
    from orchestrator.storage.reader import open_campaign

    print_trials(open_campaign(directory))
    return 0
