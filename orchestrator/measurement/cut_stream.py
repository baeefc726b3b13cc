"""What a dead process has left of a stream: its rounds as far as they came, with every arrival's fate."""

import numpy as np

from orchestrator.configuration.config import Trial
from orchestrator.measurement.failures import FAULT, Stamps, TrialFailed
from orchestrator.measurement.stream_tables import Stream
from orchestrator.measurement.timing import IN_FLIGHT
from orchestrator.storage import schema
from orchestrator.storage.handover import RoundResult
from orchestrator.storage.schema import InFlight
from orchestrator.storage.stored_form import one_row
from orchestrator.subject.schedule import schedule_of


def cut_stream(
    trial: Trial, found: Stamps, number: int, samples: int, process: int, in_flight: InFlight, message: str, visit: int
) -> list[RoundResult]:
    """Return the rounds of a stream up to the last one that had begun, of which one is incomplete.

    A stream that was cut in its ramp has one round, of which nothing was measured. Parameters are those of ``failures.incomplete_round``.

    Raises
    ------
    TrialFailed
        for stamps that cannot be those of this stream.
    """
    schedule = schedule_of(trial, samples, visit)
    arrivals = schedule.moments_ns.size
    if len(found.stamps) < arrivals:
        raise TrialFailed(f"the process left stamps of {len(found.stamps)} arrivals, and its stream has {arrivals}", FAULT)
    stream = Stream(schedule, found.stamps[:arrivals], found.origin_ns, in_flight, lanes=trial.in_flight)
    stream.refuse_impossible()
    seen = np.flatnonzero(stream.stamps[:, 3])
    last = stream.last_round(int(seen[-1]) + 1 if seen.size else 0)
    results = []
    for counted in range(last + 1):
        row = {
            "round": number + counted,
            **stream.span(counted, found.wall_ns, found.monotonic_ns),
            "process": process,
            "visit": visit,
            "incomplete": not bool(stream.complete[counted]),
            "stream": visit,
            "stream_started_monotonic_ns": found.monotonic_ns,
            "overloaded": False,
        }
        part = schedule.of_round(counted)
        cut = schedule.samples[part][stream.stamps[part, 3] == IN_FLIGHT]
        results.append(
            RoundResult(
                timings=stream.timings(counted, number + counted),
                round=one_row(row, schema.ROUNDS),
                errors=dict.fromkeys(map(int, cut), message),
                ramp=stream.ramp(visit) if counted == 0 else None,
            )
        )
    return results
