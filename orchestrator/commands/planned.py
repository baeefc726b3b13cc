"""What ``plan`` shows: what would run, where, why not, how long at least, and what each kind of claim takes."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.analysis.claims import GUESSED_S, reach_words
from orchestrator.assessment.requirements import Requirements
from orchestrator.assessment.sizing import Outlook, Size, advice, rounds_per_visit, sizes_of, sizes_table
from orchestrator.commands.planning import Composed, whole_time
from orchestrator.commands.progress import pace_of
from orchestrator.configuration.config import MeasurementConfig, Trial
from orchestrator.machine.cores import format_cores
from orchestrator.machine.host import cores_offered, server_cores_offered
from orchestrator.report.record_tables import claims_table
from orchestrator.report.table import Table
from orchestrator.report.terminal import Terminal
from orchestrator.report.text import seconds, trials_counted
from orchestrator.report.trial_names import said_once, with_names
from orchestrator.running.parts import cycles_of
from orchestrator.running.plan import Plan, lacks, slices_of
from orchestrator.storage.records import PlannedTrial

# Exit code where a campaign of this size cannot show that a requirement is met
CANNOT_BE_SHOWN = 3


def show_plan(plan: Plan, composed: Composed, requirements: Requirements | None, full: bool) -> int:
    """Print a plan, and whether it can show that requirements are met. Returns the exit code."""
    sizes = [] if requirements is None else _sizes(requirements, plan)
    terminal, table = Terminal(), plan_table(plan)
    terminal.table(table if full else with_names(table, plan.trials, terminal.width))
    for line in [
        *remarks(plan),
        *(f"left out: {' x '.join(left.pair)}: {left.reason}" for left in plan.left_out),
        *(f"left out: {line}" for line in plan.unpaired),
        *server_lines(plan),
        *plan.parts,
        *reach_lines(plan),
        *([f"excluded by the sweep: {composed.composition.excluded} combinations"] if composed.composition.excluded else []),
        *([f"composed more than once: {plan.duplicates} trials"] if plan.duplicates else []),
    ]:
        terminal.prose(line)
    if sizes:
        terminal.line()
        terminal.table(sizes_table(sizes))
        for line in advice(sizes):
            terminal.prose(line)
    terminal.line()
    terminal.table(claims_of(plan))
    terminal.prose(
        f"{trials_counted(len(plan.trials))}, {len(plan.infeasible)} infeasible; time: {whole_time(plan, composed.campaign.minutes)}"
    )
    return 0 if all(one.enough or one.enough_if_never_broken for one in sizes) else CANNOT_BE_SHOWN


def claims_of(plan: Plan) -> Table:
    """Return what each kind of claim takes of the trials that can run, one after another."""
    runnable = [planned for planned in plan.trials if planned.state == "planned"]
    samples = {key: candidate.inspection.samples or 0 for key, candidate in plan.candidates.items()}
    rates = {planned.match_key: planned.trial.load.rate_per_s or 1 / GUESSED_S for planned in runnable}
    unknown = len(runnable) - sum(planned.match_key in plan.rounds_s for planned in runnable)
    note = f"time: of all trials together; guessed at {GUESSED_S * 1e3:g} ms an answer of {trials_counted(unknown)}." if unknown else ""
    took = {key: plan.rounds_s.get(key, samples[key] / rate) for key, rate in rates.items()}
    sizes = [
        (took[one.match_key], rounds_per_visit(one.trial, samples[one.match_key]) or 1, one.trial.measurement.pause) for one in runnable
    ]
    return claims_table(sizes, note)


def remarks(plan: Plan) -> Iterator[str]:
    """Yield why trials cannot run, what is fetched and what the sweep file says, each once with the trials that it is true of."""
    candidates = {planned.trial_id: plan.candidates[planned.match_key] for planned in plan.trials}
    kinds: dict[str, dict[str, Sequence[str]]] = {
        "infeasible": {trial: lacks(candidate) for trial, candidate in candidates.items()},
        "fetched on first use": {trial: [one.fetches] for trial, one in candidates.items() if one.fetches},
        "note": {trial: [one.note] for trial, one in candidates.items() if one.note},
    }
    for kind, found in kinds.items():
        for whom, remark in said_once(plan.trials, found):
            yield f"{kind}: {whom}: {remark}"


def _sizes(requirements: Requirements, plan: Plan) -> list[Size]:
    samples = {key: candidate.inspection.samples for key, candidate in plan.candidates.items()}
    read = {key: candidate for key, candidate in plan.candidates.items() if samples[key]}
    metrics = {key: candidate.inspection.metrics for key, candidate in read.items()}
    slices = {key: tuple(slices_of(candidate)) for key, candidate in read.items()}
    stretches = frozenset(trial_id for trial_id, cycle in _cycles(plan).items() if not cycle)
    return sizes_of(requirements, Outlook(plan.trials, samples, metrics, slices, stretches))


def _cycles(plan: Plan) -> dict[str, float]:

    return cycles_of(plan.trials, {key: candidate.machine for key, candidate in plan.candidates.items()})


def reach_lines(plan: Plan) -> Iterator[str]:
    """Yield how long slow spells may be, for each length of a cycle, and how many trials say nothing about later rounds."""
    cycles = _cycles(plan)
    closed = [planned for planned in plan.trials if planned.state == "planned" and not planned.trial.load.is_open]
    lengths = Counter(cycles.get(one.trial_id, 0) * (one.trial.measurement.rounds_per_visit or 0) for one in closed)
    for rounds, trials in lengths.items():
        words = reach_words(rounds, "rounds") if rounds else ONE_STRETCH
        yield words if len(lengths) == 1 else f"{trials_counted(trials)}: {words}"


ONE_STRETCH = "One stretch says nothing about later rounds: measure in visits (measurement.schedule=visits, measurement.pause=1)."


def server_lines(plan: Plan) -> Iterator[str]:
    """Yield where each server that the campaign starts will run, and on which cores beside its client's."""
    seen: dict[tuple[str, str], list[str]] = {}
    for planned in plan.trials:
        trial, machine = planned.trial, plan.candidates[planned.match_key].machine
        if not trial.server.is_started or planned.state != "planned":
            continue
        client = cores_offered(trial.system, machine.cores, machine.numa, machine.host)
        server = server_cores_offered(trial.server, trial.system, machine.cores, machine.numa, machine.host)
        where = f"started on {machine.host}, cores {format_cores(server)}; its client has {format_cores(client)}"
        seen.setdefault((trial.server.name, where), []).append(planned.trial_id)
    for (name, where), trials in seen.items():
        yield f"server {name} of {trials_counted(len(trials))}: {where}"


# Columns of the plan that say what an inference is, and what each is read from
WORK: Mapping[str, Callable[[Trial], object]] = {
    "split": lambda trial: trial.task.options.get("split"),
    "shots": lambda trial: trial.task.options.get("shots"),
    "precision": lambda trial: trial.runtime.dtype,
}


def plan_table(plan: Plan) -> Table:
    """Return one row per trial."""
    return Table(
        title="Plan",
        columns=["trial", "host", "device", "cores", "threads", "samples", *WORK, "rounds", "time", "state"],
        rows=[_row(plan, planned) for planned in plan.trials],
        note="time: what an earlier trial of the same kind took, else the bound that max_seconds sets after min_rounds.",
        right=frozenset(["threads", "samples", "shots"]),
    )


def _row(plan: Plan, planned: PlannedTrial) -> list[str]:

    candidate = plan.candidates[planned.match_key]
    measurement, system = planned.trial.measurement, planned.trial.system
    machine = candidate.machine
    cores = () if planned.state == "infeasible" else cores_offered(system, machine.cores, machine.numa, machine.host)
    return [
        planned.trial_id,
        candidate.machine.host,
        system.device,
        ",".join(map(str, cores)),
        str(system.threads or len(cores) or ""),
        str(candidate.inspection.samples or "-"),
        *("" if (value := read(planned.trial)) is None else str(value) for read in WORK.values()),
        _rounds(measurement),
        _time(plan, planned),
        planned.state,
    ]


def _rounds(measurement: MeasurementConfig) -> str:
    """Return how many rounds a trial takes, and the rule that ends it: one number where no rule decides."""
    pace = pace_of(measurement)
    if pace.least == pace.most:
        return f"{pace.most}"
    return f"{pace.least} to {pace.most}{' as time allows' if measurement.rule == 'rounds' else f', rule {measurement.rule}'}"


def _time(plan: Plan, planned: PlannedTrial) -> str:
    known = plan.estimates_s.get(planned.match_key)
    if known is not None:
        return f"about {seconds(known)}"
    limit = planned.trial.measurement.max_seconds
    return "unknown" if limit is None else f"min_rounds + {seconds(limit)} at most"
