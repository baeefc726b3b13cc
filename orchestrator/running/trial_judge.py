"""What is made of a trial's answers and times: scores, flags, and what its stopping rule is given."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.analysis.quality import (
    JudgedMean,
    Judgement,
    NothingToKeep,
    answers_at_stake,
    ideal_quality,
    judge,
)
from orchestrator.configuration.config import Trial
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.round_tables import right_form
from orchestrator.metrics import Answers
from orchestrator.metrics.detection import names_other_categories
from orchestrator.stats.times import LOAD_CLOCKS, PRIMARY_CLOCK, SERVICE_CLOCKS, Clock
from orchestrator.storage.handover import Rounds
from orchestrator.storage.records import OTHER_USERS, SHARED
from orchestrator.storage.schema import STAGES
from orchestrator.subject.samples import batch_numbers, first_of_batches


@dataclass(frozen=True)
class TrialJudge:
    """The primary metric of a trial as a function of times, and the ideal of every metric that has one.

    samples
        the answers, with the score of each sample for metrics that are means.
    ideals, lates
        ideal quality and, for metrics that give it, quality if all is late.
    answers
        how many answers a round can lose; every inference, of a metric that is no mean: what each costs takes long to find.
    primary
        the primary metric of the answers.
    other_categories
        whether boxes are called by other categories than the references have.
    """

    samples: pa.Table
    ideals: dict[str, float]
    lates: dict[str, float]
    answers: float
    primary: Judgement
    other_categories: bool = False

    def gained(self, times_ns: NDArray[np.float64], threshold_ns: float) -> float:
        """Return what one round gains, [S] times in ns, at a threshold in ns."""
        return float(self.primary.curve(times_ns[np.newaxis], np.array([threshold_ns]))[0, 0])


def judge_samples(samples: pa.Table, metrics: Sequence[str], trial: Trial) -> TrialJudge:
    """Judge the answers of all samples.

    Parameters
    ----------
    samples
        ``prediction``, ``reference`` and ``slice_...`` of each sample.
    metrics
        names, the primary one first.

    Raises
    ------
    TrialFailed
        for answers of another form, and where the primary metric is undefined.
    MetricBroken
        for a user's own metric that raises or returns no quality: another process would not help.
    """
    kind, columns = trial.task.kind, {name: samples.column(name) for name in samples.column_names}
    slices = {name.removeprefix("slice_"): groups.to_pylist() for name, groups in columns.items() if name.startswith("slice_")}
    answers = Answers(columns["prediction"].to_pylist(), columns["reference"].to_pylist(), slices)
    with right_form(kind, f"answers judged by {', '.join(metrics)}"):
        judged: dict[str, Judgement] = {}
        for name in metrics:
            try:
                judged[name] = judge(name, answers)
            except NothingToKeep:  # a further metric of that kind is left out
                if name == metrics[0]:
                    raise
        ideals = {name: found for name, metric in judged.items() if not math.isnan(found := ideal_quality(metric))}
        other_categories = kind == "object_detection" and names_other_categories(answers)
        batch_of = batch_numbers(trial, samples.num_rows) if trial.fixed_batch > 1 else np.arange(samples.num_rows)
        primary = judged[metrics[0]]
        inferences = float(batch_of.max(initial=0) + 1)
        stake = answers_at_stake(primary, samples.num_rows, batch_of) if isinstance(primary, JudgedMean) else inferences
    if metrics[0] not in ideals:
        raise TrialFailed(f"metric {metrics[0]} is undefined: the task has nothing it could be right about", "answers malformed")
    for name, metric in judged.items():
        if metric.is_mean and f"score_{name}" not in columns:
            samples = samples.append_column(f"score_{name}", pa.array(metric.raw, pa.float64()))
    lates = {name: metric.late or 0.0 for name, metric in judged.items() if not metric.plain}
    return TrialJudge(samples, ideals, lates, stake, primary, other_categories)


DIFFERS = "answers beyond tolerance of eager PyTorch's"
OTHER_CATEGORIES = "boxes fit but their categories are not the references': class numbers in place of category ids?"
NEVER_RIGHT = "no answer is right even without a threshold"
# What the processes of one trial must have in common.
PLACEMENT = ("boot_id", "cores", "threads", "niceness", "scheduling_policy", "measuring_cores", "framework_threads")
# A fixed piece of work may take longer or shorter after the rounds by this share; beyond it the trial is flagged.
LARGEST_CHANGE = 0.1


def quality_flags(facts: Mapping[str, Any], ideal: float, other_categories: bool) -> tuple[str, ...]:
    """Return the flags of a model as it was loaded: one that differs from eager PyTorch, is never right, or has classes of its own."""
    difference, tolerance = facts.get("largest_difference"), facts.get("tolerance")
    differs = difference is not None and tolerance is not None and difference > tolerance
    found = {DIFFERS: differs, NEVER_RIGHT: ideal == 0, OTHER_CATEGORIES: other_categories}
    return tuple(flag for flag, is_so in found.items() if is_so)


def placement_flags(trial: Trial, before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the flags of where a process of a trial runs; ``before`` is where the one before it ran, empty for the first."""
    changed = ", ".join(name for name in PLACEMENT if name in before and before[name] != now.get(name))
    found = {
        f"a later process has another placement ({changed})": bool(changed),
        SHARED: not trial.system.exclusive,
        OTHER_USERS: not now["turn"]["every_user"],
    }
    return tuple(flag for flag, is_so in found.items() if is_so)


def kernel_flags(before_ns: int, after_ns: int) -> tuple[str, ...]:
    """Return a flag where a fixed piece of work took another time after the rounds than before them."""
    change = after_ns / before_ns - 1
    return (f"machine {'slower' if change > 0 else 'faster'} at the end",) if abs(change) > LARGEST_CHANGE else ()


Times = dict[Clock, NDArray[np.float64]]


def clocks(trial: Trial, rounds: Rounds) -> tuple[Times, Times]:
    """Return the times of each sample of rounds in ns, per clock [R, S], and those of each inference [R, B].

    They are +inf where there is none; a batch has one, which all its samples carry. Under load there is ``response`` too.
    """
    timings, shape = rounds.timings, (rounds.rows.num_rows, -1)
    late = timings.column("inference_ns").is_null().to_numpy(zero_copy_only=False)
    is_open = timings.column("arrival_ns").null_count < timings.num_rows
    names = (*STAGES, "queue_ns") if is_open else STAGES
    stages = {name: timings.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in names}
    counted = LOAD_CLOCKS if is_open else SERVICE_CLOCKS
    times = {clock: np.where(late, np.inf, sum(stages[name] for name in clock.stages)).reshape(shape) for clock in counted}
    if trial.fixed_batch == 1:
        return times, times
    number, incomplete = (rounds.rows.column(name).to_numpy(zero_copy_only=False) for name in ("round", "incomplete"))
    first = first_of_batches(trial, number, times[PRIMARY_CLOCK], incomplete)
    return times, {clock: np.take_along_axis(of_clock, first, axis=1) for clock, of_clock in times.items()}
