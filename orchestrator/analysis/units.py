"""Which rounds of a trial form one unit of intervals, and over how long a round was watched."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.stats.constants import APART, FEW_UNITS
from orchestrator.stats.units import Units, enough_units, number_of_units
from orchestrator.storage.records import TrialRecord

Unit: TypeAlias = Literal["visits", "streams", "rounds"]
# Number of the unit that each round belongs to, [R], never falling.
Numbers: TypeAlias = NDArray[np.int32]
FLAGS_OF_UNITS = ONE_STRETCH, FEW_STREAMS, FEW = "one stretch", "few streams", "few units"


def flags_of_units(units: Units | None, under_load: bool) -> tuple[str, ...]:
    """Return the flags that the number of units earns, which under load are streams."""
    if not enough_units(units):
        return (FEW_STREAMS if under_load else ONE_STRETCH,)
    return (FEW,) if number_of_units(units) < FEW_UNITS else ()


def whole_streams(streams: Numbers, incomplete: NDArray[np.bool_]) -> Numbers:
    """Return the streams of rounds, [R], as units.

    One that a fault cut short goes with the one before, the first with the next.
    """
    units = streams.copy()
    cut = np.unique(streams[incomplete])
    whole = np.setdiff1d(streams, cut)
    for stream in cut if whole.size else ():
        before = whole[whole < stream]
        units[streams == stream] = before[-1] if before.size else whole[0]
    return units


def visits_apart(
    record: TrialRecord, rounds: pa.Table, visits: Numbers | None, inferences: int
) -> Numbers | None:
    """Return the visit of each round, [R], where pauses last `APART` times as long as visits.

    By the medians; else None. Inferences that lead into a visit belong to it: a round has
    ``inferences`` of them.
    """
    first = np.unique(np.zeros(1) if visits is None else visits, return_index=True)[1]
    if visits is None or first.size < 2:
        return None
    last = np.append(first[1:], visits.size) - 1
    lead_ins, took = (
        rounds.column(name).cast(pa.float64()).fill_null(0).to_numpy()
        for name in ("lead_in", "duration_ns")
    )
    began_ns = begins_ns(record, rounds)
    begins = began_ns[first] - (lead_ins * took / max(inferences, 1))[first]
    ends = began_ns[last] + took[last]
    pauses, lasts = np.median(begins[1:] - ends[:-1]), np.median(ends - begins)
    return visits if pauses >= APART * lasts else None


def begins_ns(record: TrialRecord, rounds: pa.Table) -> NDArray[np.int64]:
    """Return when each round began, in ns, by the machine's steady clock.

    That one begins anew with the machine: where the trial's processes met several starts of it, or
    do not say, by time of day.
    """
    starts = {process.boot_id for process in record.processes}
    column = rounds.column("started_monotonic_ns")
    if len(starts) > 1 or None in starts:
        column = rounds.column("started_at").cast(pa.timestamp("ns", tz="UTC"))
    return np.asarray(column.cast(pa.int64()).to_numpy())


def spans_ns(stored: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return over how many nanoseconds the counters of each round ran, [R], of its columns.

    That is the round's duration. Under load the first round of a stream holds the evidence of the
    whole stream: from its start, ramp included, to the end of its last round; later ones are NaN.
    """
    durations = stored["duration_ns"]
    began = stored.get("stream_started_monotonic_ns", np.full(len(durations), np.nan))
    if not np.isfinite(began).any():
        return durations
    _, first, stream = np.unique(stored["stream"], return_index=True, return_inverse=True)
    ended = np.zeros(len(first))
    np.maximum.at(ended, stream, stored["started_monotonic_ns"] + durations)
    spans = np.full(len(durations), np.nan)
    spans[first] = ended - began[first]
    return spans
