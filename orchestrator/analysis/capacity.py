"""Searches for the rate of arrivals up to which a system keeps its tail quality, read from the trials that they have measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.load import NOT_KEPT, OVERLOADED, load_flags
from orchestrator.analysis.quality import intervals
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.config import MeasurementConfig, Trial
from orchestrator.configuration.load import LoadConfig
from orchestrator.contracts import InputError
from orchestrator.stats.capacity import (
    Estimate,
    PilotRate,
    estimated,
    is_certified,
    least_share,
    next_of_pilot,
    rates_to_certify,
    streams_kept,
    whole_streams,
)
from orchestrator.stats.constants import STREAMS
from orchestrator.stats.interval import Interval
from orchestrator.stats.queueing import SECOND_NS
from orchestrator.stats.stopping.rules import Capacity
from orchestrator.stats.thresholds import Threshold, primary_threshold, thresholds_from_ms
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.storage.records import CapacityQuestion

ANY_RATE = 1.0
"""Stands in the place of the rate of a trial that is searched."""
Verdict = Literal["pilot", "kept", "not kept"]


class Next(NamedTuple):
    """Rates to measure next, samples a second, in so many streams each, and whether they are to be certified."""

    rates: tuple[float, ...]
    streams: int
    certify: bool


@dataclass(frozen=True)
class Asked:
    """Answers within ``deadline`` must keep ``keep`` of ideal quality; ``certify`` is false for a rate of the pilot."""

    deadline: Threshold
    keep: float
    certify: bool = False


@dataclass(frozen=True)
class MeasuredRate:
    """A rate that was measured, in streams.

    lost : [V]
        share of ideal quality that each whole stream lost.
    answers, at_stake
        of a stream, and as how many of those that it can lose they count.
    problem
        why the rate counts as not kept whatever its streams kept; empty where nothing is wrong.
    """

    data: TrialData
    asked: Asked
    lost: NDArray[np.float64]
    ideal: float
    answers: int
    at_stake: float
    problem: str

    @property
    def rate_per_s(self) -> float:
        """Samples a second, as asked for."""
        return self.data.record.trial.load.rate_per_s or 0.0

    @property
    def kept(self) -> int:
        """How many streams keep the quality."""
        return streams_kept(self.lost, self.asked.keep)

    @property
    def least_share(self) -> float:
        """Share of streams that keep it, at least."""
        return least_share(self.kept, self.lost.size)

    @property
    def verdict(self) -> Verdict:
        """What the rate has shown; rates of the pilot only lead to those that are tested."""
        if not self.asked.certify:
            return "pilot"
        return "kept" if not self.problem and is_certified(self.kept, self.lost.size) else "not kept"

    @property
    def why(self) -> str:
        """What the verdict rests on, in a few words."""
        return self.problem or f"{self.kept} of {self.lost.size} streams keep it"

    def mean_interval(self) -> Interval:
        """Return the interval of mean quality, with streams as units."""
        return intervals(self.data.judged(self.data.metric), self.ideal * (1 - self.lost[np.newaxis]), self.at_stake)[0]


@dataclass(frozen=True)
class Search:
    """All rates of one trial.

    like
        the trial, with any rate.
    closed
        the same in a closed loop; None where it was not measured.
    """

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
        samples = self.closed.times[self.closed.clock].shape[1]
        return float(samples * took_ns.size / took_ns.sum() * SECOND_NS) if took_ns.size else None

    @cached_property
    def hopeless(self) -> tuple[float, float] | None:
        """Mean quality back to back and what is asked, where even that falls short; else None."""
        if self.closed is None or self.asked is None:
            return None
        judged = self.closed.judged(self.closed.metric)
        curve, ideal = judged.curve(self.closed.times[PRIMARY_CLOCK], [self.asked.deadline.ns]), judged.ideal()
        floor, high = self.asked.keep * ideal, intervals(judged, curve, answers_of_round(self.closed))[0].high
        return (float(curve.mean()), floor) if high < floor else None

    @property
    def pilot(self) -> list[MeasuredRate]:
        """The rates that lead to the estimate."""
        return [one for one in self.rates if not one.asked.certify]

    @property
    def tested(self) -> list[MeasuredRate]:
        """The rates to certify that were measured, ascending."""
        return sorted((one for one in self.rates if one.asked.certify), key=lambda one: one.rate_per_s)

    @cached_property
    def estimate(self) -> Estimate | None:
        """Where mean quality crosses what is asked; None without a rate whose schedule was kept. An overloaded rate has lost all."""
        usable = [one for one in self.pilot if one.problem != NOT_KEPT]
        if not usable:
            return None
        lost = [np.ones_like(one.lost) if one.problem else one.lost for one in usable]
        pilot = [PilotRate(one.rate_per_s, of_streams) for one, of_streams in zip(usable, lost, strict=True)]
        return estimated(pilot, usable[0].asked.keep, max(one.at_stake for one in usable))

    @property
    def certified(self) -> MeasuredRate | None:
        """The highest rate that is certified: none follows one that failed."""
        found = None
        for one in self.tested:
            if one.verdict != "kept":
                break
            found = one
        return found

    @property
    def failed(self) -> bool:
        """Whether a trial of it has not ended as it should, so that it cannot go on."""
        trials = [*([self.closed] if self.closed is not None else []), *(one.data for one in self.rates)]
        return any(data.record.state != "done" for data in trials)

    def next_rates(self) -> Next:
        """Return what to measure next; no rate where the search is over."""
        stuck = self.closed_per_s is None or self.failed or self.hopeless is not None or (self.pilot and self.estimate is None)
        if stuck or any(is_older(one.data.record.trial) for one in self.rates):
            return Next((), 0, False)
        tested, pilot = self.tested, [one.rate_per_s for one in self.pilot]
        rates, streams = next_of_pilot(self.closed_per_s or 0.0, pilot, self.estimate)
        if rates and not tested:
            return Next(rates, streams, False)
        if self.estimate is None or (tested and tested[-1].verdict != "kept"):
            return Next((), 0, True)
        done = tested[-1].rate_per_s if tested else 0.0
        return Next(tuple(rate for rate in rates_to_certify(self.estimate, max(pilot)) if rate > done)[:1], STREAMS, True)

    @property
    def ending(self) -> str:
        """Why no rate is certified, in a few words; empty where one is, or nothing tells."""
        if self.certified is not None:
            return ""
        if self.hopeless is not None:
            return "even back to back it keeps {:.3f} of the {:.3f} that is asked".format(*self.hopeless)
        if any(is_older(one.data.record.trial) for one in self.rates):
            return "its rates were chosen by an older version, whose streams certify nothing"
        if self.tested:
            return f"at {self.tested[0].rate_per_s:.4g}/s, the lowest rate tested, {self.tested[0].why}"
        if self.pilot and self.estimate is None:
            return "no rate of the pilot kept its schedule"
        if self.estimate is not None and self.estimate.rate_per_s == 0 and not self.next_rates().rates:
            return f"the mean falls short even at {min(one.rate_per_s for one in self.pilot):.4g}/s"
        return ""


def answers_of_round(data: TrialData) -> float:
    """Return how many answers a round can lose by the primary metric."""
    return data.answers_at_stake(data.judged(data.metric))


def question_of(trial: Trial) -> Asked | None:
    """Return what a trial that is a rate of a search is asked; None of any other."""
    if trial.measurement.rule != Capacity.name or trial.load.rate_per_s is None:
        return None
    options = {"deadline_ms": 50.0, "keep": 0.99, "certify": False, **trial.measurement.rule_options}
    try:
        [deadline] = thresholds_from_ms([float(options["deadline_ms"])])
        found = Asked(deadline, float(options["keep"]), bool(options["certify"]))
    except (InputError, OverflowError, ValueError):  # the record may be a stranger's
        return None
    return found if 0 < found.keep < 1 else None


def is_older(trial: Trial) -> bool:
    """Return whether a rate was chosen by version 0.2.0 or before, which looked at it several times and called it certified or refuted."""
    return "most_streams" in trial.measurement.rule_options


def is_probe(trial: Trial) -> bool:
    """Return whether a trial is a rate of a search."""
    return question_of(trial) is not None


def at_any_rate(trial: Trial) -> Trial:
    """Return what all rates of a search have in common: a trial without its arrivals' moments and without how it is stopped."""
    arrivals = {"rate_per_s": ANY_RATE, "seed": 0, "stream_s": None, "ramp_s": None}
    return trial.model_copy(update={"load": trial.load.model_copy(update=arrivals), "measurement": _unstopped(trial.measurement)})


def _unstopped(measurement: MeasurementConfig) -> MeasurementConfig:
    defaults = MeasurementConfig()
    changed = {name: getattr(defaults, name) for name in ("rule", "rule_options", "min_rounds", "max_rounds", "max_seconds")}
    return measurement.model_copy(update=changed)


def _in_closed_loop(trial: Trial) -> Trial:
    return trial.model_copy(update={"load": LoadConfig(), "measurement": _unstopped(trial.measurement)})


def searches_of(trials: Sequence[TrialData], question: CapacityQuestion | None = None) -> list[Search]:
    """Return the searches among trials: those that were asked for in their order, even without a rate yet, then others."""
    likes = {_key(like): like for like in map(at_any_rate, () if question is None else question.trials)}
    rates: dict[str, list[MeasuredRate]] = {}
    for data in trials:
        asked = question_of(data.record.trial)
        if asked is not None and data.streams is not None and Clock.RESPONSE in data.times:
            like = at_any_rate(data.record.trial)
            likes.setdefault(_key(like), like)
            rates.setdefault(_key(like), []).append(_measured(data, asked))
    closed = {_key(_in_closed_loop(data.record.trial)): data for data in trials if likes and not data.record.trial.load.is_open}
    deadline = None if question is None else primary_threshold(question.deadline, None)
    of_question = None if question is None or deadline is None else Asked(deadline, question.keep)
    return [
        Search(
            like,
            rates[key][0].asked if key in rates else of_question,
            closed.get(_key(_in_closed_loop(like))),
            tuple(one for one in rates.get(key, ()) if one.lost.size),
        )
        for key, like in likes.items()
    ]


def _key(trial: Trial) -> str:
    return trial.model_dump_json()


def _measured(data: TrialData, asked: Asked) -> MeasuredRate:
    assert data.streams is not None
    judged, times = data.judged(data.metric), data.times[Clock.RESPONSE]
    ideal = judged.ideal()
    kept = whole_streams(judged.curve(times, [asked.deadline.ns])[0], data.streams, data.cut_short)
    rounds = int(np.unique(data.streams, return_counts=True)[1].max())
    flags = load_flags(data, asked.deadline)
    return MeasuredRate(
        data,
        asked,
        1 - kept / ideal if ideal > 0 and math.isfinite(ideal) else np.zeros(0),
        ideal,
        rounds * times.shape[1],
        rounds * answers_of_round(data),
        next((problem for problem in (NOT_KEPT, OVERLOADED) if problem in flags), ""),
    )


def words_without_rate(load: LoadConfig) -> str:
    """Return a load in words, without its rate."""
    pace = f" {load.rate_per_s:g}/s"
    return load.words.replace(pace, "", 1)
