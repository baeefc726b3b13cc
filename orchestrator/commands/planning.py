"""From a command line to a plan: what ``plan`` shows and ``run`` runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator.campaign import Candidate, Plan, make_plan_of, pair_up
from orchestrator.commands.arguments import Arguments
from orchestrator.commands.estimates import earlier_durations, known_campaigns
from orchestrator.composition import Composition, compose_trials
from orchestrator.config import CampaignConfig, Trial, parse_campaign, parse_trial
from orchestrator.contracts import InputError
from orchestrator.measurement.inspection import Inspector
from orchestrator.measurement.machine import read_machine
from orchestrator.measurement.targets import add_code_folders
from orchestrator.stats.stopping import make_rule

SAY_FROM = 50
"""Composing this many trials takes seconds, so it says how far it is."""


def plan_campaign(arguments: Arguments, say: Callable[[str], None]) -> tuple[CampaignConfig, Plan, Composition]:
    """Compose the trials, look at models, data and this machine, and say what can run. Starts nothing.

    Raises
    ------
    InputError
        one line for whatever is wrong.
    """

    def composed(done: int, of: int) -> None:
        if of >= SAY_FROM and done % SAY_FROM == 0:
            say(f"composed {done} of {of} trials")

    composition = compose_trials(arguments.overrides, arguments.multirun, arguments.config_dirs, composed)
    campaign = parse_campaign(composition.documents[0])
    trials = [parse_trial(document) for document in composition.documents]
    _check_rules(trials, campaign.analysis.primary)
    if campaign.cluster.name == "address":
        raise InputError("cluster=address: this version plans and measures on this machine only; use cluster=local")
    add_code_folders(campaign.code)
    fitting, left_out = pair_up(trials)
    inspector, machine = Inspector(), read_machine()
    candidates = [Candidate(trial, inspector.open(trial).inspection, machine) for trial in fitting]
    plan = make_plan_of(candidates, left_out)
    earlier = known_campaigns(Path("results"), campaign.results_dir)
    return campaign, plan.with_estimates(earlier_durations(plan.candidates, earlier)), composition


def _check_rules(trials: list[Trial], primary: str | None) -> None:
    for measurement in {trial.measurement for trial in trials}:
        make_rule(measurement.rule, min_rounds=measurement.min_rounds, max_rounds=measurement.max_rounds, primary=primary)
