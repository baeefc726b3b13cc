"""Which rounds stand together as a unit of intervals, and how far visits lie apart."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.storage.records import TrialRecord

APART, WELL_APART = 0.5, 2.5
"""How many times as long as visits the pauses between them are at least, where visits lie apart, and where they make up for few rounds."""


def whole_streams(streams: NDArray[np.int32] | None, incomplete: NDArray[np.bool_]) -> NDArray[np.int32] | None:
    """Return the streams of rounds, [R], as units of intervals: one that a fault cut short is none of its own and goes with the one before.

    Its rounds still count. The first one, if cut, goes with the next.
    """
    if streams is None:
        return None
    units = streams.copy()
    cut = np.unique(streams[incomplete])
    whole = np.setdiff1d(streams, cut)
    for stream in cut if whole.size else ():
        before = whole[whole < stream]
        units[streams == stream] = before[-1] if before.size else whole[0]
    return units


def begins_ns(record: TrialRecord, rounds: pa.Table) -> NDArray[np.int64]:
    """Return when each round began, in ns: by the machine's steady clock, since time of day may be set while a trial is measured.

    The steady clock begins anew with the machine: where the trial's processes met several starts of it, or do not say, by time of day.
    """
    starts = {process.boot_id for process in record.processes}
    restarted = len(starts) > 1 or None in starts
    column = rounds.column("started_at").cast(pa.timestamp("ns", tz="UTC")) if restarted else rounds.column("started_monotonic_ns")
    return np.asarray(column.cast(pa.int64()).to_numpy())


def lying_apart(visits: NDArray[np.int32] | None, pauses: float) -> NDArray[np.int32] | None:
    """Return visits where they lie apart: with pauses at least half as long as they are (`pauses_over_visits`)."""
    return visits if pauses >= APART else None


def pauses_over_visits(visits: NDArray[np.int32] | None, began_ns: NDArray[np.int64], durations_ns: NDArray[np.int64]) -> float:
    """Return how many times as long as visits of two rounds or more the pauses between them are, by the medians; 0 without such.

    Takes the visit of each round, when it began and how long it took, [R] each.
    """
    if visits is None:
        return 0.0
    numbers, sizes = np.unique(visits, return_counts=True)
    if numbers.size < 2 or np.median(sizes) < 2:
        return 0.0
    ended_ns = began_ns + durations_ns
    first = np.searchsorted(visits, numbers)
    last = np.append(first[1:], visits.size) - 1
    pauses, durations = began_ns[first[1:]] - ended_ns[last[:-1]], ended_ns[last] - began_ns[first]
    return float(np.median(pauses) / max(np.median(durations), 1))
