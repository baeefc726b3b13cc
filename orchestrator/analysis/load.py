"""Proof of the schedule: what a load asked for, what was delivered, what our own loop added, and whether the backlog grew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.served_streams import (
    Served,
    delivered_per_s,
    found_idle,
    inferences_of,
    scheduled_per_s,
    served_streams,
    server_of,
)
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.load import LoadConfig
from orchestrator.stats import queueing
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.queueing import SECOND_NS
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK
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
    scheduled_per_s: Annotated[float | None, "samples a second of the schedule as it was drawn; null where no stream has two moments"]
    delivered_per_s: Annotated[float | None, "the same of starts and drops, had no sample waited for another: what our loop made of it"]
    own_delay_p50_ns: Annotated[float | None, "own delay: start minus arrival of samples that found the server idle for `load.spin_us`"]
    own_delay_p99_ns: Annotated[float | None, "the same"]
    own_delay_max_ns: Annotated[float | None, "the same"]
    idle_arrivals: Annotated[Int64, "samples that found the server idle so long"]
    gap_error_p50_ns: Annotated[float | None, "by how much the distance of two such starts differs from that of their arrivals"]
    gap_error_p99_ns: Annotated[float | None, "the same"]
    spacing_p: Annotated[float | None, "p-value of the schedule's gaps against the law asked for; null for `periodic` and `trace`"]
    queued_gap_p50_ns: Annotated[float | None, "from the end of an inference to the next start where samples waited"]
    utilisation: Annotated[float | None, "scheduled rate x mean time that a served sample took, its part of a batch's; null if none was"]
    mean_wait_ns: Annotated[float | None, "mean of arrival to start"]
    dropped_share: Annotated[float, "samples that were never started"]
    overloaded_streams: Annotated[Int32, "streams that ended early because too many samples waited"]
    foreign_cpu_ns: Annotated[float | None, "time that other processes had on the trial's cores, of all streams"]
    flags: Annotated[list[str], "what a reader must know of the figures"]


@dataclass(frozen=True)
class _Delivery:
    """What became of a schedule: samples a second as drawn and as delivered, our own part of it, and how busy the server was.

    delays, gap_errors, queued_gaps, waits
        ns, of all streams together.
    utilisation
        as in `LoadRow`; ``lanes`` samples can be on their way at once.
    """

    streams: Sequence[Served]
    scheduled: float | None
    delivered: float | None
    delays: NDArray[np.float64]
    gap_errors: NDArray[np.float64]
    queued_gaps: NDArray[np.float64]
    waits: NDArray[np.float64]
    utilisation: float | None
    lanes: int

    @property
    def outrun(self) -> bool:
        """Whether samples arrive faster than the server answers them, our own part left out."""
        return self.utilisation is not None and self.utilisation >= self.lanes

    @property
    def off(self) -> bool:
        """Whether our loop has made another rate of the schedule; what it adds to a server that cannot keep up is no matter."""
        if self.scheduled is None or self.delivered is None or self.outrun:
            return False
        return abs(self.delivered / self.scheduled - 1) > RATE_OFF


def _delivery(data: TrialData) -> _Delivery:
    streams, load = served_streams(data), data.record.trial.load
    server = server_of(data, streams)
    delays, errors, queued, waits = ([np.zeros(0)] for _ in range(4))
    busy_ns = 0.0
    for stream in streams:
        served = inferences_of(stream, server)
        idle = found_idle(served, load.spin_us * 1000)
        delays.append((served.start - served.due)[idle])
        errors.append(queueing.gap_errors(served.due, served.start, idle))
        queued.append((served.start - served.free)[served.due <= served.free])
        waits.append((stream.start - stream.at)[np.isfinite(stream.start)])
        busy_ns += float((served.end - served.start).sum())
    scheduled, started = scheduled_per_s(streams, load.group), sum(one.size for one in waits)
    return _Delivery(
        streams,
        scheduled,
        delivered_per_s(streams, server, load.group),
        delays=np.concatenate(delays),
        gap_errors=np.concatenate(errors),
        queued_gaps=np.concatenate(queued),
        waits=np.concatenate(waits),
        utilisation=None if scheduled is None or not started else scheduled * busy_ns / started / SECOND_NS,
        lanes=server.lanes,
    )


def load_rows(data: TrialData, flags: Sequence[str]) -> Iterator[LoadRow]:
    """Yield the row of one trial for ``load.parquet``; none for a closed loop. ``flags`` hold those of `load_flags`."""
    if data.arrivals is None or data.streams is None:
        return
    load, delivery = data.record.trial.load, _delivery(data)
    delays, waits = delivery.delays, delivery.waits
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
        "spacing_p": _spacing([one.at for one in delivery.streams if one.at.size > 1], load),
        "queued_gap_p50_ns": _percentile(delivery.queued_gaps, 50),
        "utilisation": delivery.utilisation,
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
    allowed = max(LONGEST_DELAY_NS, DELAY_SHARE * (primary.ns if primary is not None else 0))
    late = (_percentile(delivery.delays, 99) or 0.0) > allowed
    few = len(np.unique(data.streams)) < ENOUGH_STREAMS
    return (
        *([NOT_KEPT] if late or delivery.off else []),
        *([OVERLOADED] if is_overloaded(data, delivery) else []),
        *([FEW_STREAMS] if few else []),
    )


def is_overloaded(data: TrialData, delivery: _Delivery) -> bool:
    """Return whether a stream ended early for its backlog, or waits grow through the streams.

    Where nothing is ever dropped they do so too when more arrives than can be answered, though streams were too short to show it.
    """
    if bool(data.overloaded.any()) or (delivery.outrun and never_drops(data.record.trial.load)):
        return True
    served = data.times[PRIMARY_CLOCK][np.isfinite(data.times[PRIMARY_CLOCK])]
    series = [(one.at[np.isfinite(one.start)], (one.start - one.at)[np.isfinite(one.start)]) for one in delivery.streams]
    return bool(served.size) and queueing.backlog_grows(series, float(served.mean()))


def never_drops(load: LoadConfig) -> bool:
    """Return whether every sample waits until it is served."""
    return load.policy == "queue" and load.queue_limit is None


def _spacing(moments: Sequence[NDArray[np.float64]], load: LoadConfig) -> float | None:
    """Return the p-value of the gaps between groups against the law asked for; a group that a stream's end or ramp cuts counts once."""
    if load.name not in ("poisson", "gamma") or not moments or load.rate_per_s is None:
        return None
    gaps = np.concatenate([np.diff(np.unique(at) if load.group > 1 else at) for at in moments])
    shape = load.burstiness if load.name == "gamma" else 1.0
    return queueing.spacing_p_value(gaps, load.group * SECOND_NS / load.rate_per_s, shape) if gaps.size else None


def _percentile(values: NDArray[np.float64], percent: float) -> float | None:
    return float(percentile_inverted_cdf(values, percent)) if values.size else None
