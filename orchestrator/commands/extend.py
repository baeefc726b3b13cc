"""``extend DIR --rounds N``: add rounds to finished trials, as a further look."""

from pathlib import Path
from typing import Any

import click

from orchestrator.commands.line import COUNT, going_on, verb
from orchestrator.commands.resume import go_on


@verb("extend results/latest --rounds 100", "extend results/monday --rounds 30 --accept-changes")
@click.option("--rounds", type=COUNT, required=True, metavar="N", help="rounds to add to every finished trial")
@going_on
def command(found: tuple[Path, ...], rounds: int, **how: Any) -> int:
    """Add rounds to the finished trials of a campaign.

    This runs the models and tasks that the campaign names, as you. If another user could have written them or the
    campaign, it refuses, unless --trust is given.
    """
    return go_on("extend", found[0], states=("done",), rounds=rounds, **how)
