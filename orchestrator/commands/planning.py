"""From a command line to a plan: what ``plan`` shows and ``run`` runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.campaign import NOWHERE, Candidate, Plan, check_analysis, make_plan_of, pair_up, why_no_pair
from orchestrator.commands.caches import cache_dir
from orchestrator.commands.estimates import earlier_durations, known_campaigns
from orchestrator.commands.shared_options import Composing
from orchestrator.composition import Composition, compose_trials
from orchestrator.config import CampaignConfig, Trial, parse_campaign, parse_trial
from orchestrator.contracts import InputError
from orchestrator.execution.site import LocalSite, Site
from orchestrator.identity import slug
from orchestrator.measurement.inspection import UNKNOWN, Look
from orchestrator.measurement.machine import Machine
from orchestrator.measurement.surroundings import check_surroundings
from orchestrator.measurement.targets import add_code_folders, check_packages
from orchestrator.measurement.turn import check_turn
from orchestrator.stack import why_stacks_differ
from orchestrator.stats.stopping import make_rule
from orchestrator.stats.thresholds import primary_threshold
from orchestrator.storage.result_schema import CONVERGENCE

SAY_FROM = 50
"""Composing this many trials takes seconds, so it says how far it is."""


@dataclass(frozen=True)
class Composed:
    """What a command line asks for, before any machine is looked at. ``noted`` are the trials with the sweep file's notes."""

    campaign: CampaignConfig
    noted: tuple[tuple[Trial, str], ...]
    composition: Composition

    @property
    def trials(self) -> list[Trial]:
        """All composed trials."""
        return [trial for trial, _ in self.noted]


def compose_campaign(options: Composing, say: Callable[[str], None]) -> Composed:
    """Compose and validate the trials. Raises InputError with one line for whatever is wrong."""

    def composed(done: int, of: int) -> None:
        if of >= SAY_FROM and done % SAY_FROM == 0:
            say(f"composed {done} of {of} trials")

    composition = compose_trials(options.overrides, options.multirun, options.config_dirs, composed, options.many)
    campaign = parse_campaign(composition.documents[0])
    trials = [parse_trial(document) for document in composition.documents]
    primary_threshold(campaign.analysis.primary, None)  # refuses one that is none, which a rule need not look at
    _check_rules(trials, campaign.analysis.primary)
    check_packages()
    add_code_folders(campaign.code)
    # The campaign may be resumed from another folder.
    code = tuple(str(Path(folder).expanduser().absolute()) for folder in campaign.code)
    campaign = campaign.model_copy(update={"code": code})
    return Composed(campaign, tuple(zip(trials, composition.notes, strict=True)), composition)


def open_site(campaign: CampaignConfig, trials: Iterable[Trial]) -> AbstractContextManager[Site]:
    """Return the site that the campaign names: this machine, or a cluster to join.

    Ray is started for a look already where a system has a Python of its own. Raises InputError where this machine cannot measure.
    """
    if campaign.cluster.name != "address":
        check_surroundings(with_ray=campaign.cluster.name != "inline")
        check_turn()
    if campaign.cluster.name == "inline":
        from orchestrator.execution.inline import open_inline

        return LocalSite(lambda: open_inline(cache_dir()))
    from orchestrator.distributed.cluster import open_joined, open_local, open_local_executor

    if campaign.cluster.name == "address":
        return open_joined(campaign, cache_dir())
    if any(trial.system.python for trial in trials):
        return open_local(campaign, cache_dir())
    return LocalSite(lambda: open_local_executor(campaign, cache_dir()))


def plan_on(site: Site, composed: Composed) -> Plan:
    """Look at models, data and machines, and say what can run where. Starts no trial.

    Raises
    ------
    InputError
        one line for whatever is wrong.
    """
    trials = composed.trials
    _, left_out = pair_up(trials)
    paired = [(trial, note) for trial, note in composed.noted if why_no_pair(trial) is None]
    candidates = look_at(site, paired)
    if len(trials) == 1 and candidates[0].missing:
        raise InputError(candidates[0].missing[0])
    left = [(trial, note, why_no_pair(trial)) for trial, note in composed.noted if note]
    unpaired = tuple(f"{slug(trial)}: {reason.reason}; {note}" for trial, note, reason in left if reason is not None)
    plan = replace(make_plan_of(candidates, left_out), unpaired=unpaired)
    check_analysis(plan, composed.campaign.analysis)
    machines = [candidate.machine for candidate in plan.candidates.values() if candidate.machine is not NOWHERE]
    differing = why_stacks_differ(machines) if machines and composed.campaign.require_same_stack else None
    if differing:
        raise InputError(f"require_same_stack=true: {differing}; install the same versions or set require_same_stack=false")
    earlier = known_campaigns(Path("results"), composed.campaign.results_dir)
    return plan.with_estimates(earlier_durations(plan.candidates, earlier))


def look_at(site: Site, paired: Sequence[tuple[Trial, str]]) -> list[Candidate]:
    """Look at every trial on its machine; one look per machine serves all its trials."""
    machines = [_machine(site, trial) for trial, _ in paired]
    looks: dict[int, Look] = {}
    for found in {id(machine): machine for machine in machines if isinstance(machine, Machine)}.values():
        here = [index for index, machine in enumerate(machines) if machine is found]
        looks.update(zip(here, site.look(found, [paired[index][0] for index in here]), strict=True))
    candidates = []
    for index, ((trial, note), machine) in enumerate(zip(paired, machines, strict=True)):
        if isinstance(machine, Machine):
            candidates.append(Candidate(trial, looks[index].inspection, machine, looks[index].missing, note, looks[index].fetches))
        else:
            candidates.append(Candidate(trial, UNKNOWN, NOWHERE, (machine,), note))
    return candidates


def _machine(site: Site, trial: Trial) -> Machine | str:
    """Return a trial's machine, or why there is none."""
    try:
        return site.machine(trial.system)
    except InputError as error:
        return str(error)


def _check_rules(trials: list[Trial], primary: str | None) -> None:
    for measurement in {trial.measurement for trial in trials}:
        rule = make_rule(measurement.rule, min_rounds=measurement.min_rounds, max_rounds=measurement.max_rounds, primary=primary)
        if lacking := [column for column in rule.columns if column not in CONVERGENCE.names]:
            raise InputError(
                f"measurement.rule={measurement.rule}: convergence.parquet has no column {lacking[0]} for its checks; add it to "
                "CONVERGENCE in orchestrator/storage/result_schema.py"
            )
