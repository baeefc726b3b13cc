"""From a command line to a plan: what ``plan`` shows and ``run`` runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.campaign import Candidate, Plan, make_plan_of, pair_up, why_no_pair
from orchestrator.commands.arguments import Arguments
from orchestrator.commands.estimates import earlier_durations, known_campaigns
from orchestrator.composition import Composition, compose_trials
from orchestrator.config import CampaignConfig, Trial, parse_campaign, parse_trial
from orchestrator.contracts import InputError
from orchestrator.identity import slug
from orchestrator.measurement.inspection import UNKNOWN, Inspector
from orchestrator.measurement.machine import Machine, read_machine
from orchestrator.measurement.targets import add_code_folders, check_packages
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
    check_packages()
    add_code_folders(campaign.code)
    _, left_out = pair_up(trials)
    inspector, machine = Inspector(), read_machine()
    noted = [(trial, note, why_no_pair(trial)) for trial, note in zip(trials, composition.notes, strict=True)]
    alone = len(trials) == 1
    candidates = [_candidate(trial, inspector, machine, note, alone) for trial, note, left in noted if left is None]
    unpaired = tuple(f"{slug(trial)}: {left.reason}; {note}" for trial, note, left in noted if left is not None and note)
    plan = replace(make_plan_of(candidates, left_out), unpaired=unpaired)
    earlier = known_campaigns(Path("results"), campaign.results_dir)
    return campaign, plan.with_estimates(earlier_durations(plan.candidates, earlier)), composition


def _candidate(trial: Trial, inspector: Inspector, machine: Machine, note: str, alone: bool) -> Candidate:
    """Look at a trial's model and data. In a sweep, what is missing makes the trial infeasible; of a single trial it is told at once."""
    try:
        return Candidate(trial, inspector.open(trial).inspection, machine, note=note)
    except InputError:
        missing = inspector.missing(trial)
        if alone or not missing:
            raise
        return Candidate(trial, UNKNOWN, machine, missing, note)


def _check_rules(trials: list[Trial], primary: str | None) -> None:
    for measurement in {trial.measurement for trial in trials}:
        make_rule(measurement.rule, min_rounds=measurement.min_rounds, max_rounds=measurement.max_rounds, primary=primary)
