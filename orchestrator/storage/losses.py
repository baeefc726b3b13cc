"""What a stored trial lacks or cannot have: lost rounds, and rounds shorter than their parts."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.storage import schema
from orchestrator.storage.layout import TrialFolder, part_name, parts
from orchestrator.storage.load import MEASURE_AGAIN


def refuse_gap(folder: Path, numbers: Collection[int]) -> None:
    """Raise InputError if a part is missing before a later one."""
    gap = _first_missing(numbers)
    if gap is not None:
        raise _lost(folder / part_name(gap), "later parts are there")


def refuse_unpaired(folder: TrialFolder) -> None:
    """Raise InputError for parts that lack their twin, except a newest part of timings. Only while no driver writes."""
    timed, rows = (parts(folder.twin(name)) for name in ("timings", "rounds"))
    refuse_gap(folder.twin("timings"), timed)
    refuse_gap(folder.twin("rounds"), rows)
    if lost := rows.keys() - timed.keys():
        raise _lost(folder.twin("timings") / part_name(min(lost)), "rounds/ has its twin")
    refuse_many_alone(folder, timed, rows)


def refuse_many_alone(folder: TrialFolder, timed: Iterable[int], rows: Iterable[int]) -> None:
    """Raise InputError if more than one part of timings has no twin."""
    alone = set(timed) - set(rows)
    if len(alone) > 1:
        raise _lost(folder.twin("rounds") / part_name(min(alone)), "timings/ has its twin and later parts")


def refuse_lost_rounds(folder: TrialFolder, timed: NDArray[np.int32], rows: NDArray[np.int32], least: int) -> None:
    """Raise InputError if rounds lack their timings, if their numbers have a gap, or if there are fewer than ``least``."""
    stored = np.unique(rows)
    if np.setdiff1d(stored, timed).size:
        raise _lost(_unpaired(folder, "timings", "rounds"), "rounds/ has rounds that timings/ lacks")
    if len(gaps := np.flatnonzero(stored != np.arange(len(stored)))):
        raise _lost(_unpaired(folder, "rounds", "timings"), f"later rounds than {int(gaps[0])} are there and it is not")
    if len(stored) < least:
        reported = f"{folder.record.name} counts {least} rounds and {len(stored)} are there"
        raise _lost(_unpaired(folder, "rounds", "timings"), reported)


def _first_missing(numbers: Collection[int]) -> int | None:
    """Return the first missing number below the highest, or None. In a stranger's file the highest may be any number."""
    expected = 0
    for number in sorted(set(numbers)):
        if number > expected:
            return expected
        expected = number + 1
    return None


def _unpaired(folder: TrialFolder, name: str, other: str) -> Path:
    """Return the first part of ``name`` whose twin alone is there, or else the folder."""
    lost = parts(folder.twin(other)).keys() - parts(folder.twin(name)).keys()
    return folder.twin(name) / part_name(min(lost)) if lost else folder.twin(name)


def _lost(path: Path, because: str) -> InputError:
    what = "is missing" if path.suffix else "lacks a part"
    return InputError(f"{path} {what} ({because}): {MEASURE_AGAIN}")


PARTS = ("start_gap_ns", *schema.STAGES)
ROUNDING = 1e-9
"""How far sums of float64 may be wrong, as a share."""


@dataclass(frozen=True)
class ShortRound:
    """A round by its number, how long it took, and how long its batches and the gaps between them took at least, ns."""

    round: int
    duration_ns: int
    parts_ns: int

    @property
    def complaint(self) -> str:
        """What is wrong, in words."""
        return f"round {self.round} took {self.duration_ns} ns and what was timed in it at least {self.parts_ns} ns"


def short_round(timings: pa.Table | pa.RecordBatch, rounds: pa.Table | pa.RecordBatch, batch: int, in_flight: int = 1) -> ShortRound | None:
    """Return the first round that is shorter than its parts, or None.

    Parameters
    ----------
    timings, rounds
        columns of ``schema.TIMINGS`` and ``schema.ROUNDS``; every round of ``timings`` is one of ``rounds``, which ascend.
    batch
        samples per batch. All samples of a batch carry its times, so that the sum over samples is divided by it: exact but for a last
        batch that is smaller, which then counts for less.
    in_flight
        how many batches were under way at once, at most: a round may take so many times less than its parts.
    """
    if not timings.num_rows:
        return None
    in_streams = bool(rounds.column("stream").is_valid().to_numpy(zero_copy_only=False).any())
    if (batch > 1 or in_flight > 1) and in_streams:
        return None  # what is under way may reach from one round into the next; the timed process has looked at the whole stream
    numbers = rounds.column("round").to_numpy()
    row = np.searchsorted(numbers, timings.column("round").to_numpy())
    parts_ns = np.zeros(len(numbers))
    for name in PARTS:
        times_ns = timings.column(name).fill_null(0).to_numpy().astype(np.float64)
        parts_ns += np.bincount(row, weights=times_ns, minlength=len(numbers))
    if in_streams:
        parts_ns -= _gaps_before(timings, row, len(numbers))
    parts_ns /= batch * in_flight
    durations_ns = rounds.column("duration_ns").to_numpy()
    short = np.flatnonzero(parts_ns * (1 - ROUNDING) > durations_ns)
    if not len(short):
        return None
    first = int(short[0])
    return ShortRound(int(numbers[first]), int(durations_ns[first]), int(np.ceil(parts_ns[first])))


def _gaps_before(timings: pa.Table | pa.RecordBatch, row: NDArray[np.intp], rounds: int) -> NDArray[np.float64]:
    """Return the gap before the first sample that each round of a stream served, [rounds], ns.

    It counts from the end of the last one served before, which is earlier than the end of that round where samples were dropped last.
    """
    gaps = timings.column("start_gap_ns").to_numpy(zero_copy_only=False).astype(np.float64)
    arrivals = timings.column("arrival_ns").to_numpy(zero_copy_only=False)
    known = np.flatnonzero(np.isfinite(gaps))
    ordered = known[np.lexsort((arrivals[known], row[known]))]
    of_round, first = np.unique(row[ordered], return_index=True)
    found = np.zeros(rounds)
    found[of_round] = gaps[ordered[first]]
    return found


def refuse_short_rounds(folder: TrialFolder, timings: pa.Table, rounds: pa.Table, batch: int, in_flight: int = 1) -> None:
    """Raise InputError if a stored round is shorter than its parts."""
    short = short_round(timings, rounds, batch, in_flight)
    if short is not None:
        raise InputError(f"{folder.path}: {short.complaint}, which cannot be: {MEASURE_AGAIN}")
