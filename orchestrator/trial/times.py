"""The times of one round, per sample and per inference (pure)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.config import Trial
from orchestrator.measurement.batches import first_of_batches
from orchestrator.storage.handover import RoundResult


def p99_ns(times_ns: NDArray[np.float64]) -> float:
    """Return the 99th percentile of one round's times, one per inference."""
    return float(np.percentile(times_ns, 99, method="inverted_cdf"))


def per_inference(trial: Trial, result: RoundResult) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return inference and total time of each inference of a round in ns; a batch has one, which all its samples carry."""
    inference_ns, total_ns = clocks(result.timings)
    if trial.measurement.batch == 1:
        return inference_ns, total_ns
    number, incomplete = (result.round.column(name).to_numpy(zero_copy_only=False) for name in ("round", "incomplete"))
    [first] = first_of_batches(trial, number, total_ns[np.newaxis], incomplete)
    return inference_ns[first], total_ns[first]


def clocks(timings: pa.RecordBatch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return inference and total time of each sample in ns; +inf where the outcome is not ``ok``."""
    late = pc.is_null(timings.column("inference_ns")).to_numpy(zero_copy_only=False)
    stages = [
        timings.column(name).fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
        for name in ("preprocess_ns", "inference_ns", "postprocess_ns")
    ]
    return np.where(late, np.inf, stages[1]), np.where(late, np.inf, stages[0] + stages[1] + stages[2])
