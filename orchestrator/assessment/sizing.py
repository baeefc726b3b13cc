"""How large a campaign must be so that every requirement can be shown to be met, before anything is measured."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.analysis.quality import AskedMetric
from orchestrator.assessment.kinds import Need, Prospect, say
from orchestrator.assessment.requirements import Requirement, Requirements
from orchestrator.assessment.subjects import WHERE, NotShown, alike_but_for_rate, is_for, texts_of, unmatched
from orchestrator.configuration.config import MeasurementConfig, Trial
from orchestrator.contracts import InputError
from orchestrator.metrics import Answers
from orchestrator.report.table import Table
from orchestrator.report.text import seconds
from orchestrator.stats.constants import MARGIN, POWER_PLANNED
from orchestrator.stats.times import Clock
from orchestrator.storage.records import PlannedTrial
from orchestrator.subject.schedule import length_of_stream

# By kind of task, a prediction and a reference: what a metric must be able to judge.
EXAMPLES: Mapping[str, tuple[Any, Any]] = {
    "image_classification": ([1], 1),
    "object_detection": ({"boxes": [[0, 0, 2, 2]], "labels": [1], "scores": [0.5]}, {"boxes": [[0, 0, 2, 2]], "labels": [1]}),
}
NUMBERS = ("trials", "rounds needed", "rounds planned", "processes needed", "processes planned", "days")
IF_NEVER_BROKEN = "if never broken"


@dataclass(frozen=True)
class Outlook:
    """What a plan knows.

    samples, metrics, slices
        by match key: how many samples there are, and the names of their task's metrics and slices, where it could be read.
    one_stretch
        ids of the trials that are measured in one stretch.
    """

    planned: Sequence[PlannedTrial]
    samples: Mapping[str, int]
    metrics: Mapping[str, Sequence[str]] = field(default_factory=dict)
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    one_stretch: Set[str] = frozenset()


@dataclass(frozen=True)
class Size:
    """One requirement and the trials that are planned for it, with the least of what they have: rounds at least and at most, processes.

    answers
        those of one round of each of its systems together.
    enough, enough_if_never_broken
        whether this plan can show it, on as many days as it needs, and whether it can of systems that never come near to breaking it.
    """

    requirement: Requirement
    trials: int
    need: Need
    rounds: int = 0
    processes: int = 0
    max_rounds: int = 0
    answers: int = 0
    enough: bool = False
    enough_if_never_broken: bool = False


def sizes_of(requirements: Requirements, outlook: Outlook) -> list[Size]:
    """Return for each requirement what it needs and what is planned. Raises InputError.

    Processes and days that one of them takes are those of the campaign, and each process must show the others, too.
    """
    first = [_size(one, requirements.error_of(one), outlook) for one in requirements.requirements]
    added, days = _processes_to_add(first), _days_of(first)
    return [_size(one, requirements.error_of(one), outlook, added, days) for one in requirements.requirements]


def _days_of(sizes: Sequence[Size]) -> int:
    return max((one.need.days for one in sizes if not one.need.cannot), default=1)


def _processes_to_add(sizes: Sequence[Size]) -> int:
    """Return how many processes of each trial a plan must have on a day; 0 where it has enough of them."""
    return max((one.need.processes_a_day for one in sizes if not one.need.cannot and one.processes < one.need.processes_a_day), default=0)


def _size(requirement: Requirement, error: float, outlook: Outlook, processes: int = 1, days: int = 1) -> Size:
    """Return the size of a requirement in a campaign of so many processes of each system on a day, at least, and of so many days."""
    texts = [texts_of(one.trial) for one in outlook.planned]
    trials = [one for one, of in zip(outlook.planned, texts, strict=True) if is_for(requirement.trials, of)]
    if missing := unmatched(requirement.trials, texts):
        return Size(requirement, len(trials), Need(cannot="; ".join(missing)))
    prospects = list(_prospects(requirement, error, trials, outlook, processes, days))
    repeats = Counter(one.match_key for one in trials)
    rounds = min(one.trial.measurement.min_rounds for one in prospects)
    needs = [_need(requirement, [replace(one, margin=margin) for one in prospects], outlook) for margin in (MARGIN, 0.0)]
    enough = [not need.cannot and rounds >= need.rounds and min(repeats.values()) >= need.processes_a_day for need in needs]
    return Size(
        requirement,
        len(trials),
        needs[0],
        rounds=rounds,
        processes=min(repeats.values()),
        max_rounds=min(one.trial.measurement.max_rounds for one in prospects),
        answers=sum(outlook.samples.get(key, 0) for key in repeats),
        enough=enough[0],
        enough_if_never_broken=enough[1],
    )


def _prospects(
    requirement: Requirement, error: float, trials: Sequence[PlannedTrial], outlook: Outlook, processes: int, days: int
) -> Iterator[Prospect]:
    """Yield the trials that must show a requirement: all of them, but of rates of one system those that decide."""
    least = requirement.evidence

    def held(of: Sequence[PlannedTrial]) -> int:  # processes that must show it, each alone: of every system those of all days
        repeats = Counter(one.match_key for one in of).values()
        return sum(max(max(number, processes) * max(days, least.sessions), least.processes) for number in repeats)

    systems: list[Sequence[PlannedTrial]] = [trials]
    all_held = held(trials)
    many = len({one.match_key for one in trials})
    if requirement.asked.at_any_rate:  # all rates share the error
        systems = [[trials[place] for place in places] for places in alike_but_for_rate([one.trial for one in trials])]
        error /= max(map(held, systems))
        all_held = many = len(systems)
    for one in (one for alike in systems for one in requirement.asked.deciding(alike)):
        samples = outlook.samples.get(one.match_key, 0)
        yield Prospect(one, trials, samples, rounds_per_visit(one.trial, samples), error, all_held, many)


def rounds_per_visit(trial: Trial, samples: int) -> int | None:
    """Return how many rounds a visit has, under load a stream; None where all are one stretch."""
    if trial.load.is_open:
        return length_of_stream(trial.load, trial.load.rate_per_s, max(samples, 1)).rounds if trial.load.rate_per_s is not None else 1
    return trial.measurement.rounds_per_visit


def _need(requirement: Requirement, prospects: Sequence[Prospect], outlook: Outlook) -> Need:
    try:
        return max((_need_of(requirement, one, outlook) for one in prospects), key=lambda need: need.rounds)
    except NotShown as why:
        return Need(cannot=str(why))


def _need_of(requirement: Requirement, one: Prospect, outlook: Outlook) -> Need:
    """Return what a requirement needs of one planned trial. Raises NotShown for what no trial like it can show."""
    asked, least, planned = requirement.asked, requirement.evidence, one.planned
    if planned.state == "infeasible":
        raise NotShown(f"{planned.trial_id} cannot run here: {planned.reason}")
    remarks = []
    threshold = str(getattr(asked, "threshold", ""))
    if threshold.startswith("p"):
        own = {other.match_key for other in one.trials}
        if all(other.match_key in own for other in outlook.planned if other.trial.task == one.trial.task):
            raise NotShown(f"{threshold} is that of the reference, and one of its own systems will be that: ask for a time, such as 50 ms")
        remarks.append("only if the reference, which analysis.reference names, is none of its systems")
    _check_metric(getattr(asked, "metric", None), one.trial, outlook.metrics.get(planned.match_key, ()))
    group = getattr(asked, "slice", "all")
    name = group.partition("=")[0]
    slices = outlook.slices.get(planned.match_key, (name,))
    if name not in slices and name != "all":
        raise NotShown(f"the samples of task {one.trial.task.name} have no slice {name}: they have {', '.join(sorted(slices)) or 'none'}")
    if name != "all":
        remarks.append(f"whether a sample is in the slice {group}, and how many are, is not known before: sized as for all")
    need = asked.need(one)
    one_stretch = one.per_visit is None or (planned.trial_id in outlook.one_stretch and not one.trial.load.is_open)
    if one_stretch and (need.rounds or least.visits > 1):
        raise NotShown(f"{planned.trial_id} is measured in one stretch: measurement.schedule=visits measurement.pause=1")
    clock = getattr(asked, "clock", None)
    exists = one.trial.load.is_open if clock == Clock.RESPONSE else one.trial.server.is_asked
    if clock in WHERE and not exists:
        raise NotShown(f"the clock {clock} exists {WHERE[clock]}")
    fixed = one.trial.measurement.certify_rounds if need.fixed else 0
    return replace(
        need,
        rounds=max(need.rounds, fixed, least.rounds, least.visits * (one.per_visit or 1)),
        processes=max(need.processes, least.processes),
        days=least.sessions,
        remark="; ".join(filter(None, [need.remark, *remarks])),
    )


def _check_metric(name: str | None, trial: Trial, offered: Sequence[str]) -> None:
    if name is None or name in offered:
        return
    try:
        asked = AskedMetric(name)
        if trial.task.kind in EXAMPLES:
            prediction, reference = EXAMPLES[trial.task.kind]
            asked.call("score" if asked.is_mean else "judge", asked.metric, Answers([prediction], [reference]))
    except InputError as error:
        known = f": its metrics are {', '.join(offered)}" if offered else ""
        raise NotShown(f"the metric {name} cannot judge the answers of task {trial.task.name}{known} ({error})") from error


def sizes_table(sizes: Sequence[Size]) -> Table:
    """Return one row per requirement: what it needs, what is planned."""
    shown = {one.requirement.id: "yes" if one.enough else IF_NEVER_BROKEN if one.enough_if_never_broken else "no" for one in sizes}
    return Table(
        title="Requirements",
        columns=["requirement", *NUMBERS, "can be shown"],
        rows=[
            [
                one.requirement.id,
                str(one.trials),
                "-" if one.need.cannot else str(one.need.rounds),
                str(one.rounds),
                "-" if one.need.cannot else str(one.need.processes),
                str(one.processes),
                str(one.need.days),
                shown[one.requirement.id],
            ]
            for one in sizes
        ],
        note=say("sized", margin=MARGIN, power=POWER_PLANNED, unbroken=IF_NEVER_BROKEN in shown.values()),
        right=frozenset(NUMBERS),
    )


def advice(sizes: Sequence[Size]) -> Iterator[str]:
    """Yield what a plan lacks, in sentences: what cannot be shown and why, and the words that would size the campaign."""
    short = [one for one in sizes if not one.need.cannot and not one.enough]
    rounds = max((max(one.need.rounds, one.rounds) for one in short), default=0)
    processes = max(_processes_to_add(short), *(one.processes for one in sizes))
    answers = max(one.answers for one in sizes) * rounds * processes
    words = " ".join(_words(short))
    told = say("advice", sizes=sizes, short=short, words=words, answers=answers, took=seconds(answers * 1e-3), days=_days_of(sizes))
    yield from filter(None, told.split("\n"))


def _words(short: Sequence[Size]) -> Iterator[str]:
    few = [one for one in short if one.rounds < one.need.rounds]
    if rounds := max((one.need.rounds for one in few), default=0):
        yield f"measurement.min_rounds={rounds}"
        if rounds > min(one.max_rounds for one in few):
            yield f"measurement.max_rounds={rounds}"
    fixed = max((one.need.rounds for one in few if one.need.fixed), default=0)
    if fixed > MeasurementConfig().certify_rounds:
        yield f"measurement.certify_rounds={fixed}"
    if processes := _processes_to_add(short):
        yield f"measurement.repeat={processes}"
