"""Which rounds of a trial form one unit of intervals, and which flags their number earns."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.stats.constants import APART, FEW_UNITS, FEWEST_UNITS
from orchestrator.stats.units import Units, number_of_units
from orchestrator.storage.records import TrialRecord

Unit: TypeAlias = Literal["visits", "streams", "rounds"]
Numbers: TypeAlias = NDArray[np.int32]
"""Number of the unit that each round belongs to, [R], never falling."""
ONE_STRETCH = "one stretch"
FEW = "few units"


def flags_of_units(units: Units | None, under_load: bool) -> tuple[str, ...]:
    """Return the flags that the number of units earns; under load `load.load_flags` tells of too few streams."""
    count = number_of_units(units)
    if count >= FEWEST_UNITS:
        return (FEW,) if count < FEW_UNITS else ()
    return () if under_load else (ONE_STRETCH,)


def whole_streams(streams: Numbers, incomplete: NDArray[np.bool_]) -> Numbers:
    """Return the streams of rounds, [R], as units: one that a fault cut short goes with the one before, the first with the next."""
    units = streams.copy()
    cut = np.unique(streams[incomplete])
    whole = np.setdiff1d(streams, cut)
    for stream in cut if whole.size else ():
        before = whole[whole < stream]
        units[streams == stream] = before[-1] if before.size else whole[0]
    return units


def visits_apart(record: TrialRecord, rounds: pa.Table, visits: Numbers | None, inferences: int) -> Numbers | None:
    """Return the visit of each round, [R], where pauses last at least `APART` times as long as visits, by the medians; else None.

    Inferences that lead into a visit belong to it: a round has ``inferences`` of them.
    """
    if visits is None or (first := np.unique(visits, return_index=True)[1]).size < 2:
        return None
    last = np.append(first[1:], visits.size) - 1
    lead_ins, took = (rounds.column(name).cast(pa.float64()).fill_null(0).to_numpy() for name in ("lead_in", "duration_ns"))
    began_ns = begins_ns(record, rounds)
    begins = began_ns[first] - (lead_ins * took / max(inferences, 1))[first]
    ends = began_ns[last] + took[last]
    return visits if np.median(begins[1:] - ends[:-1]) >= APART * np.median(ends - begins) else None


def begins_ns(record: TrialRecord, rounds: pa.Table) -> NDArray[np.int64]:
    """Return when each round began, in ns: by the machine's steady clock, since time of day may be set while a trial is measured.

    The steady clock begins anew with the machine: where the trial's processes met several starts of it, or do not say, by time of day.
    """
    starts = {process.boot_id for process in record.processes}
    restarted = len(starts) > 1 or None in starts
    column = rounds.column("started_at").cast(pa.timestamp("ns", tz="UTC")) if restarted else rounds.column("started_monotonic_ns")
    return np.asarray(column.cast(pa.int64()).to_numpy())
