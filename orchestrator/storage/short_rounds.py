"""Rounds that took less time than what was timed in them: such a file was written by a broken clock, or by somebody else (pure)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.storage import schema
from orchestrator.storage.layout import TrialFolder
from orchestrator.storage.load import MEASURE_AGAIN

PARTS = ("start_gap_ns", *schema.STAGES)
ROUNDING = 1e-9
"""Sums of float64 may be wrong by so much, as a share."""


@dataclass(frozen=True)
class ShortRound:
    """A round by its number, how long it took, and how long its batches and the gaps between them took at least, ns."""

    round: int
    duration_ns: int
    parts_ns: int

    @property
    def told(self) -> str:
        """What is wrong, in words."""
        return f"round {self.round} took {self.duration_ns} ns and what was timed in it at least {self.parts_ns} ns"


def short_round(timings: pa.Table | pa.RecordBatch, rounds: pa.Table | pa.RecordBatch, batch: int) -> ShortRound | None:
    """Return the first round that is shorter than its parts, or None.

    Parameters
    ----------
    timings, rounds
        columns of ``schema.TIMINGS`` and ``schema.ROUNDS``; every round of ``timings`` is one of ``rounds``, which ascend.
    batch
        samples per batch. All samples of a batch carry its times, so that the sum over samples is divided by it: exact but for a last
        batch that is smaller, which then counts for less.
    """
    if not timings.num_rows:
        return None
    numbers = rounds.column("round").to_numpy()
    row = np.searchsorted(numbers, timings.column("round").to_numpy())
    parts_ns = np.zeros(len(numbers))
    for name in PARTS:
        times_ns = timings.column(name).fill_null(0).to_numpy().astype(np.float64)
        parts_ns += np.bincount(row, weights=times_ns, minlength=len(numbers))
    parts_ns /= batch
    durations_ns = rounds.column("duration_ns").to_numpy()
    short = np.flatnonzero(parts_ns * (1 - ROUNDING) > durations_ns)
    if not len(short):
        return None
    first = int(short[0])
    return ShortRound(int(numbers[first]), int(durations_ns[first]), int(np.ceil(parts_ns[first])))


def refuse_short_rounds(folder: TrialFolder, timings: pa.Table, rounds: pa.Table, batch: int) -> None:
    """Raise InputError where a stored round is shorter than its parts."""
    short = short_round(timings, rounds, batch)
    if short is not None:
        raise InputError(f"{folder.path}: {short.told}, which cannot be: {MEASURE_AGAIN}")
