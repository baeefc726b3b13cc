"""Trials under load: how streams were served, what our loop delivered, and their flags."""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.flags import STARVED
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import spans_ns
from orchestrator.stats import queueing
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.queueing import SECOND_NS
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.stats.units import Floats
from orchestrator.storage import schema
from orchestrator.storage.records import ALONE_CORES

NOT_KEPT, OVERLOADED = "schedule not kept", "overloaded"
# Our own delay may take the longer of 1 ms and this share of the primary threshold, by its p99.
LONGEST_DELAY_NS, DELAY_SHARE = 1_000_000, 0.01
RATE_OFF = 0.005  # by this share the delivered rate may differ from that of the schedule


@dataclass(frozen=True)
class Served:
    """A stream's arrivals in their order: when each arrived, started and ended, [N].

    In ns from its start, NaN where it has no time; one that ``failed`` was started all the same. A
    stream without its ramp may not know whether it ``begins_idle``: the server had nothing to do.
    """

    at: Floats
    start: Floats
    end: Floats
    failed: NDArray[np.bool_]
    begins_idle: bool = False


@dataclass(frozen=True)
class Server:
    """How a trial serves: so many samples at once (lanes), so many in a batch at most.

    The oldest of a batch waits so long for others; a failed sample was on its way so long at most.
    """

    lanes: int = 1
    batch: int = 1
    batch_wait_ns: float = 0.0
    longest_ns: float = math.inf


@dataclass(frozen=True)
class Inferences:
    """What served a stream: B inferences in the order of their starts, ns from the stream's start.

    Each arrival is ``of`` one by number, [N]; -1 where it has none. All samples that it waited for
    are there since ``due``, [B], the server is ``free`` since then, [B]: NaN where that is unknown,
    after a ramp or a sample that failed; -inf where it always was.
    """

    of: NDArray[np.intp]
    due: Floats
    free: Floats
    start: Floats
    end: Floats


def served_streams(data: TrialData) -> tuple[list[Served], Server]:
    """Return the streams of a trial under load that no fault cut short, and how it serves.

    Of imported ones, rounds may lack a sample, which then never arrived. They have no ramp, and one
    begins when all before it has ended; of the first nothing is known where requests are left over.
    As many samples could be on their way as ever were at once.
    """
    assert data.arrivals is not None
    assert data.streams is not None
    trial, imported = data.record.trial, data.record.imported
    cut = data.streams[data.incomplete & (not imported)]
    whole = imported and data.record.facts.get("imported", {}).get("left_over") == 0
    streams = []
    for number, stream in enumerate(np.setdiff1d(data.streams, cut)):
        mine = data.streams == stream
        at = data.arrivals[mine].ravel()
        order = np.argsort(at, kind="stable")[: np.count_nonzero(np.isfinite(at))]
        end = at + data.times[Clock.RESPONSE][mine].ravel()
        end[~np.isfinite(end)] = np.nan
        start = end - data.times[PRIMARY_CLOCK][mine].ravel()
        # They kept the server busy, nobody knows from when to when.
        failed = np.isin(data.outcome[mine].ravel(), schema.FAILED)
        begins_idle = whole or (imported and number > 0)
        streams.append(Served(at[order], start[order], end[order], failed[order], begins_idle))
    lanes = trial.in_flight
    if imported:
        lanes = max((most_at_once(one.start, one.end) for one in streams), default=1)
    wait_ns, longest_ns = trial.load.batch_wait_ms * 1e6, trial.server.timeout_s * SECOND_NS
    return streams, Server(lanes, trial.measurement.batch, wait_ns, longest_ns)


def most_at_once(starts: Floats, ends: Floats) -> int:
    """Return how many samples of a stream were on their way at once at most, at least 1."""
    begun, over = np.sort(starts[np.isfinite(starts)]), np.sort(ends[np.isfinite(ends)])
    ended = np.searchsorted(over, begun, side="right")
    return int((np.arange(1, begun.size + 1) - ended).max(initial=1))


def inferences_of(stream: Served, server: Server) -> Inferences:
    """Return the inferences of a stream; a batch is due when full, or having waited long enough."""
    of = np.full(stream.at.size, -1, dtype=np.intp)
    served = np.flatnonzero(np.isfinite(stream.start))
    at, start = stream.at[served], stream.start[served]
    if server.lanes > 1:
        of[served] = np.arange(served.size)
        free = free_in_lanes(stream.at, stream.end, server.lanes, server.longest_ns)[served]
        return Inferences(of, at, free, start, stream.end[served])
    first = np.diff(start, prepend=np.nan) != 0
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

    What the ramp kept busy is not known: as many as there are lanes count as free. A request that
    failed has no end: its lane counts as taken for as long as it may have been.
    """
    free = np.full(at.size, -math.inf)
    taken: list[float] = []
    for number, (moment, over) in enumerate(zip(at.tolist(), end.tolist(), strict=True)):
        if len(taken) >= lanes:
            free[number] = heapq.heappop(taken)
        longest = max(moment, free[number]) + longest_ns
        heapq.heappush(taken, over if math.isfinite(over) else longest)
    return free


def found_idle(served: Inferences, idle_ns: float = 0.0) -> NDArray[np.bool_]:
    """Return which inferences found the server idle, since at least ``idle_ns``, [B]."""
    with np.errstate(invalid="ignore"):
        return np.asarray(served.due - served.free >= idle_ns) & ~np.isnan(served.free)


def lateness(served: Inferences, lanes: int = 1) -> Floats:
    """Return how much earlier each inference had started if our own loop took no time, in ns, [B].

    Of one lane by Lindley's recursion, from every inference before which the server's state is not
    known: what our loop adds between two inferences puts off all that wait, until the server is
    idle. Of several lanes it is what was added to that start alone.
    """
    if lanes > 1:
        return served.start - np.fmax(served.due, served.free)
    found = np.zeros(served.start.size)
    unknown = np.isnan(served.free)
    ready = np.where(unknown, served.start, served.due)
    services = np.rint(served.end - served.start).astype(np.int64)
    begins = np.union1d(0, np.flatnonzero(unknown)).tolist()
    for part in map(slice, begins, [*begins[1:], found.size]):
        waits = queueing.waits(np.rint(ready[part]).astype(np.int64), services[part])
        found[part] = served.start[part] - ready[part] - waits
    return found


def delivered_per_s(streams: Iterable[Served], server: Server, group: int = 1) -> float | None:
    """Return the rate at which samples were started or dropped, had none waited for another.

    Each at its arrival and `lateness`: that a sample waits for the server is the system's doing;
    what our loop adds to that is ours. None where no stream has two moments.
    """
    moments = []
    for stream in streams:
        served, moved = inferences_of(stream, server), stream.at.copy()
        moved[served.of >= 0] += lateness(served, server.lanes)[served.of[served.of >= 0]]
        moments.append((stream.at, moved))
    return rate_per_s(moments, group)


def rate_per_s(streams: Iterable[tuple[Floats, Floats]], group: int = 1) -> float | None:
    """Return the rate, samples a second, of streams of arrivals, [N], at other moments, [N].

    The first is left out, and the last group counts as a whole. None without two moments.
    """
    counted, span_ns = 0, 0.0
    for at, moments in streams:
        if at.size and moments[-1] > moments[0]:
            first, last = int((at == at[0]).sum()), int((at == at[-1]).sum())
            counted += int(at.size) - first - last + max(group, last)
            span_ns += float(moments[-1] - moments[0])
    return counted * SECOND_NS / span_ns if span_ns else None


@dataclass(frozen=True)
class Delivery:
    """What became of a schedule: samples a second as drawn and as delivered, and our part of it.

    Utilisation is the scheduled rate times the mean time of a served sample; ``lanes`` can be on
    their way. The others are in ns, of all streams together.
    """

    streams: Sequence[Served]
    scheduled: float | None
    delivered: float | None
    utilisation: float | None
    lanes: int
    delays: Floats
    gap_errors: Floats
    queued_gaps: Floats
    waits: Floats


def delivery_of(data: TrialData) -> Delivery:
    """Return what became of the schedule of a trial under load."""
    (streams, server), load = served_streams(data), data.record.trial.load
    found, busy_ns = [(np.zeros(0),) * 4], 0.0
    for stream in streams:
        served = inferences_of(stream, server)
        idle = found_idle(served, load.spin_us * 1000)
        found.append(
            (
                (served.start - served.due)[idle],
                queueing.gap_errors(served.due, served.start, idle),
                (served.start - served.free)[served.due <= served.free],
                (stream.start - stream.at)[np.isfinite(stream.start)],
            )
        )
        busy_ns += float((served.end - served.start).sum())
    delays, gap_errors, queued_gaps, waits = map(np.concatenate, zip(*found, strict=True))
    rate = rate_per_s([(one.at, one.at) for one in streams], load.group)
    return Delivery(
        streams,
        rate,
        delivered_per_s(streams, server, load.group),
        None if rate is None or not waits.size else rate * busy_ns / waits.size / SECOND_NS,
        server.lanes,
        *(delays, gap_errors, queued_gaps, waits),
    )


def load_flags(data: TrialData, primary: Threshold | None) -> tuple[str, ...]:
    """Return what must be known of every figure of a trial under load; nothing of a closed loop.

    It is overloaded where a stream ended early for its backlog, or waits grow through the streams.
    Where nothing is ever dropped they do so too when more arrives than can be answered, though
    streams were too short to show it.
    """
    if data.arrivals is None or data.streams is None:
        return ()
    delivery, load = delivery_of(data), data.record.trial.load
    outrun = delivery.utilisation is not None and delivery.utilisation >= delivery.lanes
    off = False  # what our loop adds to a server that cannot keep up is no matter
    if delivery.scheduled is not None and delivery.delivered is not None and not outrun:
        off = abs(delivery.delivered / delivery.scheduled - 1) > RATE_OFF
    allowed = max(LONGEST_DELAY_NS, DELAY_SHARE * (primary.ns if primary is not None else 0))
    never_drops = load.policy == "queue" and load.queue_limit is None
    served = data.times[PRIMARY_CLOCK][np.isfinite(data.times[PRIMARY_CLOCK])]
    known = [(one, np.isfinite(one.start)) for one in delivery.streams]
    waits = [(one.at[some], (one.start - one.at)[some]) for one, some in known]
    grows = served.size > 0 and queueing.backlog_grows(waits, float(served.mean()))
    told = (
        (NOT_KEPT, off or (percentile(delivery.delays, 99) or 0.0) > allowed),
        (OVERLOADED, data.overloaded.any() or (outrun and never_drops) or grows),
    )
    return tuple(flag for flag, holds in told if holds)


def neighbour_flags(data: TrialData) -> tuple[str, ...]:
    """Return a flag where the neighbour was starved.

    It can have what it takes alone, or half of that on cores that it shares with the system.
    """
    alone, used_ns = data.record.facts.get(ALONE_CORES), data.evidence.get("neighbour_cpu_ns")
    if used_ns is None or not isinstance(alone, float) or np.isnan(used_ns).all():
        return ()
    got = np.nansum(used_ns) / np.nansum(spans_ns(data.evidence)[np.isfinite(used_ns)])
    could = alone if data.record.trial.neighbour.cores in (None, "beside") else alone / 2
    return (f"{STARVED} ({got:.2f} of {could:.2f} cores)",) if got < could / 2 else ()


def percentile(values: Floats, percent: float) -> float | None:
    """Return a percentile of values, None where there are none."""
    return float(percentile_inverted_cdf(values, percent)) if values.size else None
