"""A replayed trial beside the same trial as it was measured under that load: what idling and other work did to its times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.held_answers import answered_under_load, held_mean
from orchestrator.analysis.replay_streams import Arrivals, Rule
from orchestrator.analysis.served_streams import found_idle, inferences_of, served_streams, server_of
from orchestrator.analysis.tables.tail_quality import figure_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.queueing import mean_rate
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK, Clock

SAME_RATE = 1e-5
"""Rates that differ by less than this share are one: tables print six digits."""
SAME_MOMENT_NS = 1000.0
"""By so much the moments of a trace may differ that was stretched twice."""


class Beside(TypedDict):
    """What the same trial kept when it was measured under this load."""

    measured: Annotated[str | None, "the same trial as it was measured under this load; null where it was not"]
    measured_mean: Annotated[float | None, "its tail quality on the response clock, as its report has it: a mean over rounds"]
    measured_low: Annotated[float | None, "lower limit of its 95 % interval of rounds to come"]
    measured_high: Annotated[float | None, "upper limit"]
    service_change: Annotated[float | None, "its mean total time over that of the closed loop, less 1"]
    idle_penalty: Annotated[
        float | None, "the penalty of idling: median total time of its samples that found the server idle, over the closed loop's, less 1"
    ]
    held_mean: Annotated[float | None, "replayed quality if the last answer on time is kept until the next; null if nothing was measured"]
    measured_held: Annotated[float | None, "the same of what was measured; both null of a metric that is no mean over samples"]


NOTHING: Beside = {
    "measured": None,
    "measured_mean": None,
    "measured_low": None,
    "measured_high": None,
    "service_change": None,
    "idle_penalty": None,
    "held_mean": None,
    "measured_held": None,
}


def under_load(
    data: TrialData, law: Arrivals, rule: Rule, rate_per_s: float, deadline: Threshold, trials: Iterable[TrialData]
) -> TrialData | None:
    """Return the trial that measured under a load what a closed loop measured without, or None."""
    mine = data.record.trial
    for other in trials:
        theirs = other.record.trial
        load = theirs.load
        same_work = (theirs.model, theirs.task, theirs.system, theirs.runtime, theirs.repeat) == (
            mine.model, mine.task, mine.system, mine.runtime, mine.repeat,
        )  # fmt: skip
        same_data = other.record.digests.get("data") == data.record.digests.get("data")
        if not (same_work and same_data and other.arrivals is not None and theirs.measurement.batch == 1):
            continue
        asked = (law.law, law.group, law.burstiness if law.law == "gamma" else 1.0, rule.policy, rule.queue_limit)
        had = (load.name, load.group, load.burstiness if load.name == "gamma" else 1.0, load.policy, load.queue_limit)
        skips = load.policy != "skip_late" or round((load.deadline_ms or 0) * 1e6) == deadline.ns
        if asked == had and skips and _has_rate(other, law, rate_per_s):
            return other
    return None


def _has_rate(other: TrialData, law: Arrivals, rate_per_s: float) -> bool:
    """Return whether a trial was measured at a rate; one under a trace, whether its arrivals are those of this trace at that rate."""
    load = other.record.trial.load
    if load.rate_per_s is not None:
        return abs(load.rate_per_s / rate_per_s - 1) < SAME_RATE
    if law.trace_ns is None:
        return False
    measured_per_s = mean_rate(law.trace_ns) * load.speed
    return abs(measured_per_s / rate_per_s - 1) < SAME_RATE and _is_traced(other, law.trace_ns / load.speed)


def _is_traced(other: TrialData, moments_ns: NDArray[np.float64]) -> bool:
    """Return whether the arrivals of a trial are moments of a trace, none left out between the first and the last; whole streams say so."""
    assert other.arrivals is not None
    assert other.streams is not None
    streams = [number for number in np.unique(other.streams) if not other.incomplete[other.streams == number].any()]
    return bool(streams) and all(_is_part(np.sort(other.arrivals[other.streams == number].ravel()), moments_ns) for number in streams)


def _is_part(arrived_ns: NDArray[np.float64], moments_ns: NDArray[np.float64]) -> bool:
    first, last = arrived_ns[0] - SAME_MOMENT_NS, arrived_ns[-1] - SAME_MOMENT_NS  # of those at the last moment some may be of no round
    own, traced = arrived_ns[arrived_ns < last], moments_ns[(moments_ns >= first) & (moments_ns < last)]
    return own.size == traced.size and last <= moments_ns[-1] and bool((np.abs(own - traced) <= SAME_MOMENT_NS).all())


def beside(data: TrialData, measured: TrialData, deadline: Threshold, held: float | None) -> Beside:
    """Return what a trial under load kept, and what became of its times, against the same in a closed loop.

    ``held`` is replayed quality with the last answer held.
    """
    figure = figure_of(measured, measured.metric)
    if figure is None:
        return {**NOTHING, "measured": measured.trial_id}
    [kept] = figure.rows({Clock.RESPONSE: (deadline,)}, ())
    closed, services = (of.times[PRIMARY_CLOCK][np.isfinite(of.times[PRIMARY_CLOCK])] for of in (data, measured))
    idle = services_after_idling(measured)
    return {
        "measured": measured.trial_id,
        "measured_mean": kept["mean"],
        "measured_low": kept["interval_low"],
        "measured_high": kept["interval_high"],
        "service_change": float(services.mean() / closed.mean() - 1) if services.size and closed.size else None,
        "idle_penalty": float(np.median(idle) / np.median(closed) - 1) if idle.size and closed.size else None,
        "held_mean": held,
        "measured_held": held_mean(measured, answered_under_load(measured, deadline.ns)),
    }


def services_after_idling(data: TrialData) -> NDArray[np.float64]:
    """Return the total times, ns, of samples that found the server idle, but for the first of a stream that had a ramp."""
    streams = served_streams(data)
    server = server_of(data, streams)
    inferences = [inferences_of(one, server) for one in streams]
    return np.concatenate([np.zeros(0), *((one.end - one.start)[found_idle(one)] for one in inferences)])
