"""Which rounds stand together as a unit of intervals, and how far visits lie apart."""

from __future__ import annotations

from typing import TypeAlias

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


Visits: TypeAlias = NDArray[np.int32]


def lying_apart(visits: Visits | None, pauses: float) -> tuple[Visits | None, Visits | None]:
    """Return visits where they lie apart, with pauses at least half as long as they are (`pauses_over_visits`): first, or else second.

    Second are visits of one round, by the median: no units of intervals, since within them nothing tells how their rounds depend.
    """
    if visits is None or pauses < APART:
        return None, None
    sizes = np.unique(visits, return_counts=True)[1]
    return (visits, None) if np.median(sizes) >= 2 else (None, visits)


def lead_ins_ns(rounds: pa.Table, inferences: int) -> NDArray[np.int64]:
    """Return about how long the untimed inferences took that led into each round, [R], of rounds that have so many inferences each."""
    counts, took = (rounds.column(name).cast(pa.float64()).fill_null(0).to_numpy() for name in ("lead_in", "duration_ns"))
    return np.asarray(counts * took / max(inferences, 1)).astype(np.int64)


def pauses_over_visits(
    visits: NDArray[np.int32] | None, began_ns: NDArray[np.int64], durations_ns: NDArray[np.int64], lead_in_ns: NDArray[np.int64] | int = 0
) -> float:
    """Return how many times as long as visits the pauses between them are, by the medians; 0 without two visits.

    Takes the visit of each round, when it began, how long it took and how long what led into it did, [R] each: that is no pause.
    """
    if visits is None:
        return 0.0
    first = np.unique(visits, return_index=True)[1]
    if first.size < 2:
        return 0.0
    last = np.append(first[1:], visits.size) - 1
    begins_ns, ends_ns = (began_ns - lead_in_ns)[first], (began_ns + durations_ns)[last]
    return float(np.median(begins_ns[1:] - ends_ns[:-1]) / max(np.median(ends_ns - begins_ns), 1))
