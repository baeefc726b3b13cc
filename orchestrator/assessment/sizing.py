"""How large a campaign must be so that every requirement can be shown to be met, before anything is measured."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from orchestrator.assessment.axes import texts_of, unmatched
from orchestrator.assessment.case import STREAMED
from orchestrator.assessment.impossible import Outlook, remark_of, why_never
from orchestrator.assessment.rates import deciding, planned_by_rate
from orchestrator.assessment.requirements import (
    AnswersAsked,
    CapacityAsked,
    FirstInferenceAsked,
    LatencyAsked,
    Requirement,
    Requirements,
    TailQualityAsked,
)
from orchestrator.assessment.subjects import planned_for
from orchestrator.configuration.config import Trial
from orchestrator.stats.certificate import MOST_UNITS
from orchestrator.stats.constants import FEW_UNITS, MARGIN, POWER_PLANNED
from orchestrator.stats.requirements import Kind, planned_units
from orchestrator.stats.times import Clock
from orchestrator.storage.records import PlannedTrial
from orchestrator.subject.schedule import length_of_stream

RIGHT = 0.5
"""Share of the samples that a plan takes to be answered rightly: what they lose is what shows tail quality."""


@dataclass(frozen=True)
class Odds:
    """What a verdict may risk, on what, and how many must be found to meet the requirement for that verdict to be *met*.

    error
        probability of a false verdict.
    trials
        of all systems, each a process that must show it alone.
    systems
        of each all starts are taken together.
    margin
        how often systems break a bound, as a share of how often they may; 0 where they never do.
    """

    error: float
    trials: int = 1
    systems: int = 1
    margin: float = MARGIN

    def units(self, kind: Kind, allowed: float, parts: float = 1) -> int | None:
        """Return how many visits each trial needs, or starts each system; None where no number will do."""
        power = POWER_PLANNED ** (1 / (self.systems if kind == "starts" else self.trials))
        return _units(kind, round(allowed, 12), self.error, max(1, math.floor(parts)), self.margin, power)


_units = cache(planned_units)


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
    """One requirement and the trials that are planned for it, with the least of what they have: rounds at least and at most, processes.

    ``answers`` are those of one round of each of its systems together. ``need_unbroken`` is what it needs of systems
    that never come near to breaking it.
    """

    requirement: Requirement
    trials: int
    need: Need
    rounds: int = 0
    processes: int = 0
    max_rounds: int = 0
    answers: int = 0
    need_unbroken: Need = Need(cannot="not known")

    @property
    def enough(self) -> bool:
        """Whether this plan can show it, on as many days as it needs."""
        return self._has(self.need)

    @property
    def enough_if_never_broken(self) -> bool:
        """The same of systems that never break it."""
        return self._has(self.need_unbroken)

    def _has(self, need: Need) -> bool:
        return not need.cannot and self.rounds >= need.rounds and self.processes >= -(-need.processes // need.days)

    @property
    def processes_a_day(self) -> int:
        """Fresh processes that are needed on each of the days."""
        return -(-self.need.processes // self.need.days)


def sizes_of(requirements: Requirements, outlook: Outlook) -> list[Size]:
    """Return for each requirement what it needs and what is planned. Raises InputError.

    Processes and days that one of them takes are those of the campaign, and each process must show the others, too.
    """
    first = [_size(one, requirements.error_of(one), outlook, Counted()) for one in requirements.requirements]
    counted = Counted(processes_to_add(first), days_of(first))
    return [_size(one, requirements.error_of(one), outlook, counted) for one in requirements.requirements]


def days_of(sizes: Sequence[Size]) -> int:
    """Return on how many days a campaign must be measured."""
    return max((one.need.days for one in sizes if not one.need.cannot), default=1)


def processes_to_add(short: Sequence[Size]) -> int:
    """Return how many processes of each trial a plan must have on a day; 0 where it has enough of them."""
    lacking = (one for one in short if not one.need.cannot and one.processes < one.processes_a_day)
    return max((one.processes_a_day for one in lacking), default=0)


@dataclass(frozen=True)
class Counted:
    """How many processes of each system a campaign has on a day, at least, and on how many days it is measured."""

    processes: int = 1
    days: int = 1


def _size(requirement: Requirement, error: float, outlook: Outlook, counted: Counted) -> Size:
    planned, samples = outlook.planned, outlook.samples
    trials = planned_for(requirement, planned)
    if missing := unmatched(requirement, [texts_of(one.trial) for one in planned]):
        return Size(requirement, len(trials), Need(cannot="; ".join(missing)))
    infeasible = [one for one in trials if one.state == "infeasible"]
    if infeasible:
        return Size(requirement, len(trials), Need(cannot=f"{infeasible[0].trial_id} cannot run here: {infeasible[0].reason}"))
    if why := why_never(requirement, trials, outlook):
        return Size(requirement, len(trials), Need(cannot=why))
    systems = {one.match_key: samples.get(one.match_key, 0) for one in trials}
    must_show, odds = _at_stake(requirement, error, trials, counted)
    need, unbroken = (
        max(
            (_need(requirement, replace(odds, margin=margin), one, trials, outlook, counted) for one in must_show),
            key=lambda each: (bool(each.cannot), each.rounds),
        )
        for margin in (MARGIN, 0.0)
    )
    need = replace(need, remark="; ".join(filter(None, [need.remark, remark_of(requirement, trials, outlook)])))
    repeats = [sum(other.match_key == one.match_key for other in trials) for one in trials]
    rounds = [one.trial.measurement.min_rounds for one in must_show]
    most = min(one.trial.measurement.max_rounds for one in must_show)
    return Size(requirement, len(trials), need, min(rounds), min(repeats), most, sum(systems.values()), unbroken)


def _at_stake(
    requirement: Requirement, error: float, trials: Sequence[PlannedTrial], counted: Counted
) -> tuple[Sequence[PlannedTrial], Odds]:
    """Return the trials that must show a requirement, and their odds: all of them, but of rates of one system those that decide."""
    if requirement.capacity is None:
        return trials, Odds(error, _held(requirement, trials, counted), len({one.match_key for one in trials}))
    by_rate = planned_by_rate(trials)
    most = max(_held(requirement, of_one, counted) for of_one in by_rate)
    must_show = [one for of_one in by_rate for one in deciding(of_one, requirement.capacity.at_least_per_s)]
    return must_show, Odds(error / most, len(by_rate), len(by_rate))


def _held(requirement: Requirement, trials: Sequence[PlannedTrial], counted: Counted) -> int:
    """Return how many trials must show a requirement, each of them alone: of every system the processes of all days."""
    least = requirement.evidence
    planned = Counter(one.match_key for one in trials)
    days = max(counted.days, least.sessions)
    return sum(max(max(number, counted.processes) * days, least.processes) for number in planned.values())


def _need(
    requirement: Requirement, odds: Odds, one: PlannedTrial, trials: Sequence[PlannedTrial], outlook: Outlook, counted: Counted
) -> Need:
    """Return what a requirement needs of one planned trial."""
    samples, least = outlook.samples.get(one.match_key, 0), requirement.evidence
    per_visit = rounds_per_visit(one.trial, samples)
    found = NEEDS.get(requirement.kind, _share_of_rounds)(requirement.asked, odds, one, trials, samples)
    one_stretch = per_visit is None or (one.trial_id in outlook.one_stretch and not one.trial.load.is_open)
    if one_stretch and (found.rounds or least.visits > 1):
        return Need(cannot=f"{one.trial_id} is measured in one stretch: measurement.schedule=visits measurement.pause=1")
    clock = getattr(requirement.asked, "clock", None)
    if clock == "response" and not one.trial.load.is_open:
        return Need(cannot="the clock response exists under load alone: add load= with load.rate_per_s=")
    if clock in (Clock.FIRST_TOKEN, Clock.PER_TOKEN) and not one.trial.server.is_asked:
        return Need(cannot=f"the clock {clock} exists {STREAMED}")
    rounds = max(found.rounds, one.trial.measurement.certify_rounds if found.fixed else 0, least.rounds, least.visits * (per_visit or 1))
    return Need(rounds, max(found.processes, least.processes), least.sessions, found.fixed, found.cannot, found.remark)


def rounds_per_visit(trial: Trial, samples: int) -> int | None:
    """Return how many rounds a visit has, under load a stream; None where all are one stretch."""
    if trial.load.is_open:
        return length_of_stream(trial.load, trial.load.rate_per_s, max(samples, 1)).rounds if trial.load.rate_per_s is not None else 1
    return trial.measurement.rounds_per_visit


def _visits(units: int | None, one: PlannedTrial, samples: int, fixed: bool = False) -> Need:
    """Return the need of so many visits, at least as many as are flagged below."""
    if units is None:
        return Need(cannot=f"it takes more than {MOST_UNITS:,} visits: ask for a smaller share or a lower confidence")
    return Need(max(units, FEW_UNITS) * (rounds_per_visit(one.trial, samples) or 1), fixed=fixed)


def _mean(allowed: float, odds: Odds, one: PlannedTrial, samples: int, per_round: float) -> Need:
    """Return the need of a mean of which a share may be lost, over rounds that can lose so many answers each."""
    return _visits(odds.units("mean", allowed, (rounds_per_visit(one.trial, samples) or 1) * per_round), one, samples)


def _tail_quality(asked: TailQualityAsked, odds: Odds, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    if asked.share_of_rounds is not None:
        return _share_of_rounds(asked, odds, one, trials, samples)
    if asked.of == "absolute":
        remark = "how far ideal quality lies above an absolute bound is not known before it is measured"
        return replace(_visits(FEW_UNITS, one, samples), remark=remark)
    return _mean(1 - asked.at_least, odds, one, samples, RIGHT * samples / one.trial.fixed_batch)


def _latency(asked: LatencyAsked, odds: Odds, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    return _mean(1 - asked.percentile / 100, odds, one, samples, samples / one.trial.fixed_batch)


def _share_of_rounds(asked: Any, odds: Odds, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    """Return the need of a share of rounds; a streak or window that reaches into the next round breaks both together."""
    reach = (getattr(asked, "longest_streak", None) or 0) + 2 * (getattr(asked, "out_of", None) or 0)
    together = 1 + reach * one.trial.fixed_batch / max(samples, 1)
    parts = (rounds_per_visit(one.trial, samples) or 1) / together
    return _visits(odds.units("rounds", 1 - asked.share_of_rounds, parts), one, samples, fixed=True)


def _first_inference(asked: FirstInferenceAsked, odds: Odds, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    if asked.state == "cold":
        return _starts(asked, odds, one, trials, samples)
    if not one.trial.measurement.lead_in:
        return Need(cannot="a first inference after a pause needs visits with a lead-in: measurement.lead_in=3")
    units = odds.units("rounds", 1 - asked.share_of_starts)
    # The first visit of a process comes after no pause.
    return _visits(None if units is None else max(units, FEW_UNITS) + 1, one, samples)


def _starts(asked: Any, odds: Odds, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    units = odds.units("starts", 1 - asked.share_of_starts)
    if units is None:
        return Need(cannot=f"it takes more than {MOST_UNITS:,} fresh processes: ask for a smaller share of starts")
    return Need(processes=units)


def _answers(asked: AnswersAsked, odds: Odds, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    if asked.between == "rounds":
        return _share_of_rounds(asked, odds, one, trials, samples)
    alike = {other.match_key for other in trials if other.trial.model.name == one.trial.model.name}
    return Need() if len(alike) > 1 else Need(cannot=f"{one.trial.model.name} is planned on one system alone: plan another to compare with")


def _capacity(asked: CapacityAsked, odds: Odds, one: PlannedTrial, trials: Sequence[PlannedTrial], samples: int) -> Need:
    if (one.trial.load.rate_per_s or 0.0) < asked.at_least_per_s:
        return Need(cannot=f"no planned trial arrives at {asked.at_least_per_s:g}/s or more: add load= and load.rate_per_s=")
    return _mean(1 - asked.keep, odds, one, samples, RIGHT * samples)


NEEDS: Mapping[str, Callable[[Any, Odds, PlannedTrial, Sequence[PlannedTrial], int], Need]] = {
    "tail_quality": _tail_quality,
    "latency": _latency,
    "first_inference": _first_inference,
    "cold_start": _starts,
    "memory": _starts,
    "answers": _answers,
    "capacity": _capacity,
}
"""By kind; all others ask for a share of rounds."""
