"""The streams of a trial under load as they were served: its inferences, since when each could have begun, and what our own loop added."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats import queueing
from orchestrator.stats.queueing import SECOND_NS
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.storage import schema

Floats = NDArray[np.float64]
FAILED = (schema.ERROR, schema.TIMEOUT, schema.LOST)
"""Outcomes of samples that kept the server busy, nobody knows from when to when."""


@dataclass(frozen=True)
class Served:
    """A stream's arrivals in their order: N of them, ns from its start.

    at, start, end
        when each arrived, started and ended, [N]; NaN where it has no time.
    failed
        whether it was started and has no time all the same, [N].
    begins_idle
        whether the server had nothing to do when the stream began. Of a stream whose ramp is left out nobody knows.
    """

    at: Floats
    start: Floats
    end: Floats
    failed: NDArray[np.bool_]
    begins_idle: bool = False


@dataclass(frozen=True)
class Server:
    """How a trial serves.

    lanes
        how many samples could be on their way at once.
    batch, batch_wait_ns
        samples of an inference at most, and how long after the arrival of its oldest an incomplete one starts.
    longest_ns
        how long a sample that failed was on its way at most.
    """

    lanes: int = 1
    batch: int = 1
    batch_wait_ns: float = 0.0
    longest_ns: float = math.inf


@dataclass(frozen=True)
class Inferences:
    """What a stream's arrivals were served by: B inferences in the order of their starts, ns from the stream's start.

    of
        the number of each arrival's inference, [N]; -1 where it has none.
    due, free, start, end
        since when all was there that it waited for, and the server, [B]; when it started and ended. ``free`` is NaN where that is not
        known: before the first one, whose ramp is not looked at, and after a sample that failed. It is -inf where it always was.
    """

    of: NDArray[np.intp]
    due: Floats
    free: Floats
    start: Floats
    end: Floats


def server_of(data: TrialData, streams: Sequence[Served]) -> Server:
    """Return how a trial serves; of an imported one, as many samples could be on their way as ever were at once."""
    trial = data.record.trial
    lanes = max((most_at_once(one.start, one.end) for one in streams), default=1) if data.record.imported else trial.in_flight
    return Server(lanes, trial.measurement.batch, trial.load.batch_wait_ms * 1e6, trial.server.timeout_s * SECOND_NS)


def served_streams(data: TrialData) -> list[Served]:
    """Return the streams of a trial that was measured under load, without those that a fault cut short.

    Of imported ones, rounds may lack a sample, which then never arrived. They have no ramp, and one begins when all before it has ended;
    but of the first one, if requests before it are left over, nothing is known.
    """
    assert data.arrivals is not None
    assert data.streams is not None
    cut = set() if data.record.imported else set(data.streams[data.incomplete].tolist())
    whole = data.record.imported and data.record.facts.get("imported", {}).get("left_over") == 0
    found = []
    for number, stream in enumerate(np.unique(data.streams)):
        if int(stream) in cut:
            continue
        mine = data.streams == stream
        at = data.arrivals[mine].ravel()
        order = np.argsort(at, kind="stable")[: np.count_nonzero(np.isfinite(at))]
        end = at + data.times[Clock.RESPONSE][mine].ravel()
        end[~np.isfinite(end)] = np.nan
        start = end - data.times[PRIMARY_CLOCK][mine].ravel()
        failed = np.isin(data.outcome[mine].ravel(), FAILED)
        begins_idle = whole or (data.record.imported and number > 0)
        found.append(Served(at[order], start[order], end[order], failed[order], begins_idle))
    return found


def most_at_once(starts: Floats, ends: Floats) -> int:
    """Return how many samples of a stream were on their way at one moment, at most; at least 1. One may begin as another ends."""
    begun, over = np.sort(starts[np.isfinite(starts)]), np.sort(ends[np.isfinite(ends)])
    running = np.arange(1, begun.size + 1) - np.searchsorted(over, begun, side="right")
    return int(running.max(initial=1))


def inferences_of(stream: Served, server: Server) -> Inferences:
    """Return the inferences of a stream. Samples of a batch start together, and it is due when it is full, or has waited long enough."""
    of = np.full(stream.at.size, -1, dtype=np.intp)
    served = np.flatnonzero(np.isfinite(stream.start))
    at, start = stream.at[served], stream.start[served]
    if server.lanes > 1:
        of[served] = np.arange(served.size)
        free = free_in_lanes(stream.at, stream.end, server.lanes, server.longest_ns)[served]
        return Inferences(of, at, free, start, stream.end[served])
    first = np.ones(served.size, dtype=bool)
    first[1:] = np.diff(start) != 0
    of[served] = np.cumsum(first) - 1
    heads = np.flatnonzero(first)
    lasts = np.append(heads[1:], served.size)[: heads.size] - 1
    full = lasts - heads + 1 >= server.batch
    start, end = start[heads], stream.end[served][heads]
    # Of a batch that began in the ramp or ends after the last round only some samples are here.
    due = np.minimum(np.where(full, at[lasts], at[heads] + server.batch_wait_ns), start)
    free = np.full(start.size, -math.inf if stream.begins_idle else math.nan)
    free[1:] = end[:-1]
    failures = np.cumsum(stream.failed)[served[heads]]
    free[np.diff(failures, prepend=0) > 0] = np.nan
    return Inferences(of, due, free, start, end)


def free_in_lanes(at: Floats, end: Floats, lanes: int, longest_ns: float) -> Floats:
    """Return since when one of several lanes could take each arrival, in ns, [N].

    What the ramp kept busy is not known: as many as there are lanes count as free. A request that failed has no end: its lane counts as
    taken for as long as it may have been.
    """
    free = np.full(at.size, -math.inf)
    taken: list[float] = []
    for number, (moment, over) in enumerate(zip(at.tolist(), end.tolist(), strict=True)):
        if len(taken) >= lanes:
            free[number] = heapq.heappop(taken)
        heapq.heappush(taken, over if math.isfinite(over) else max(moment, free[number]) + longest_ns)
    return free


def found_idle(served: Inferences, idle_ns: float = 0.0) -> NDArray[np.bool_]:
    """Return which inferences found the server idle, since at least ``idle_ns``, [B]."""
    with np.errstate(invalid="ignore"):
        return np.asarray(served.due - served.free >= idle_ns) & ~np.isnan(served.free)


def lateness(served: Inferences, lanes: int = 1) -> Floats:
    """Return how much earlier each inference would have started if our own loop took no time, in ns, [B].

    Of one lane by Lindley's recursion, from every inference before which the server's state is not known: what our loop adds between two
    inferences puts off all that wait, until the server is idle. Of several lanes it is what was added to that start alone.
    """
    if lanes > 1:
        return served.start - np.fmax(served.due, served.free)
    found = np.zeros(served.start.size)
    unknown = np.isnan(served.free)
    begins = np.flatnonzero(unknown | (np.arange(unknown.size) == 0))
    for first, stop in zip(begins, np.append(begins[1:], served.start.size), strict=False):
        part = slice(int(first), int(stop))
        ready = served.due[part].copy()
        if unknown[first]:
            ready[:1] = served.start[part][:1]
        waits = queueing.waits(np.rint(ready).astype(np.int64), np.rint(served.end - served.start)[part].astype(np.int64))
        found[part] = served.start[part] - ready - waits
    return found


def delivered_per_s(streams: Sequence[Served], server: Server, group: int = 1) -> float | None:
    """Return the rate at which samples were started or dropped, had none waited for another: each at its arrival and `lateness`.

    That a sample waits for the server is the system's doing and part of its response; what our loop adds to that is ours. None where no
    stream has two moments.
    """
    counted, span_ns = 0, 0.0
    for stream in streams:
        served = inferences_of(stream, server)
        moments = stream.at.copy()
        moments[served.of >= 0] += lateness(served, server.lanes)[served.of[served.of >= 0]]
        if moments.size and moments[-1] > moments[0]:
            counted, span_ns = counted + arrivals_within(stream.at, group), span_ns + float(moments[-1] - moments[0])
    return counted * SECOND_NS / span_ns if span_ns else None


def scheduled_per_s(streams: Sequence[Served], group: int = 1) -> float | None:
    """Return the rate of the schedule as it was drawn, in samples a second; None where no stream has two moments."""
    spans = [(arrivals_within(one.at, group), float(one.at[-1] - one.at[0])) for one in streams if one.at.size]
    span_ns = sum(span for _, span in spans)
    return sum(counted for counted, span in spans if span) * SECOND_NS / span_ns if span_ns else None


def arrivals_within(at: Floats, group: int = 1) -> int:
    """Return how many samples arrive from the first moment to the last, the first moment left out; the last group counts as a whole."""
    first, last = int((at == at[0]).sum()), int((at == at[-1]).sum())
    return int(at.size) - first - last + max(group, last)
