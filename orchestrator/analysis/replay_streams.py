"""Stored closed-loop times played back under arrivals that they never met."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.load import ENOUGH_STREAMS
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats import queueing
from orchestrator.stats.queueing import Policy, serve
from orchestrator.stats.times import PRIMARY_CLOCK

Law: TypeAlias = Literal["periodic", "poisson", "gamma", "trace"]
LAWS: tuple[Law, ...] = ("periodic", "poisson", "gamma", "trace")

Moments = NDArray[np.int64]


@dataclass(frozen=True)
class Arrivals:
    """A law of arrivals.

    group
        samples that arrive at once.
    burstiness
        shape of a gamma law.
    trace_ns
        moments of a recorded trace from its first on, ascending; it begins again after a mean gap where a stream needs more.
    """

    law: Law
    group: int = 1
    burstiness: float = 1.0
    seed: int = 0
    trace_ns: Moments | None = None

    def of(self, count: int, rate_per_s: float, random: np.random.Generator) -> Moments:
        """Return ``count`` moments in ns, ascending, at a mean rate of samples."""
        if self.law != "trace":
            return queueing.drawn(self.law, count, rate_per_s, random, self.group, self.burstiness)
        assert self.trace_ns is not None
        return _scaled_trace(self.trace_ns, count, rate_per_s)


def _scaled_trace(trace_ns: Moments, count: int, rate_per_s: float) -> Moments:
    """Return a trace, as often as it takes, at another mean rate."""
    once_ns = trace_ns.size * queueing.SECOND_NS / rate_per_s
    recorded_ns = int(trace_ns[-1]) * trace_ns.size / int((trace_ns > 0).sum())
    times, places = np.divmod(np.arange(count), trace_ns.size)
    return np.rint(trace_ns[places] * (once_ns / recorded_ns) + once_ns * times).astype(np.int64)


@dataclass(frozen=True)
class Rule:
    """What is served next, see `queueing.serve`; ``skip_late`` skips by the deadline."""

    policy: Policy = "queue"
    queue_limit: int | None = None


@dataclass(frozen=True)
class Schedule:
    """The arrivals of a stream, the first ``ramp`` of them its ramp; N arrivals.

    moments_ns : int64 [N]
        when each comes, from the start of the stream.
    places, samples : [N]
        in which of the stream's rounds it is, and which sample; every round has each sample once.
    rounds, round_size
        how many rounds, of how many samples.
    """

    moments_ns: Moments
    places: NDArray[np.intp]
    samples: NDArray[np.intp]
    ramp: int
    rounds: int
    round_size: int


@dataclass(frozen=True)
class Played:
    """A stream as it would have run: N arrivals in their order, those of the ramp first.

    schedule
        what arrived when.
    wait_ns : int64 [N]
        arrival to start; -1 where it was dropped.
    response_ns : float64 [N]
        arrival to answer; +inf where there is none.
    """

    schedule: Schedule
    wait_ns: NDArray[np.int64]
    response_ns: NDArray[np.float64]

    @property
    def after_ramp(self) -> slice:
        """The arrivals that count."""
        return slice(self.schedule.ramp, None)

    def by_round(self) -> NDArray[np.float64]:
        """Return the responses in ns by round and sample, [r, S]."""
        schedule, kept = self.schedule, self.after_ramp
        found = np.empty((schedule.rounds, schedule.round_size))
        found[schedule.places[kept], schedule.samples[kept]] = self.response_ns[kept]
        return found


def can_play(data: TrialData) -> bool:
    """Return whether a trial's times are those of a closed loop, one sample after another; others hold waits, or several at once."""
    trial = data.record.trial
    return trial.measurement.batch == 1 and trial.in_flight == 1 and set(data.times) == {"inference", "total"}


def streams_of(data: TrialData) -> list[NDArray[np.intp]]:
    """Return the stored rounds of each stream, by place: those of a visit, else `ENOUGH_STREAMS` blocks of rounds that follow each other.

    A visit of one round, by the median, is too short for a stream.
    Rounds that ended early have no times for the samples that were never measured, and are left out.
    """
    whole = np.ones(len(data.times[PRIMARY_CLOCK]), dtype=np.bool_)
    whole[: data.incomplete.size] &= ~data.incomplete
    rounds = np.flatnonzero(whole)
    if data.turns is None or np.median(np.unique(data.turns, return_counts=True)[1]) < 2:
        return [block for block in np.array_split(rounds, ENOUGH_STREAMS) if block.size]
    visits = data.turns[rounds]
    order = np.argsort(visits, kind="stable")
    return np.split(rounds[order], np.flatnonzero(np.diff(visits[order])) + 1) if rounds.size else []


def services_of(data: TrialData) -> NDArray[np.int64]:
    """Return how long each inference occupies the server, ns, [R, S].

    That is its stored total time. A sample on which the model failed has none: it counts as long as the longest of its round, and its
    answer is late.
    """
    times = data.times[PRIMARY_CLOCK]
    known = np.isfinite(times)
    longest = np.where(known, times, 0.0).max(axis=1, keepdims=True)
    longest[longest == 0] = longest.max(initial=1.0)
    return np.where(known, times, longest).astype(np.int64)


def schedule_of(law: Arrivals, rate_per_s: float, rounds: int, samples: int, stream: int) -> Schedule:
    """Return the schedule of a stream by its number: whole rounds in their stored order, each in a new order of samples.

    The ramp goes through the same rounds before that. The same seed and number give the same arrivals whatever the trial.
    """
    random = np.random.default_rng([law.seed, stream])
    ramp = math.ceil(max(queueing.LEAST_RAMP_S * rate_per_s, queueing.RAMP_SHARE * rounds * samples))
    before = -(-ramp // samples)
    moments = law.of(ramp + rounds * samples, rate_per_s, random)
    orders = [random.permutation(samples) for _ in range(rounds + before)]
    whole = np.concatenate(orders[:rounds]), np.repeat(np.arange(rounds), samples)
    first = np.concatenate(orders[rounds:])[:ramp], np.repeat(np.arange(before) % rounds, samples)[:ramp]
    return Schedule(moments, np.concatenate([first[1], whole[1]]), np.concatenate([first[0], whole[0]]), ramp, rounds, samples)


def play(
    data: TrialData, services: NDArray[np.int64], rounds: NDArray[np.intp], schedule: Schedule, rule: Rule, deadline_ns: int
) -> Played:
    """Return a stream of a trial under arrivals.

    Parameters
    ----------
    services : [R, S]
        as `services_of` gives them.
    rounds : [schedule.rounds]
        which stored rounds the stream is made of, by place.
    """
    at = rounds[schedule.places], schedule.samples
    skips_by = deadline_ns if rule.policy == "skip_late" else None
    served = serve(schedule.moments_ns, services[at], rule.policy, skips_by, rule.queue_limit)
    response = np.where(served.dropped, np.inf, served.wait_ns + data.times[PRIMARY_CLOCK][at])
    return Played(schedule, served.wait_ns, response)
