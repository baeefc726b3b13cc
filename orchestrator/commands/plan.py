"""``plan``: what would run, where, why not, and how long at least. Starts nothing."""

from pathlib import Path
from typing import Any

import click

from orchestrator.commands.line import PLACE, composing, flag, verb


@verb("plan +sweep=vision", "plan model=efficientnet_lite0 task=imagenet_samples system=cpu_all")
@composing
@flag("--full", help="print every column, even where all trials agree")
@click.option("--requirements", type=PLACE, metavar="FILE", help="say how large a campaign must be to show each of these")
def command(cfg: str | None, info: bool, skip_infeasible: bool, full: bool, requirements: Path | None, **words: Any) -> int:
    """Show what would run, where, and why not; starts nothing.

    Show what `run` would do with the same words: every trial, its machine, how long it may take, and what it lacks.
    With --requirements, also whether a campaign of this size could show that they are met; exit code 3 if not.
    """
    from orchestrator.commands.planning import compose_campaign, open_site, plan_on, show

    if cfg or info:
        return show(cfg, **words)
    from orchestrator.assessment.requirements import read_requirements
    from orchestrator.commands.planned import show_plan

    asked = None if requirements is None else read_requirements(requirements)
    composed = compose_campaign(**words)
    with open_site(composed.campaign, composed.trials, only_look=True) as site:
        plan = plan_on(site, composed)
    return show_plan(plan, composed, asked, full)
