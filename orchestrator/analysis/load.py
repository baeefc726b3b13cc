"""Proof of the schedule: what a load asked for, what was delivered, what our own loop added, and whether the backlog grew."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.load import LoadConfig
from orchestrator.stats import queueing
from orchestrator.stats.arrivals import SECOND_NS
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.storage import schema
from orchestrator.storage.typed_rows import Int32, Int64, Labels

NOT_KEPT = "schedule not kept"
OVERLOADED = "overloaded"
FEW_STREAMS = "few streams"
ENOUGH_STREAMS = 12
UNKNOWN = "unknown"
"""What is not told of imported trials."""
LONGEST_DELAY_NS, DELAY_SHARE = 1_000_000, 0.01
"""Our own delay may take the longer of 1 ms and this share of the primary threshold, by its p99."""
RATE_OFF = 0.005
"""By this share the delivered rate may differ from that of the schedule."""


class LoadRow(Labels):
    """One row per trial under load. Ramps are left out."""

    load: Annotated[str, "the load in words, such as `poisson 40/s newest`"]
    policy: Annotated[str, "what is served when the server becomes free; `unknown` of imported trials"]
    idle: Annotated[str, "what the process does until the next arrival: `sleep`, `spin` or `unknown`"]
    streams: Annotated[Int32, "how many; the unit of intervals"]
    rounds: Annotated[Int32, "of all streams"]
    arrivals: Annotated[Int64, "samples that arrived in them"]
    asked_per_s: Annotated[float | None, "samples a second that the load asks for; null for a trace"]
    scheduled_per_s: Annotated[float, "samples a second of the schedule as it was drawn"]
    delivered_per_s: Annotated[float, "samples a second that were started or dropped, over their span"]
    own_delay_p50_ns: Annotated[float | None, "own delay: start minus arrival of samples that found the server idle for `load.spin_us`"]
    own_delay_p99_ns: Annotated[float | None, "the same"]
    own_delay_max_ns: Annotated[float | None, "the same"]
    idle_arrivals: Annotated[Int64, "samples that found the server idle so long"]
    gap_error_p50_ns: Annotated[float | None, "by how much the distance of two such starts differs from that of their arrivals"]
    gap_error_p99_ns: Annotated[float | None, "the same"]
    spacing_p: Annotated[float | None, "p-value of the schedule's gaps against the law asked for; null for `periodic` and `trace`"]
    queued_gap_p50_ns: Annotated[float | None, "from the end of an inference to the next start where samples waited"]
    utilisation: Annotated[float | None, "scheduled rate x mean total time of the samples that were served, one by one; null if none was"]
    mean_wait_ns: Annotated[float | None, "mean of arrival to start"]
    dropped_share: Annotated[float, "samples that were never started"]
    overloaded_streams: Annotated[Int32, "streams that ended early because too many samples waited"]
    foreign_cpu_ns: Annotated[float | None, "time that other processes had on the trial's cores, of all streams"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


@dataclass(frozen=True)
class Schedules:
    """The streams of a trial, arrivals in order: moments, starts, ends (ns from each stream's start, NaN where not served).

    lanes, longest_ns
        how many samples could be on their way at once, and how long one that failed was so at most.
    """

    moments: Sequence[NDArray[np.float64]]
    starts: Sequence[NDArray[np.float64]]
    ends: Sequence[NDArray[np.float64]]
    lanes: int = 1
    longest_ns: float = math.inf

    def of_arrivals(self) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Yield moments and starts of each stream."""
        yield from zip(self.moments, self.starts, strict=True)


def schedules_of(data: TrialData) -> Schedules:
    """Return the streams of a trial that was measured under load, without those that a fault cut short.

    Of imported ones, rounds may lack a sample, which then never arrived; and as many samples could be on their way as ever were at once.
    """
    assert data.arrivals is not None
    assert data.streams is not None
    cut = set() if data.record.imported else set(data.streams[data.incomplete].tolist())
    moments, starts, ends = [], [], []
    for stream in np.unique(data.streams):
        if int(stream) in cut:
            continue
        mine = data.streams == stream
        at = data.arrivals[mine].ravel()
        order = np.argsort(at, kind="stable")[: np.count_nonzero(np.isfinite(at))]
        end = at + data.times[Clock.RESPONSE][mine].ravel()
        end[~np.isfinite(end)] = np.nan
        moments.append(at[order])
        ends.append(end[order])
        starts.append((end - data.times[PRIMARY_CLOCK][mine].ravel())[order])
    trial = data.record.trial
    lanes = max(map(most_at_once, starts, ends), default=1) if data.record.imported else trial.in_flight
    return Schedules(moments, starts, ends, lanes, trial.server.timeout_s * SECOND_NS)


def most_at_once(starts: NDArray[np.float64], ends: NDArray[np.float64]) -> int:
    """Return how many samples of a stream were on their way at one moment, at most; at least 1. One may begin as another ends."""
    begun, over = np.sort(starts[np.isfinite(starts)]), np.sort(ends[np.isfinite(ends)])
    running = np.arange(1, begun.size + 1) - np.searchsorted(over, begun, side="right")
    return int(running.max(initial=1))


@dataclass(frozen=True)
class _Delivery:
    """What became of a schedule: the streams, samples a second as drawn and as delivered, and our own part of it, all streams together."""

    found: Schedules
    scheduled: float
    delivered: float
    delays: NDArray[np.float64]
    gap_errors: NDArray[np.float64]
    queued_gaps: NDArray[np.float64]


def _delivery(data: TrialData) -> _Delivery:
    found = schedules_of(data)
    moments = [at for at in found.moments if at.size > 1]
    span_s = sum(float(at[-1] - at[0]) for at in moments) / SECOND_NS
    scheduled = sum(at.size - 1 for at in moments) / span_s if span_s > 0 else math.nan
    return _Delivery(found, scheduled, delivered_per_s(found, scheduled), *_own(found, data.record.trial.load))


def load_rows(data: TrialData, flags: Sequence[str]) -> Iterator[LoadRow]:
    """Yield the row of one trial for ``load.parquet``; none for a closed loop. ``flags`` hold those of `load_flags`."""
    if data.arrivals is None or data.streams is None:
        return
    load, delivery = data.record.trial.load, _delivery(data)
    found, delays = delivery.found, delivery.delays
    served = data.times[PRIMARY_CLOCK][np.isfinite(data.times[PRIMARY_CLOCK])]
    waits = np.concatenate([np.zeros(0), *((start - at)[np.isfinite(start)] for at, start in found.of_arrivals())])
    evidence = data.evidence.get("foreign_cpu_ns", np.zeros(0))
    yield {
        **data.record.labels(),
        "load": load.words,
        "policy": UNKNOWN if data.record.imported else load.policy,
        "idle": UNKNOWN if data.record.imported else load.idle,
        "streams": len(np.unique(data.streams)),
        "rounds": len(data.streams),
        "arrivals": int(data.arrivals.size),
        "asked_per_s": load.rate_per_s,
        "scheduled_per_s": delivery.scheduled,
        "delivered_per_s": delivery.delivered,
        "own_delay_p50_ns": _percentile(delays, 50),
        "own_delay_p99_ns": _percentile(delays, 99),
        "own_delay_max_ns": _percentile(delays, 100),
        "idle_arrivals": delays.size,
        "gap_error_p50_ns": _percentile(delivery.gap_errors, 50),
        "gap_error_p99_ns": _percentile(delivery.gap_errors, 99),
        "spacing_p": _spacing([at for at in found.moments if at.size > 1], load),
        "queued_gap_p50_ns": _percentile(delivery.queued_gaps, 50),
        "utilisation": delivery.scheduled * float(served.mean()) / SECOND_NS if served.size else None,
        "mean_wait_ns": float(waits.mean()) if waits.size else None,
        "dropped_share": float((data.outcome == schema.DROPPED).mean()),
        "overloaded_streams": int(np.unique(data.streams[data.overloaded]).size),
        "foreign_cpu_ns": float(np.nansum(evidence)) if np.isfinite(evidence).any() else None,
        "flags": list(flags),
    }


def load_flags(data: TrialData, primary: Threshold | None) -> tuple[str, ...]:
    """Return what must be known of every figure of a trial under load; nothing of a closed loop."""
    if data.arrivals is None or data.streams is None:
        return ()
    delivery = _delivery(data)
    scheduled = delivery.scheduled
    allowed = max(LONGEST_DELAY_NS, DELAY_SHARE * (primary.ns if primary is not None else 0))
    late = (_percentile(delivery.delays, 99) or 0.0) > allowed
    off = abs(delivery.delivered / scheduled - 1) > RATE_OFF if scheduled > 0 else False
    few = len(np.unique(data.streams)) < ENOUGH_STREAMS
    return (
        *([NOT_KEPT] if late or off else []),
        *([OVERLOADED] if is_overloaded(data, delivery.found) else []),
        *([FEW_STREAMS] if few else []),
    )


def is_overloaded(data: TrialData, found: Schedules) -> bool:
    """Return whether a stream ended early for its backlog, or waits grow through the streams."""
    if bool(data.overloaded.any()):
        return True
    served = data.times[PRIMARY_CLOCK][np.isfinite(data.times[PRIMARY_CLOCK])]
    series = [(at[np.isfinite(start)], (start - at)[np.isfinite(start)]) for at, start in found.of_arrivals()]
    return bool(served.size) and queueing.backlog_grows(series, float(served.mean()))


def delivered_per_s(found: Schedules, scheduled: float) -> float:
    """Return the rate at which samples were started or dropped: where one found the server idle its start counts, else its arrival.

    That a sample waits is the system's doing and part of its response; that it is started late although nothing was due is ours.
    """
    span, gaps = 0.0, 0
    for at, start, end in zip(found.moments, found.starts, found.ends, strict=True):
        free = free_since(at, end, found.lanes, found.longest_ns)
        when = np.where(np.isfinite(start) & (at > free), start, at)
        if when.size > 1 and when[-1] > when[0]:
            span, gaps = span + float(when[-1] - when[0]), gaps + when.size - 1
    return gaps / (span / SECOND_NS) if span else scheduled


def free_since(at: NDArray[np.float64], end: NDArray[np.float64], lanes: int, longest_ns: float) -> NDArray[np.float64]:
    """Return since when the server could take each arrival, in ns, [N]; NaN where that is not known.

    Of one lane the first is not known: the ramp before it may have kept the server busy. Of several that is so for as many as there are
    lanes, which count as free. A request that failed has no end: its lane counts as taken for as long as it may have been.
    """
    if lanes == 1:
        return np.concatenate([[np.nan], np.fmax.accumulate(end)[:-1]])
    free = np.full(at.size, -math.inf)
    taken: list[float] = []
    for number, (moment, over) in enumerate(zip(at.tolist(), end.tolist(), strict=True)):
        if len(taken) >= lanes:
            free[number] = heapq.heappop(taken)
        heapq.heappush(taken, over if math.isfinite(over) else max(moment, free[number]) + longest_ns)
    return free


def _own(found: Schedules, load: LoadConfig) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return own delays, errors of gaps, and gaps between inferences where samples waited, all in ns, over all streams."""
    delays, errors, queued = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for at, start, end in zip(found.moments, found.starts, found.ends, strict=True):
        served = np.isfinite(start)
        if found.lanes > 1:
            ready = free_since(at, end, found.lanes, found.longest_ns)[served]
            arrival, begin = at[served], start[served]
            delay, idle = queueing.own_delays(arrival, begin, ready, round(load.spin_us * 1000))
            delays.append(delay)
            errors.append(queueing.gap_errors(arrival, begin, idle))
            queued.append((begin - ready)[arrival <= ready])
            continue
        arrival, begin, over = at[served], start[served], end[served]
        fresh = np.ones(begin.size, dtype=bool)
        fresh[1:] = np.diff(begin) > 0  # samples of a batch start together
        arrival, begin, over = arrival[fresh][1:], begin[fresh][1:], over[fresh]
        if not begin.size:
            continue
        free = over[:-1]
        delay, idle = queueing.own_delays(arrival, begin, free, round(load.spin_us * 1000))
        delays.append(delay)
        errors.append(queueing.gap_errors(arrival, begin, idle))
        queued.append((begin - free)[arrival <= free])
    return np.concatenate(delays), np.concatenate(errors), np.concatenate(queued)


def _spacing(moments: Sequence[NDArray[np.float64]], load: LoadConfig) -> float | None:
    """Return the p-value of the gaps between groups against the law asked for; a group that a stream's end or ramp cuts counts once."""
    if load.name not in ("poisson", "gamma") or not moments or load.rate_per_s is None:
        return None
    gaps = np.concatenate([np.diff(np.unique(at) if load.group > 1 else at) for at in moments])
    shape = load.burstiness if load.name == "gamma" else 1.0
    return queueing.spacing_p_value(gaps, load.group * SECOND_NS / load.rate_per_s, shape) if gaps.size else None


def _percentile(values: NDArray[np.float64], percent: float) -> float | None:
    return float(percentile_inverted_cdf(values, percent)) if values.size else None
