"""Searches for the rate of arrivals up to which a system keeps its tail quality."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Literal, NamedTuple

import numpy as np

from orchestrator.analysis.load import NOT_KEPT, OVERLOADED, load_flags
from orchestrator.analysis.quality import intervals
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.configuration.config import MeasurementConfig, Trial
from orchestrator.configuration.load import LoadConfig
from orchestrator.contracts import InputError
from orchestrator.stats import capacity, constants
from orchestrator.stats.capacity import Estimate, PilotRate
from orchestrator.stats.queueing import SECOND_NS
from orchestrator.stats.stopping.rules import Capacity
from orchestrator.stats.thresholds import Threshold, primary_threshold, thresholds_from_ms
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.stats.units import Floats, Units
from orchestrator.storage.records import CapacityQuestion, TrialRecord
from orchestrator.subject.schedule import Length

ANY_RATE = 1.0  # in the place of the rate of a trial that is searched
BETWEEN_S, REPORT_S = 2.0, 20.0  # choosing a rate takes, and a budget keeps for the report
STOPPING = ("rule", "rule_options", "min_rounds", "max_rounds", "max_seconds")
SLACK = 1.1  # measuring takes so much longer than its streams


class Next(NamedTuple):
    """Rates to measure next, samples a second, in so many streams each, and whether to certify."""

    rates: tuple[float, ...] = ()
    streams: int = 0
    certify: bool = False


@dataclass(frozen=True)
class Asked:
    """Answers within ``deadline`` must keep ``keep`` of ideal quality; a pilot does not certify."""

    deadline: Threshold
    keep: float
    certify: bool = False


@dataclass(frozen=True)
class MeasuredRate:
    """A rate that was measured, in samples a second.

    Each whole stream lost a share of ideal quality, [V]; ``kept`` of them no more than allowed. Of
    its answers it can lose as many as ``at_stake``. A ``problem`` makes the rate count as not kept.
    """

    data: TrialData
    asked: Asked
    rate_per_s: float
    lost: Floats
    kept: int
    answers: int
    at_stake: float
    problem: str

    @property
    def verdict(self) -> Literal["pilot", "kept", "not kept"]:
        """What the rate has shown; rates of the pilot only lead to those that are tested."""
        if not self.asked.certify:
            return "pilot"
        certified = not self.problem and capacity.is_certified(self.kept, self.lost.size)
        return "kept" if certified else "not kept"

    @property
    def why(self) -> str:
        return self.problem or f"{self.kept} of {self.lost.size} streams keep it"


@dataclass(frozen=True)
class Search:
    """All rates of one trial, ``like`` at any; ``closed`` in a closed loop, None: not measured."""

    like: Trial
    asked: Asked | None
    closed: TrialData | None
    rates: tuple[MeasuredRate, ...]

    @cached_property
    def closed_per_s(self) -> float | None:
        """Samples a second in a closed loop, from the duration of its whole rounds."""
        if self.closed is None:
            return None
        took_ns = self.closed.evidence["duration_ns"][~self.closed.incomplete]
        return float(self.samples / took_ns.mean() * SECOND_NS) if took_ns.size else None

    @property
    def samples(self) -> int:
        """Samples of a round; 0 where it was not measured in a closed loop."""
        return int(self.closed.times[self.closed.clock].shape[1]) if self.closed else 0

    @cached_property
    def hopeless(self) -> tuple[float, float] | None:
        """Mean quality back to back and what is asked, where even that falls short; else None."""
        if self.closed is None or self.asked is None:
            return None
        judged = self.closed.judged(self.closed.metric)
        curve = judged.curve(self.closed.times[PRIMARY_CLOCK], [self.asked.deadline.ns])
        floor = self.asked.keep * judged.ideal()
        high = intervals(judged, curve, answers_of_round(self.closed))[0].high
        return (float(curve.mean()), floor) if high < floor else None

    @property
    def pilot(self) -> list[MeasuredRate]:
        return [one for one in self.rates if not one.asked.certify]

    @property
    def tested(self) -> list[MeasuredRate]:
        return sorted(
            (one for one in self.rates if one.asked.certify), key=lambda one: one.rate_per_s
        )

    @cached_property
    def estimate(self) -> Estimate | None:
        """Where mean quality crosses what is asked; None without a rate that kept its schedule."""
        usable = [one for one in self.pilot if one.problem != NOT_KEPT]
        if not usable:
            return None
        pilot = [  # an overloaded rate has lost all
            PilotRate(one.rate_per_s, np.ones_like(one.lost) if one.problem else one.lost)
            for one in usable
        ]
        return capacity.estimated(pilot, usable[0].asked.keep, max(one.at_stake for one in usable))

    @property
    def certified(self) -> MeasuredRate | None:
        """The highest rate that is certified: none follows one that failed."""
        kept = list(takewhile(lambda one: one.verdict == "kept", self.tested))
        return kept[-1] if kept else None

    def next_rates(self) -> Next:
        """Return what to measure next; no rate where the search is over."""
        known = (self.closed, *(one.data for one in self.rates))
        lost = self.hopeless is not None or (self.pilot and self.estimate is None)
        older = any(is_older(one.data.record.trial) for one in self.rates)
        if self.closed_per_s is None or lost or older:
            return Next()
        if any(data is not None and data.record.state != "done" for data in known):
            return Next()
        tested, pilot = self.tested, [one.rate_per_s for one in self.pilot]
        rates, streams = capacity.next_of_pilot(self.closed_per_s, pilot, self.estimate)
        if rates and not tested:
            return Next(rates, streams, False)
        if self.estimate is None or (tested and tested[-1].verdict != "kept"):
            return Next()
        ladder = capacity.rates_to_certify(self.estimate, max(pilot))
        left = [rate for rate in ladder if not tested or rate > tested[-1].rate_per_s]
        return Next(tuple(left[:1]), constants.STREAMS, True)

    @property
    def ending(self) -> str:
        """Why no rate is certified, in a few words; empty where one is, or nothing tells."""
        if self.certified is not None:
            return ""
        if self.hopeless is not None:
            kept, asked = self.hopeless
            return f"even back to back it keeps {kept:.3f} of the {asked:.3f} that is asked"
        if any(is_older(one.data.record.trial) for one in self.rates):
            return "its rates were chosen by an older version, whose streams certify nothing"
        if self.tested:
            first = self.tested[0]
            return f"at {first.rate_per_s:.4g}/s, the lowest rate tested, {first.why}"
        if self.pilot and self.estimate is None:
            return "no rate of the pilot kept its schedule"
        if self.estimate and self.estimate.rate_per_s == 0 and not self.next_rates().rates:
            return f"the mean falls short even at {min(one.rate_per_s for one in self.pilot):.4g}/s"
        return ""


def answers_of_round(data: TrialData) -> float:
    """Return how many answers a round can lose by the primary metric."""
    return data.answers_at_stake(data.judged(data.metric))


def question_of(trial: Trial) -> Asked | None:
    """Return what a trial that is a rate of a search is asked; None of any other."""
    if trial.measurement.rule != Capacity.name or trial.load.rate_per_s is None:
        return None
    options = {
        "deadline_ms": 50.0,
        "keep": 0.99,
        "certify": False,
        **trial.measurement.rule_options,
    }
    with suppress(InputError, OverflowError, ValueError):  # the record may be a stranger's
        [deadline] = thresholds_from_ms([float(options["deadline_ms"])])
        if 0 < float(options["keep"]) < 1:
            return Asked(deadline, float(options["keep"]), bool(options["certify"]))
    return None


def is_older(trial: Trial) -> bool:
    """Return whether version 0.2.0 or before chose a rate: it looked several times."""
    return "most_streams" in trial.measurement.rule_options


def is_probe(trial: Trial) -> bool:
    """Return whether a trial is a rate of a search."""
    return question_of(trial) is not None


def at_any_rate(trial: Trial) -> Trial:
    """Return what all rates of a search share: all but the arrivals and how it is stopped."""
    own = {"rate_per_s": ANY_RATE, "seed": 0, "stream_s": None, "ramp_s": None}
    return _with(trial, trial.load.model_copy(update=own))


def _with(trial: Trial, load: LoadConfig) -> Trial:
    usual = {name: getattr(MeasurementConfig(), name) for name in STOPPING}
    measurement = trial.measurement.model_copy(update=usual)
    return trial.model_copy(update={"load": load, "measurement": measurement})


def searches_of(
    trials: Sequence[TrialData], question: CapacityQuestion | None = None
) -> list[Search]:
    """Return the searches: those asked for in their order, even without a rate, then others."""
    found: dict[str, tuple[Trial, list[MeasuredRate]]] = {
        like.model_dump_json(): (like, [])
        for like in map(at_any_rate, question.trials if question else ())
    }
    for data in trials:
        asked = question_of(data.record.trial)
        if asked is not None and data.streams is not None and Clock.RESPONSE in data.times:
            like = at_any_rate(data.record.trial)
            _, rates = found.setdefault(like.model_dump_json(), (like, []))
            rates.append(_measured(data, asked, data.streams))
    closed = {
        _with(data.record.trial, LoadConfig()).model_dump_json(): data
        for data in trials
        if found and not data.record.trial.load.is_open
    }
    deadline = primary_threshold(question.deadline, None) if question else None
    of_question = Asked(deadline, question.keep) if question and deadline else None
    return [
        Search(
            like,
            rates[0].asked if rates else of_question,
            closed.get(_with(like, LoadConfig()).model_dump_json()),
            tuple(one for one in rates if one.lost.size),
        )
        for like, rates in found.values()
    ]


def _measured(data: TrialData, asked: Asked, streams: Units) -> MeasuredRate:
    judged, times = data.judged(data.metric), data.times[Clock.RESPONSE]
    ideal, curve = judged.ideal(), judged.curve(times, [asked.deadline.ns])[0]
    kept = capacity.whole_streams(curve, streams, data.incomplete)
    lost = 1 - kept / ideal if ideal > 0 and math.isfinite(ideal) else np.zeros(0)
    rounds, flags = int(np.bincount(streams).max()), load_flags(data, asked.deadline)
    return MeasuredRate(
        data,
        asked,
        data.record.trial.load.rate_per_s or 0.0,
        lost,
        capacity.streams_kept(lost, asked.keep),
        rounds * times.shape[1],
        rounds * answers_of_round(data),
        next((problem for problem in (NOT_KEPT, OVERLOADED) if problem in flags), ""),
    )


def words_without_rate(load: LoadConfig) -> str:
    """Return a load in words, without its rate."""
    return load.words.replace(f" {load.rate_per_s:g}/s", "", 1)


def length_of(search: Search, answers: int) -> Length:
    """Return a stream of at least so many answers, in whole rounds, with its ramp."""
    deadline_s = search.asked.deadline.ns / SECOND_NS if search.asked else 0.0
    ramp = capacity.ramp_of_stream(answers, deadline_s, search.closed_per_s or 0.0)
    return Length(ramp, math.ceil(answers / search.samples))


def seconds_of(search: Search, wanted: Next, answers: int, alone: bool) -> float:
    """Return how long rates take, each in a process, in s; ``alone``: no other takes turns."""
    if search.closed is None:
        return 0.0
    arrivals = length_of(search, answers).arrivals(search.samples)
    pauses = 1 + (search.like.measurement.pause if alone and wanted.certify else 0.0)
    measured, served = SLACK * pauses * wanted.streams * arrivals, search.closed_per_s or math.inf
    of_streams = sum(measured / min(rate, served) for rate in wanted.rates)
    return len(wanted.rates) * _loading_s(search.closed.record) + of_streams


def seconds_to_come(search: Search, answers: int, alone: bool) -> tuple[float, float]:
    """Return about how long the rest of the pilot takes and what follows it, in s.

    Waits in heavy traffic are exponential (Kingman, Proceedings of the Cambridge Philosophical
    Society 57, 1961): of x constant services P(W > x) = exp(-2 (1 - rho) x).
    """
    wanted = search.next_rates()
    if not wanted.rates:
        return 0.0, 0.0
    throughput = search.closed_per_s or 0.0
    crossing = search.estimate.rate_per_s if search.estimate is not None else 0.0
    if search.asked is not None and not 0 < crossing < math.inf:
        waits = max(search.asked.deadline.ns / SECOND_NS * throughput - 1, 1e-9)
        share = 1 + math.log(1 - search.asked.keep) / (2 * waits)
        crossing = throughput * min(max(share, constants.PILOT_SHARES[0]), 1.0)
    ladder = capacity.rates_to_certify(Estimate(crossing, crossing, crossing), crossing)
    left = tuple(rate for rate in ladder if not wanted.certify or rate >= wanted.rates[0])
    pilot = [] if wanted.certify else [wanted]
    if not search.pilot:
        around = tuple(share * crossing for share in constants.PILOT_AROUND)
        pilot.append(Next(around, constants.PILOT_STREAMS_AROUND))
    pilot_s = sum(seconds_of(search, one, answers, alone) for one in pilot)
    return pilot_s, seconds_of(search, Next(left, constants.STREAMS, True), answers, alone)


def all_seconds(searches: Sequence[Search], answers: Sequence[int]) -> float:
    """Return about how long all searches take yet, in s."""
    pairs, alone = zip(searches, answers, strict=True), len(searches) == 1
    return sum(sum(seconds_to_come(search, number, alone)) for search, number in pairs)


def answers_within(
    searches: Sequence[Search], question: CapacityQuestion, left_s: float
) -> list[int]:
    """Return the answers of a stream of each search: fewer where time is short, as begun."""

    def answers(search: Search, lost: int) -> int:
        if question.answers is not None or search.closed is None:
            return question.answers or 0
        rounds = capacity.answers_of_stream(question.keep, lost) / answers_of_round(search.closed)
        return math.ceil(rounds * search.samples)

    fewest, advised = constants.FEWEST_LOST, constants.ADVISED_LOST
    if any(search.rates for search in searches):
        return [one.rates[0].answers if one.rates else answers(one, advised) for one in searches]
    shorter = ([answers(one, lost) for one in searches] for lost in range(advised, fewest, -1))
    fits = (found for found in shorter if all_seconds(searches, found) <= left_s)
    return next(fits, None) or [answers(one, fewest) for one in searches]


def seconds_spent(searches: Sequence[Search]) -> float:
    """Return how long measuring has taken by what is stored, in s, without waits for others."""
    known = [data for one in searches for data in (one.closed, *(rate.data for rate in one.rates))]
    return sum(
        _loading_s(data.record) + float(np.nansum(spans_ns(data.evidence))) / SECOND_NS
        for data in known
        if data is not None
    )


def minutes(seconds: float) -> float:
    """Return a time in s as minutes that are promised: up to the next whole one."""
    return float(math.ceil(seconds / 60))


def _loading_s(record: TrialRecord) -> float:
    """Return what a trial took before its first round, in s, without its turn on the machine."""
    loaded_ns, started_s = 0, 0.0
    for cold in (record.cold_start, *(record.cold_start.get("earlier") or ())):
        loaded_ns += (cold.get("load_ns") or 0) + (cold.get("first_total_ns") or 0)
        loaded_ns += sum(cold.get("warmup_rounds_ns") or ())
    if record.started_at is not None and record.processes:
        started_s = (record.processes[0].started_at - record.started_at).total_seconds()
    return BETWEEN_S + max(0.0, started_s) + loaded_ns / SECOND_NS
