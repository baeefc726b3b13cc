"""From composed trials to a plan: which pair, their ids, which can run, in which order (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import Trial
from orchestrator.configuration.environment_values import has_expression
from orchestrator.contracts import InputError
from orchestrator.machine.host import Machine
from orchestrator.metrics import find_metric
from orchestrator.running.feasibility import why_not
from orchestrator.running.identity import match_key, trial_id
from orchestrator.running.parts import in_parts
from orchestrator.storage.records import LeftOut, PlannedTrial
from orchestrator.subject.inspection import Inspection
from orchestrator.subject.samples import slices_offered

# The machine of a trial whose system matches no machine.
NOWHERE = Machine("-", (), 0)


@dataclass(frozen=True)
class Candidate:
    """One composed trial, with what is known of its subject and of the machine it would run on.

    missing
        what its model, data or runtime lacks here, one line each.
    note
        what the sweep file says of it.
    fetches
        what its model downloads on first use, or None.
    """

    trial: Trial
    inspection: Inspection
    machine: Machine
    missing: tuple[str, ...] = ()
    note: str = ""
    fetches: str | None = None


@dataclass(frozen=True)
class Plan:
    """Every trial of a campaign in its order, repeats expanded.

    left_out
        choices that were not paired, each once, and why.
    candidates, estimates_s, rounds_s
        by match key: what a trial was planned from, and how long it and each of its rounds took before (s), where that is known.
    duplicates
        number of trials that were composed more than once.
    unpaired
        one line for each trial that was left out and has a note in the sweep file.
    parts
        one line for each machine whose memory does not hold all of its trials at once.
    """

    trials: tuple[PlannedTrial, ...]
    left_out: tuple[LeftOut, ...] = ()
    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    estimates_s: Mapping[str, float] = field(default_factory=dict)
    rounds_s: Mapping[str, float] = field(default_factory=dict)
    duplicates: int = 0
    unpaired: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def infeasible(self) -> tuple[PlannedTrial, ...]:
        return tuple(planned for planned in self.trials if planned.state == "infeasible")


def pair_up(trials: Sequence[Trial]) -> tuple[list[Trial], tuple[LeftOut, ...]]:
    """Return the trials whose model fits task and runtime, and the pairs that were left out.

    Raises
    ------
    InputError
        if nothing is left, or a model has another number of classes than its task.
    """
    reasons = [why_no_pair(trial) for trial in trials]
    fitting = [trial for trial, reason in zip(trials, reasons, strict=True) if reason is None]
    left_out = tuple(dict.fromkeys(filter(None, reasons)))
    for model, task in ((trial.model, trial.task) for trial in fitting):
        if None not in (model.classes, task.classes) and model.classes != task.classes:
            raise InputError(
                f"model {model.name} has classes={model.classes} and task {task.name} classes={task.classes}, which must be equal; "
                f"set task.classes={model.classes} if the data has so many, or choose a model of {task.classes} classes",
                "conflict",
                "task.classes",
                task.classes,
            )
    if not fitting:
        more = f" (and {len(left_out) - 1} more pairs)" if len(left_out) > 1 else ""
        raise InputError(f"nothing is left to run: {left_out[0].reason if left_out else 'the sweep is empty'}{more}", "unsupported")
    return fitting, left_out


def why_no_pair(trial: Trial) -> LeftOut | None:
    """Return why a trial's model does not fit its task or its runtime, or None if it fits both."""
    model, task, runtime = trial.model, trial.task, trial.runtime
    if model.kind != task.kind:
        return LeftOut(
            pair=(model.name, task.name), reason=f"model {model.name} is of kind {model.kind}, task {task.name} of kind {task.kind}"
        )
    if runtime.name not in model.runtimes:
        offered = f"model {model.name} offers the runtimes {', '.join(model.runtimes)}, not {runtime.name}"
        return LeftOut(pair=(model.name, runtime.name), reason=offered)
    return None


def make_plan_of(candidates: Sequence[Candidate], left_out: Sequence[LeftOut] = ()) -> Plan:
    """Return the plan of a campaign.

    Order: as composed. All first repeats come before all second ones, so that a machine's drift reaches every trial alike.

    Parameters
    ----------
    candidates
        composed trials that pair, repeats not expanded.
    left_out
        for the record.

    Raises
    ------
    InputError
        if two different trials would have one id.
    """
    by_key: dict[str, Candidate] = {}
    names: dict[str, str] = {}
    for candidate in map(_with_absolute_paths, candidates):
        key = match_key(candidate.trial, candidate.inspection)
        other = by_key.setdefault(key, candidate)
        # On some file systems A and a are one name.
        if other.trial != candidate.trial or names.setdefault(key.lower(), key) != key:
            from orchestrator.analysis.groups import flattened

            values, others = dict(flattened(other.trial.model_dump())), dict(flattened(candidate.trial.model_dump()))
            keys = sorted(name for name in values.keys() | others.keys() if values.get(name) != others.get(name))
            raise InputError(
                f"two trials are the same work ({key}) and differ only in {', '.join(keys)}; give that one value",
                "conflict",
                ", ".join(keys),
            )
    repeats = max((candidate.trial.measurement.repeat for candidate in by_key.values()), default=0)
    reasons = {key: "; ".join(lacks(candidate)) or None for key, candidate in by_key.items()}
    planned = tuple(
        PlannedTrial(
            trial_id=trial_id(key, repeat),
            match_key=key,
            trial=candidate.trial.model_copy(update={"repeat": repeat}),
            state="infeasible" if reasons[key] else "planned",
            reason=reasons[key],
        )
        for repeat in range(repeats)
        for key, candidate in by_key.items()
        if repeat < candidate.trial.measurement.repeat
    )
    places = {key: (candidate.inspection, candidate.machine) for key, candidate in by_key.items()}
    trials, parts = in_parts(planned, places)
    return Plan(trials, tuple(left_out), by_key, duplicates=len(candidates) - len(by_key), parts=parts)


def check_analysis(plan: Plan, analysis: AnalysisConfig) -> None:
    """Refuse a reference, metric or slice that would otherwise be found missing only after measuring.

    Raises
    ------
    InputError
        if ``analysis.reference`` is neither the id nor the match key of a trial that can run, ``analysis.fallback`` of no trial, no sample
        has a slice, or trials that would stand in one table are judged by different metrics.
    """
    wanted = analysis.reference
    matching = [planned for planned in plan.trials if wanted in (planned.trial_id, planned.match_key)]
    analysis.check_trials({planned.trial_id: planned.match_key for planned in plan.trials})
    if wanted is not None and all(planned.state != "planned" for planned in matching):
        raise InputError(
            f"analysis.reference={wanted}: this trial cannot run here: {matching[0].reason}; choose one that can",
            "unsupported",
            "analysis.reference",
            wanted,
        )
    seen = [candidate for candidate in plan.candidates.values() if candidate.inspection.samples]
    known = dict.fromkeys(name for candidate in seen for name in candidate.inspection.metrics)
    for metric in analysis.metrics:
        find_metric(metric)
        if any(metric not in candidate.inspection.metrics for candidate in seen):
            raise InputError(
                f"analysis.metrics={metric}: the plan's tasks are judged by {', '.join(known)}; choose one, or measure first and add "
                "another by `report DIR analysis.metrics=[NAME]`",
                "unknown",
                "analysis.metrics",
                metric,
            )
    if seen:
        analysis.check_slices(name for candidate in seen for name in slices_of(candidate))
    judged: dict[tuple[str, str, bool], tuple[str, ...]] = {}
    for planned in plan.trials if not analysis.metrics else ():
        inspection, trial = plan.candidates[planned.match_key].inspection, planned.trial
        if planned.state == "planned" and (now := inspection.metrics):
            before = judged.setdefault((trial.task.name, inspection.data_digest, trial.load.is_open), now)
            if before[0] != now[0]:
                shared = next((f", choose one that they share by analysis.metrics=[{name}]" for name in before if name in now), "")
                raise InputError(
                    f"task {trial.task.name}: its trials are judged by {before[0]} and by {now[0]}, which cannot stand in one table; give "
                    f"them one metric{shared}, or measure them in campaigns of their own",
                    "incomparable",
                    "task",
                    trial.task.name,
                )


def slices_of(candidate: Candidate) -> set[str]:
    """Return the slices that there will be of a trial."""
    inspection = candidate.inspection
    return slices_offered(inspection.slices, candidate.trial.task.kind, inspection.metrics)


def _with_absolute_paths(candidate: Candidate) -> Candidate:
    """Make paths among the options absolute: the timed process starts in another folder.

    Those from an environment variable stay, since its value is not stored.
    """
    trial, inspection = candidate.trial, candidate.inspection
    changed = {}
    for name, target, paths in (("model", trial.model, inspection.model_paths), ("task", trial.task, inspection.task_paths)):
        written = {option: path for option, path in paths.items() if not has_expression(target.options.get(option))}
        changed[name] = target.model_copy(update={"options": {**target.options, **written}})
    return replace(candidate, trial=trial.model_copy(update=changed))


def lacks(candidate: Candidate) -> tuple[str, ...]:
    """Return what keeps a trial from running on its machine, one line each."""
    found = () if candidate.machine is NOWHERE else why_not(candidate.trial, candidate.inspection, candidate.machine)
    return (*candidate.missing, *found)
