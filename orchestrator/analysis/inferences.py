"""One time per inference: what a batch's samples share is one observation, wherever times are the data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.measurement.batches import first_of_batches
from orchestrator.storage.matrix import RoundMatrix
from orchestrator.storage.records import TrialRecord

Times = Mapping[str, NDArray[np.float64]]


def times_per_inference(record: TrialRecord, matrix: RoundMatrix, times: Times) -> Times:
    """Return one time per inference and clock, [R, B], of the times of all samples, [R, S]: the same arrays where a batch is one sample.

    Raises InputError where samples of one batch have different times.
    """
    if record.trial.measurement.batch == 1:
        return times
    first = _first(record, matrix)
    return {clock: np.take_along_axis(of_samples, first, axis=1) for clock, of_samples in times.items()}


def rows_per_inference(record: TrialRecord, matrix: RoundMatrix, timings: pa.Table) -> pa.Table:
    """Return of stored timings one row per inference; errors are those of `times_per_inference`."""
    if record.trial.measurement.batch == 1:
        return timings
    chosen = np.zeros(matrix.outcome.shape, dtype=bool)
    np.put_along_axis(chosen, _first(record, matrix), True, axis=1)
    row = np.searchsorted(matrix.rounds, timings.column("round").to_numpy())
    column = np.searchsorted(matrix.samples, timings.column("sample").to_numpy())
    return timings.filter(pa.array(chosen[row, column]))


def _first(record: TrialRecord, matrix: RoundMatrix) -> NDArray[np.intp]:
    try:
        return first_of_batches(record.trial, matrix.rounds, matrix.total_ns, matrix.incomplete)
    except InputError as error:
        raise InputError(f"{record.trial_id}: {error}") from error
