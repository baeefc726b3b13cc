"""Stored closed-loop times under arrivals that they never met, and answers held until the next."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.analysis.standing import gains_of_pairs
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats import queueing
from orchestrator.stats.constants import FEWEST_UNITS
from orchestrator.stats.queueing import AnyPolicy, serve, standing
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.stats.units import Floats

Moments: TypeAlias = NDArray[np.int64]
# Rates that differ by less than this share are one; by so much may moments of a trace differ.
SAME_RATE, SAME_MOMENT_NS = 1e-5, 1000.0


@dataclass(frozen=True)
class Arrivals:
    """A law of arrivals, of so many at once (group); burstiness is the shape of a gamma law.

    A recorded trace has moments from its first on, ascending, and begins again after a mean gap.
    """

    law: Literal["periodic", "poisson", "gamma", "trace"]
    group: int = 1
    burstiness: float = 1.0
    seed: int = 0
    trace_ns: Moments | None = None

    def of(self, count: int, rate_per_s: float, random: np.random.Generator) -> Moments:
        """Return ``count`` moments in ns, ascending, at a mean rate of samples."""
        if self.law != "trace":
            shape = self.group, self.burstiness
            return queueing.drawn(self.law, count, rate_per_s, random, *shape)
        assert self.trace_ns is not None
        size = self.trace_ns.size
        once_ns = size * queueing.SECOND_NS / rate_per_s
        recorded_ns = int(self.trace_ns[-1]) * size / int((self.trace_ns > 0).sum())
        times, places = np.divmod(np.arange(count), size)
        return np.rint(self.trace_ns[places] * (once_ns / recorded_ns) + once_ns * times).astype(
            np.int64
        )


@dataclass(frozen=True)
class Rule:
    """What is served next, see `queueing.serve`; ``skip_late`` skips by the deadline."""

    policy: AnyPolicy = "queue"
    queue_limit: int | None = None


@dataclass(frozen=True)
class Schedule:
    """The N arrivals of a stream, the first ``ramp`` of them its ramp.

    Each comes at a moment from the start of the stream, [N], and belongs to one of the stream's
    rounds by place and to a sample, [N]; every round has each sample once.
    """

    moments_ns: Moments
    places: NDArray[np.intp]
    samples: NDArray[np.intp]
    ramp: int
    rounds: int


@dataclass(frozen=True)
class Played:
    """A stream as it would have run: N arrivals in their order, those of the ramp first.

    Waits, [N], last from arrival to start, -1 where it was dropped; responses to the answer, +inf
    where there is none. ``by_round`` has responses by round and sample, [r, S].
    """

    schedule: Schedule
    wait_ns: NDArray[np.int64]
    response_ns: Floats

    @property
    def after_ramp(self) -> slice:
        return slice(self.schedule.ramp, None)

    def by_round(self) -> Floats:
        schedule, kept = self.schedule, self.after_ramp
        found = np.empty((schedule.rounds, self.response_ns[kept].size // schedule.rounds))
        found[schedule.places[kept], schedule.samples[kept]] = self.response_ns[kept]
        return found


def can_play(data: TrialData) -> bool:
    """Return whether times are those of a closed loop, one sample after another, without waits."""
    trial, clocks = data.record.trial, set(data.times)
    return trial.measurement.batch == trial.in_flight == 1 and clocks == {"inference", "total"}


def streams_of(data: TrialData) -> list[NDArray[np.intp]]:
    """Return the stored rounds of each stream, by place: those of a visit, else blocks of rounds.

    A visit of one round, by the median, is too short for a stream. Rounds that ended early have no
    times for the samples that were never measured, and are left out.
    """
    every = np.arange(len(data.times[PRIMARY_CLOCK]))
    rounds = np.setdiff1d(every, np.flatnonzero(data.incomplete))
    if data.turns is None or np.median(np.unique(data.turns, return_counts=True)[1]) < 2:
        return [block for block in np.array_split(rounds, FEWEST_UNITS) if block.size]
    visits = data.turns[rounds]
    order = np.argsort(visits, kind="stable")
    begins = np.flatnonzero(np.diff(visits[order])) + 1
    return np.split(rounds[order], begins) if rounds.size else []


def services_of(data: TrialData) -> NDArray[np.int64]:
    """Return how long each inference occupies the server, ns, [R, S]: its stored total time.

    A sample on which the model failed counts as long as the longest of its round.
    """
    times = data.times[PRIMARY_CLOCK]
    known = np.isfinite(times)
    longest = np.where(known, times, 0.0).max(axis=1, keepdims=True)
    longest[longest == 0] = longest.max(initial=1.0)
    return np.where(known, times, longest).astype(np.int64)


def schedule_of(
    law: Arrivals, rate_per_s: float, rounds: int, samples: int, stream: int
) -> Schedule:
    """Return the schedule of a stream by its number: rounds as stored, in new orders of samples.

    The ramp goes through the same rounds before that. The same seed and number give the same
    arrivals whatever the trial.
    """
    random = np.random.default_rng([law.seed, stream])
    ramp = math.ceil(
        max(queueing.LEAST_RAMP_S * rate_per_s, queueing.RAMP_SHARE * rounds * samples)
    )
    before = -(-ramp // samples)
    moments = law.of(ramp + rounds * samples, rate_per_s, random)
    orders = [random.permutation(samples) for _ in range(rounds + before)]
    first = np.repeat(np.arange(before) % rounds, samples)[:ramp]
    places = np.concatenate([first, np.repeat(np.arange(rounds), samples)])
    chosen = np.concatenate([np.concatenate(orders[rounds:])[:ramp], *orders[:rounds]])
    return Schedule(moments, places, chosen, ramp, rounds)


def play(
    data: TrialData,
    services: NDArray[np.int64],
    rounds: NDArray[np.intp],
    schedule: Schedule,
    rule: Rule,
    deadline_ns: int,
) -> Played:
    """Return a stream of a trial under arrivals.

    ``services``, [R, S], are those of `services_of`; ``rounds``, [r], the stored ones by place.
    """
    at = rounds[schedule.places], schedule.samples
    skips_by = deadline_ns if rule.policy == "skip_late" else None
    waits = serve(schedule.moments_ns, services[at], rule.policy, skips_by, rule.queue_limit)
    response = np.where(waits < 0, np.inf, waits + data.times[PRIMARY_CLOCK][at])
    return Played(schedule, waits, response)


def under_load(
    data: TrialData,
    law: Arrivals,
    rule: Rule,
    rate_per_s: float,
    deadline: Threshold,
    trials: Iterable[TrialData],
) -> TrialData | None:
    """Return the trial that measured under a load what a closed loop measured without, or None."""
    mine = data.record.trial
    shape = law.burstiness if law.law == "gamma" else 1.0
    asked = (law.law, law.group, shape, rule.policy, rule.queue_limit)
    for other in trials:
        theirs, load = other.record.trial, other.record.trial.load
        shape = load.burstiness if load.name == "gamma" else 1.0
        skipped_ns = round((load.deadline_ms or 0) * 1e6)
        if (
            all(
                getattr(theirs, part) == getattr(mine, part)
                for part in ("model", "task", "system", "runtime", "repeat")
            )
            and other.record.digests.get("data") == data.record.digests.get("data")
            and theirs.measurement.batch == 1
            and asked == (load.name, load.group, shape, load.policy, load.queue_limit)
            and (load.policy != "skip_late" or skipped_ns == deadline.ns)
            and _has_rate(other, law, rate_per_s)
        ):
            return other
    return None


def _has_rate(other: TrialData, law: Arrivals, rate_per_s: float) -> bool:
    """Return whether a trial was measured at a rate, or with the moments of a trace at that rate.

    Its arrivals are then moments of the trace, none left out between first and last; whole streams
    say so.
    """
    load = other.record.trial.load
    if load.rate_per_s is not None:
        return abs(load.rate_per_s / rate_per_s - 1) < SAME_RATE
    if law.trace_ns is None or other.arrivals is None or other.streams is None:
        return False
    same = abs(queueing.mean_rate(law.trace_ns) * load.speed / rate_per_s - 1) < SAME_RATE
    whole = np.setdiff1d(other.streams, other.streams[other.incomplete])
    parts = [np.sort(other.arrivals[other.streams == number].ravel()) for number in whole]
    moments_ns = law.trace_ns / load.speed
    return same and bool(parts) and all(_is_part(part, moments_ns) for part in parts)


def _is_part(arrived_ns: Floats, moments_ns: Floats) -> bool:
    first, last = arrived_ns[[0, -1]] - SAME_MOMENT_NS  # at the last some may be of no round
    own = arrived_ns[arrived_ns < last]
    traced = moments_ns[(moments_ns >= first) & (moments_ns < last)]
    same = own.size == traced.size and np.allclose(own, traced, rtol=0, atol=SAME_MOMENT_NS)
    return bool(same and last <= moments_ns[-1])


class Answered(NamedTuple):
    """The N arrivals of a stream in order: sample, moment, response in ns, and which count."""

    samples: NDArray[np.intp]
    moments_ns: ArrayLike
    response_ns: Floats
    counts: slice


def held_mean(data: TrialData, streams: Iterable[Answered], deadline_ns: float) -> float | None:
    """Return mean quality with the newest answer held that is there when one is due.

    It is a mean over streams; before the first answer nothing counts. None where the metric is no
    mean, there is no stream, or its answers are not here or changed.
    """
    judged, found = data.judged(data.metric), []
    for one in streams:
        arrived = np.asarray(one.moments_ns)
        stands = standing(arrived + deadline_ns, arrived + one.response_ns)
        answers = np.where(stands < 0, -1, one.samples[stands])
        found.append((answers[one.counts], one.samples[one.counts]))
    if not (judged.is_mean and found) or data.others or data.record.imported:
        return None
    answers, samples = map(np.concatenate, zip(*found, strict=True))
    gains = gains_of_pairs([data], answers, samples)
    sizes = np.cumsum([own.size for own, _ in found])[:-1]
    return judged.shown(float(np.mean([one.mean() for one in np.split(gains, sizes)])))


def answered_under_load(data: TrialData) -> Iterator[Answered]:
    """Yield the whole streams of a trial under load; their ramps are not among them."""
    assert data.streams is not None
    assert data.arrivals is not None
    response = data.times[Clock.RESPONSE]
    for stream in np.unique(data.streams):
        own = data.streams == stream
        if not data.incomplete[own].any():
            order = np.argsort(data.arrivals[own], axis=None, kind="stable")
            samples = np.tile(np.arange(response.shape[1]), int(own.sum()))
            arrived, took = (of[own].ravel()[order] for of in (data.arrivals, response))
            yield Answered(samples[order], arrived, took, slice(None))
