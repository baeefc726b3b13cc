"""How large a campaign must be so that every requirement can be shown to be met, before anything is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.assessment.axes import texts_of, unmatched
from orchestrator.assessment.case import STREAMED
from orchestrator.assessment.requirements import (
    AnswersAsked,
    CapacityAsked,
    FirstInferenceAsked,
    LateAnswersAsked,
    LatencyAsked,
    Requirement,
    Requirements,
    TailQualityAsked,
)
from orchestrator.assessment.subjects import planned_for
from orchestrator.configuration.config import MeasurementConfig, Trial
from orchestrator.report.table import Table
from orchestrator.stats.long_run import MIN_VISITS
from orchestrator.stats.requirements import LEAST_FOR_MEAN, MARGIN, MOST_UNITS, POWER, planned_units
from orchestrator.stats.times import Clock
from orchestrator.storage.records import PlannedTrial
from orchestrator.subject.schedule import length_of_stream

RIGHT = 0.5
"""Share of the samples that a plan takes to be answered rightly: what they lose is what shows tail quality."""
COST_OF_MEAN = 2.0
"""Times as many answers as exact binomial tails take: an interval over rounds must find out how much these vary, and has a reserve."""


@dataclass(frozen=True)
class Need:
    """What one requirement needs of each planned trial.

    rounds, processes, days
        how many; 0 rounds where none are asked for.
    fixed
        whether the rounds must be fixed beforehand, as for a certificate.
    cannot
        why no such campaign can show it; empty where one can.
    remark
        what the numbers take for granted.
    """

    rounds: int = 0
    processes: int = 1
    days: int = 1
    fixed: bool = False
    cannot: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Size:
    """One requirement and the trials that are planned for it, with the least of what they have: rounds at least and at most, processes."""

    requirement: Requirement
    trials: int
    need: Need
    rounds: int = 0
    processes: int = 0
    max_rounds: int = 0

    @property
    def enough(self) -> bool:
        """Whether this plan can show it, on as many days as it needs."""
        return not self.need.cannot and self.rounds >= self.need.rounds and self.processes >= self.processes_a_day

    @property
    def processes_a_day(self) -> int:
        """Fresh processes that are needed on each of the days."""
        return -(-self.need.processes // self.need.days)


def sizes_of(requirements: Requirements, planned: Sequence[PlannedTrial], samples: Mapping[str, int]) -> list[Size]:
    """Return for each requirement what it needs and what is planned. ``samples`` is their number by match key. Raises InputError."""
    return [_size(one, requirements.error_of(one), planned, samples) for one in requirements.requirements]


def _size(requirement: Requirement, error: float, planned: Sequence[PlannedTrial], samples: Mapping[str, int]) -> Size:
    trials = planned_for(requirement, planned)
    if missing := unmatched(requirement, [texts_of(one.trial) for one in planned]):
        return Size(requirement, len(trials), Need(cannot="; ".join(missing)))
    infeasible = [one for one in trials if one.state == "infeasible"]
    if infeasible:
        return Size(requirement, len(trials), Need(cannot=f"{infeasible[0].trial_id} cannot run here: {infeasible[0].reason}"))
    needs = [_need(requirement, error, one, trials, samples.get(one.match_key, 0)) for one in trials]
    need = max(needs, key=lambda each: (bool(each.cannot), each.rounds))
    repeats = [sum(other.match_key == one.match_key for other in trials) for one in trials]
    rounds = [fixed_beforehand(one.trial.measurement) if need.fixed else one.trial.measurement.min_rounds for one in trials]
    most = min(one.trial.measurement.max_rounds for one in trials)
    return Size(requirement, len(trials), need, min(rounds), min(repeats), most)


def fixed_beforehand(measurement: MeasurementConfig) -> int:
    """Return the number of rounds that a certificate of a finished trial rests on."""
    if measurement.rule == "rounds":
        return measurement.max_rounds
    return min(measurement.certify_rounds, max(MIN_VISITS * (measurement.rounds_per_visit or 1), measurement.min_rounds))


def _need(requirement: Requirement, error: float, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    """Return what a requirement needs of one planned trial."""
    found = NEEDS.get(requirement.kind, _share_of_rounds)(requirement.asked, error, one, trials, samples)
    least, per_visit = requirement.evidence, _rounds_per_visit(one.trial, samples)
    if per_visit is None and least.visits > 1:
        return Need(cannot=f"a sequential schedule has one visit, and {least.visits} are asked for: measurement.schedule=visits")
    clock = getattr(requirement.asked, "clock", None)
    if clock == "response" and not one.trial.load.is_open:
        return Need(cannot="the clock response exists under load alone: add load= with load.rate_per_s=")
    if clock in (Clock.FIRST_TOKEN, Clock.PER_TOKEN) and not one.trial.server.is_asked:
        return Need(cannot=f"the clock {clock} exists {STREAMED}")
    # Where rounds depend on each other, an interval needs 12 visits; so does a rate.
    apart = MIN_VISITS * (per_visit or 1) if found.rounds else 0
    rounds = max(found.rounds, apart, least.rounds, least.visits * (per_visit or 1))
    return Need(rounds, max(found.processes, least.processes), least.sessions, found.fixed, found.cannot, found.remark)


def _rounds_per_visit(trial: Trial, samples: int) -> int | None:
    """Return how many rounds a visit has, under load a stream; None where all are one stretch."""
    if trial.load.is_open:
        return length_of_stream(trial.load, trial.load.rate_per_s, max(samples, 1)).rounds if trial.load.rate_per_s is not None else 1
    return trial.measurement.rounds_per_visit


def _rounds(units: int | None, per_round: float = 1.0, fixed: bool = False, remark: str = "") -> Need:
    """Return the need of so many independent units, of which a round has so many."""
    if units is None:
        return Need(cannot=f"it takes more than {MOST_UNITS:,} rounds: ask for a smaller share or a lower confidence")
    return Need(math.ceil(units / per_round), fixed=fixed, remark=remark)


def _mean(allowed: float, error: float, per_round: float, remark: str = "") -> Need:
    """Return the need of a mean of which a share may be lost."""
    found = _rounds(planned_units(allowed, error / 2), max(per_round, 1.0) / COST_OF_MEAN, remark=remark)
    return Need(max(found.rounds, LEAST_FOR_MEAN), cannot=found.cannot, remark=remark)


def _tail_quality(asked: TailQualityAsked, error: float, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    if asked.share_of_rounds is not None:
        return _share_of_rounds(asked, error, one, trials, samples)
    if asked.of == "absolute":
        return Need(LEAST_FOR_MEAN, remark="how far ideal quality lies above an absolute bound is not known before it is measured")
    remark = "" if asked.slice == "all" else "how many samples the slice has is not known before: sized as for all"
    return _mean(1 - asked.at_least, error, RIGHT * samples / one.trial.fixed_batch, remark)


def _latency(asked: LatencyAsked, error: float, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    return _mean(1 - asked.percentile / 100, error, samples / one.trial.fixed_batch)


def _share_of_rounds(asked: Any, error: float, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    return _rounds(planned_units(round(1 - asked.share_of_rounds, 12), error / 2), fixed=True)


def _late_answers(asked: LateAnswersAsked, error: float, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    """Return the need of rounds of which a streak or a window reaches into the next, so that these break a bound together."""
    reach = asked.longest_streak or (asked.out_of or 1) - 1
    per_round = 1 / (1 + reach * one.trial.fixed_batch / max(samples, 1))
    return _rounds(planned_units(round(1 - asked.share_of_rounds, 12), error / 2), per_round, fixed=True)


def _first_inference(asked: FirstInferenceAsked, error: float, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    units = planned_units(round(1 - asked.share_of_starts, 12), error / 2)
    if asked.state == "cold" or units is None:
        return _starts(asked, error, one, trials, samples)
    per_visit = _rounds_per_visit(one.trial, samples)
    if per_visit is None or not one.trial.measurement.lead_in:
        return Need(cannot="a first inference after a pause needs visits with a lead-in: measurement.schedule=visits")
    return Need((units + 1) * per_visit)


def _starts(asked: Any, error: float, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    units = planned_units(round(1 - asked.share_of_starts, 12), error / 2)
    if units is None:
        return Need(cannot=f"it takes more than {MOST_UNITS:,} fresh processes: ask for a smaller share of starts")
    return Need(processes=units)


def _answers(asked: AnswersAsked, error: float, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    if asked.between == "rounds":
        return _share_of_rounds(asked, error, one, trials, samples)
    alike = {other.match_key for other in trials if other.trial.model.name == one.trial.model.name}
    return Need() if len(alike) > 1 else Need(cannot=f"{one.trial.model.name} is planned on one system alone: plan another to compare with")


def _capacity(asked: CapacityAsked, error: float, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    rates = [other.trial.load.rate_per_s for other in trials if other.trial.load.rate_per_s is not None]
    if max(rates, default=0.0) < asked.at_least_per_s:
        return Need(cannot=f"no planned trial arrives at {asked.at_least_per_s:g}/s or more: add load= and load.rate_per_s=")
    return _mean(1 - asked.keep, error, RIGHT * samples)


NEEDS: Mapping[str, Callable[[Any, float, PlannedTrial, Sequence[PlannedTrial], int], Need]] = {
    "tail_quality": _tail_quality,
    "latency": _latency,
    "late_answers": _late_answers,
    "first_inference": _first_inference,
    "cold_start": _starts,
    "memory": _starts,
    "answers": _answers,
    "capacity": _capacity,
}
"""By kind; all others ask for a share of rounds."""


NUMBERS = ("trials", "rounds needed", "rounds planned", "processes needed", "processes planned", "days")


def sizes_table(sizes: Sequence[Size]) -> Table:
    """Return one row per requirement: what it needs, what is planned."""
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
                "yes" if one.enough else "no",
            ]
            for one in sizes
        ],
        note=(
            f"For a system that breaks a requirement {MARGIN:g} times as often as it may, which is then found to meet it with a "
            f"probability of {POWER:.0%}; rounds that depend on each other take more."
        ),
        right=frozenset(NUMBERS),
    )


def advice(sizes: Sequence[Size]) -> Iterator[str]:
    """Yield what a plan lacks, in sentences: what cannot be shown and why, and the words that would size the campaign."""
    for one in sizes:
        if one.need.cannot:
            yield f"{one.requirement.id} cannot be shown: {one.need.cannot}"
        elif one.need.remark:
            yield f"{one.requirement.id}: {one.need.remark}"
    short = [one for one in sizes if not one.need.cannot and not one.enough]
    words = list(_words(short))
    if words:
        yield f"add {' '.join(words)}, and all that can be shown will be"
    days = max((one.need.days for one in sizes if not one.need.cannot), default=1)
    if days > 1:
        yield f"measure it on {days} days, and assess all their directories together"
    cannot = sum(bool(one.need.cannot) for one in sizes)
    if not short:
        yield "every requirement can be shown" if not cannot else f"{len(sizes) - cannot} of {len(sizes)} requirements can be shown"


def _words(short: Sequence[Size]) -> Iterator[str]:
    """Yield the overrides by which a plan has rounds and processes enough."""
    few = [one for one in short if one.rounds < one.need.rounds]
    rounds = max((one.need.rounds for one in few), default=0)
    if rounds:
        yield f"measurement.min_rounds={rounds}"
        if rounds > min(one.max_rounds for one in few):
            yield f"measurement.max_rounds={rounds}"
    fixed = max((one.need.rounds for one in few if one.need.fixed), default=0)
    if fixed > MeasurementConfig().certify_rounds:
        yield f"measurement.certify_rounds={fixed}"
    processes = max((one.processes_a_day for one in short if one.processes < one.processes_a_day), default=0)
    if processes:
        yield f"measurement.repeat={processes}"
