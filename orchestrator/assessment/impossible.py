"""Requirements that no campaign of a plan can show, whatever its size, by what is known before anything is measured."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from orchestrator.analysis.quality import AskedMetric
from orchestrator.assessment.case import NO_DEVICE
from orchestrator.assessment.requirements import Requirement
from orchestrator.assessment.rounds import too_little_room
from orchestrator.contracts import InputError
from orchestrator.metrics import Answers
from orchestrator.storage.records import PlannedTrial
from orchestrator.subject.schedule import length_of_stream

EXAMPLES: Mapping[str, tuple[Any, Any]] = {
    "image_classification": ([1], 1),
    "object_detection": ({"boxes": [[0, 0, 2, 2]], "labels": [1], "scores": [0.5]}, {"boxes": [[0, 0, 2, 2]], "labels": [1]}),
}
"""By kind of task, a prediction and a reference: what a metric must be able to judge."""


@dataclass(frozen=True)
class Offer:
    """What is known of a task: names of its metrics and of all slices of its samples; empty where it could not be read."""

    metrics: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outlook:
    """What a plan knows.

    samples, offers
        by match key: how many samples there are, and what their task offers.
    reference
        the trial whose percentiles are thresholds, where the analysis names one.
    one_stretch
        ids of the trials that are measured in one stretch.
    """

    planned: Sequence[PlannedTrial]
    samples: Mapping[str, int]
    offers: Mapping[str, Offer] = field(default_factory=dict)
    reference: str | None = None
    one_stretch: Set[str] = frozenset()


def why_never(requirement: Requirement, trials: Sequence[PlannedTrial], outlook: Outlook) -> str:
    """Return why no campaign of these trials can show a requirement that is for all of them; empty where one may."""
    return next((why for one in trials for rule in RULES if (why := rule(requirement, one, trials, outlook))), "")


def remark_of(requirement: Requirement, trials: Sequence[PlannedTrial], outlook: Outlook) -> str:
    """Return what a plan takes for granted of what is not known before it is measured; empty where nothing."""
    group = getattr(requirement.asked, "slice", "all")
    remarks = (
        [] if group == "all" else [f"whether a sample is in the slice {group}, and how many are, is not known before: sized as for all"]
    )
    if _by_percentile(requirement) and outlook.reference is None:
        remarks.append("only if the reference, which is not known before, is none of its systems (analysis.reference names one)")
    return "; ".join(remarks)


def _room(requirement: Requirement, one: PlannedTrial, trials: Sequence[PlannedTrial], outlook: Outlook) -> str:
    samples, trial = outlook.samples.get(one.match_key, 0), one.trial
    if requirement.late_answers is None or not samples:
        return ""
    answers = -(-samples // trial.fixed_batch)
    rounds = trial.measurement.rounds_per_visit
    if trial.load.is_open:
        rounds = None if trial.load.rate_per_s is None else length_of_stream(trial.load, trial.load.rate_per_s, samples).rounds
    return too_little_room(requirement.late_answers, answers, None if rounds is None else rounds * answers)


def _reference(requirement: Requirement, one: PlannedTrial, trials: Sequence[PlannedTrial], outlook: Outlook) -> str:
    """Of a task one planned trial is the reference, and to its own system its percentile says nothing."""
    if not _by_percentile(requirement):
        return ""
    own = {other.match_key for other in trials}
    of_task = {other.match_key for other in outlook.planned if other.trial.task == one.trial.task}
    named = [other for other in outlook.planned if outlook.reference in (other.trial_id, other.match_key)]
    if not (own & {other.match_key for other in named} if named else of_task <= own):
        return ""
    which = f"{outlook.reference} of its own systems is" if named else "one of its own systems will be"
    text = getattr(requirement.asked, "threshold", "")
    return f"{text} is that of the reference, and {which} the reference: ask for a time, such as 50 ms"


def _by_percentile(requirement: Requirement) -> bool:
    return str(getattr(requirement.asked, "threshold", "")).startswith("p")


def _metric(requirement: Requirement, one: PlannedTrial, trials: Sequence[PlannedTrial], outlook: Outlook) -> str:
    name, metrics = getattr(requirement.asked, "metric", None), outlook.offers.get(one.match_key, Offer()).metrics
    if name is None or name in metrics:
        return ""
    try:
        asked = AskedMetric(name)
        if one.trial.task.kind in EXAMPLES:
            prediction, reference = EXAMPLES[one.trial.task.kind]
            answers = Answers([prediction], [reference])
            asked.call("score" if asked.is_mean else "judge", asked.metric, answers)
    except InputError as error:
        known = f": its metrics are {', '.join(metrics)}" if metrics else ""
        return f"the metric {name} cannot judge the answers of task {one.trial.task.name}{known} ({error})"
    return ""


def _slice(requirement: Requirement, one: PlannedTrial, trials: Sequence[PlannedTrial], outlook: Outlook) -> str:
    name, slices = getattr(requirement.asked, "slice", "all").partition("=")[0], outlook.offers.get(one.match_key, Offer()).slices
    if name == "all" or not slices or name in slices:
        return ""
    return f"the samples of task {one.trial.task.name} have no slice {name}: they have {', '.join(sorted(slices))}"


def _device(requirement: Requirement, one: PlannedTrial, trials: Sequence[PlannedTrial], outlook: Outlook) -> str:
    if requirement.memory is None or requirement.memory.of != "device" or one.trial.system.gpus:
        return ""
    return f"the system {one.trial.system.name} {NO_DEVICE}"


RULES: Sequence[Callable[[Requirement, PlannedTrial, Sequence[PlannedTrial], Outlook], str]] = (_room, _reference, _metric, _slice, _device)
