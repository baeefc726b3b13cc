"""From a command line to a plan: what ``plan`` shows and ``run`` runs."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from orchestrator.commands.progress import Progress
from orchestrator.configuration.composer import PROFILES, Composer, shipped_folder
from orchestrator.configuration.composition import Composition, compose_trials, to_yaml
from orchestrator.configuration.config import BLOCKS, CampaignConfig, Trial, parse_campaign, parse_trial
from orchestrator.configuration.fields import FEWEST_ARRIVALS_PER_S
from orchestrator.contracts import InputError
from orchestrator.machine.host import Machine, check_surroundings
from orchestrator.machine.turn import check_turn
from orchestrator.metrics import METRICS
from orchestrator.report.text import printable, seconds
from orchestrator.running.executor import LocalSite, Site
from orchestrator.running.feasibility import why_stacks_differ
from orchestrator.running.identity import slug
from orchestrator.running.plan import NOWHERE, Candidate, Plan, check_analysis, make_plan_of, pair_up, why_no_pair
from orchestrator.running.signals import deferred, heed_signals
from orchestrator.stats.stopping import RULES, make_rule
from orchestrator.stats.thresholds import primary_threshold
from orchestrator.storage.load import read_json, read_table
from orchestrator.storage.records import TrialRecord
from orchestrator.subject.digests import cache_dir
from orchestrator.subject.inspection import UNKNOWN
from orchestrator.subject.schedule import length_of_stream, refuse_cut_groups
from orchestrator.subject.targets import add_code_folders, check_packages


def earlier_trials(match_keys: Iterable[str], campaigns: Sequence[Path]) -> dict[str, tuple[float, float]]:
    """Return how long the latest finished trial of each match key took, in s, in all and per round.

    From start to end or, in visits, to load and in its rounds. Keys never measured before are missing, and files that cannot be read are
    passed over. ``campaigns`` are the results directories to look into.
    """
    found = {}
    for key in set(match_keys):
        ends = [end for folder in campaigns for path in folder.glob(f"trials/{key}-r*/trial.json") if (end := _end_and_seconds(path))]
        if ends:
            _, took_s, rounds = max(ends)
            found[key] = took_s, took_s / max(rounds, 1)
    return found


def _end_and_seconds(path: Path) -> tuple[datetime, float, int] | None:
    """Return when a trial ended, how long it took, in s, and its rounds; None unless it is done and can be read."""
    try:
        record = read_json(path, TrialRecord)
        if record.state != "done" or record.started_at is None or record.ended_at is None:
            return None
        if record.trial.measurement.schedule == "sequential":
            return record.ended_at, (record.ended_at - record.started_at).total_seconds(), record.rounds
        cold = record.cold_start
        rounds_ns = [sum(read_table(part).column("duration_ns").to_pylist()) for part in path.parent.glob("rounds/part-*.parquet")]
        return record.ended_at, (cold["load_ns"] + sum(cold["warmup_rounds_ns"]) + sum(rounds_ns)) / 1e9, record.rounds
    except (InputError, OSError, ValueError, LookupError, TypeError):
        return None


# Composing this many trials takes seconds, so progress is reported
SAY_FROM = 50


@dataclass(frozen=True)
class Composed:
    """What a command line asks for, before any machine is looked at. ``noted`` are the trials with the sweep file's notes."""

    campaign: CampaignConfig
    noted: tuple[tuple[Trial, str], ...]
    composition: Composition

    @property
    def trials(self) -> list[Trial]:
        return [trial for trial, _ in self.noted]


def compose_campaign(
    overrides: Sequence[str], multirun: bool = False, config_dirs: Sequence[Path] = (), many: bool = False, quiet: bool = False
) -> Composed:
    """Compose and validate the trials that a command line describes. Raises InputError with one line for any mistake."""
    with Progress(0, None if quiet else sys.stderr) as waiting:

        def composed(done: int, of: int) -> None:
            heed_signals()
            if of >= SAY_FROM and done % SAY_FROM == 0:
                waiting.say(f"composed {done} of {of} trials")

        composition = compose_trials(overrides, multirun, config_dirs, composed, many)
    campaign = parse_campaign(composition.documents[0])
    trials = [parse_trial(document) for document in composition.documents]
    primary_threshold(campaign.analysis.primary, None)  # refuses an invalid one, which a rule may never look at
    for rule in {trial.measurement.model_dump_json(): trial.measurement for trial in trials}.values():
        make_rule(
            rule.rule, min_rounds=rule.min_rounds, max_rounds=rule.max_rounds, primary=campaign.analysis.primary, options=rule.rule_options
        )
    check_packages()
    add_code_folders(campaign.code)
    heed_signals()
    # The campaign may be resumed from another folder.
    campaign = campaign.model_copy(update={"code": tuple(str(Path(folder).expanduser().absolute()) for folder in campaign.code)})
    return Composed(campaign, tuple(zip(trials, composition.notes, strict=True)), composition)


def open_site(campaign: CampaignConfig, trials: Iterable[Trial], only_look: bool = False) -> AbstractContextManager[Site]:
    """Return the site that the campaign names: this machine, or a cluster to join.

    To ``only_look``, Ray is started where a system has its own Python alone. Raises InputError if this machine cannot measure.
    """
    heed_signals()
    if campaign.cluster.name != "address":
        with deferred():  # Python tries the folder of temporary files with a file, and is to remove it
            check_surroundings(with_ray=campaign.cluster.name != "inline")
        check_turn()
    if campaign.cluster.name == "inline":
        from orchestrator.running.inline import InlineSite, open_inline

        return nullcontext(InlineSite(lambda: open_inline(cache_dir())))
    from orchestrator.distributed.cluster import open_joined, open_local, open_while_looking

    if campaign.cluster.name == "address":
        return open_joined(campaign, cache_dir())
    if any(trial.system.python for trial in trials):
        return open_local(campaign, cache_dir())
    return nullcontext(LocalSite()) if only_look else open_while_looking(campaign, cache_dir())


def plan_on(site: Site, composed: Composed, rates_are_known: bool = True) -> Plan:
    """Look at models, data and machines, and say what can run where. Starts no trial.

    Unless ``rates_are_known``, those of the trials are to be found out, and groups of samples must fit the shortest stream of any rate.

    Raises
    ------
    InputError
        one line for any mistake.
    """
    trials = composed.trials
    _, left_out = pair_up(trials)
    paired = [(trial, note) for trial, note in composed.noted if why_no_pair(trial) is None]
    candidates = look_at(site, paired)
    if len(trials) == 1 and candidates[0].missing:
        raise InputError(candidates[0].missing[0])
    _check_groups(candidates, rates_are_known)
    left = [(trial, note, why_no_pair(trial)) for trial, note in composed.noted if note]
    unpaired = tuple(f"{slug(trial)}: {reason.reason}; {note}" for trial, note, reason in left if reason is not None)
    plan = replace(make_plan_of(candidates, left_out), unpaired=unpaired)
    check_analysis(plan, composed.campaign.analysis)
    machines = [candidate.machine for candidate in plan.candidates.values() if candidate.machine is not NOWHERE]
    differing = why_stacks_differ(machines) if machines and composed.campaign.require_same_stack else None
    if differing:
        raise InputError(
            f"require_same_stack=true: {differing}; install the same versions or set require_same_stack=false",
            "incomparable",
            "require_same_stack",
        )
    chosen = composed.campaign.results_dir
    beside = Path(chosen).expanduser().parent.glob("*") if chosen else ()
    earlier = [folder for folder in [*Path("results").glob("*/*"), *beside] if (folder / "campaign.json").is_file()]
    known = earlier_trials(plan.candidates, earlier)
    took_s, rounds_s = ({key: one[place] for key, one in known.items()} for place in range(2))
    return replace(plan, estimates_s=took_s, rounds_s=rounds_s)


def _check_groups(candidates: Sequence[Candidate], rates_are_known: bool) -> None:
    """Raise InputError for a load whose groups are larger than its streams. A trace has whole groups however long it is."""
    for load, samples in {(one.trial.load, one.inspection.samples) for one in candidates}:
        if load.rate_per_s is not None and samples:
            rate_per_s = load.rate_per_s if rates_are_known else FEWEST_ARRIVALS_PER_S
            arrivals = length_of_stream(load, rate_per_s, samples).arrivals(samples)
            told = {} if rates_are_known else {"stream": "a stream of the slowest rates", "remedy": "lower it, or raise task.limit"}
            refuse_cut_groups(load.group, arrivals, **told)


def look_at(site: Site, paired: Sequence[tuple[Trial, str]]) -> list[Candidate]:
    """Look at every trial on its machine; one look per machine serves all its trials."""
    candidates: dict[int, Candidate] = {}
    on_machine: dict[int, tuple[Machine, list[int]]] = {}
    for place, (trial, note) in enumerate(paired):
        try:
            machine = site.machine(trial.system)
        except InputError as error:
            candidates[place] = Candidate(trial, UNKNOWN, NOWHERE, (str(error),), note)
        else:
            on_machine.setdefault(id(machine), (machine, []))[1].append(place)
    for machine, places in on_machine.values():
        heed_signals()
        for place, look in zip(places, site.look(machine, [paired[one][0] for one in places]), strict=True):
            candidates[place] = Candidate(paired[place][0], look.inspection, machine, look.missing, paired[place][1], look.fetches)
    return [candidates[place] for place in range(len(paired))]


def show(
    cfg: str | None, overrides: Sequence[str], multirun: bool, config_dirs: Sequence[Path], many: bool, quiet: bool, **others: object
) -> int:
    """Print every trial as YAML where ``cfg`` asks for it, else the names of all there is to choose. Returns the exit code."""
    if cfg:
        composition = compose_trials(overrides, multirun, config_dirs, many=many)
        print("---\n".join(to_yaml(document) for document in composition.documents), end="")  # noqa: T201
        return 0
    lines = [" ".join(map(str, ["configuration folders:", shipped_folder(), *config_dirs]))]
    with Composer(config_dirs) as composer:
        lines += [f"{group}: {' '.join(composer.choices(group)) or '(none)'}" for group in (*BLOCKS, "sweep")]
        lines.append(f"{PROFILES}: {' '.join(composer.profiles())}")
    lines += [f"metric: {' '.join(sorted(METRICS))}", f"rule: {' '.join(sorted(RULES))}"]
    for line in lines:
        print(printable(line))  # noqa: T201
    return 0


def whole_time(plan: Plan, minutes: float | None) -> str:
    """Return in words how long the trials take that can run, as far as it is known."""
    runnable = [planned.match_key for planned in plan.trials if planned.state == "planned"]
    known = [plan.estimates_s[key] for key in runnable if key in plan.estimates_s]
    bound = "" if minutes is None else f"; at most about {minutes:g} min of measuring (minutes={minutes:g})"
    if not known:
        return f"unknown until each trial has run a round: no stored campaign measured any of them{bound}"
    rest = len(runnable) - len(known)
    return f"about {seconds(sum(known))} as measured before{f', {rest} of unknown time' if rest else ''}{bound}"
