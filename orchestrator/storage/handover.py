"""What a timed process hands over to be stored: after preparing, and after each round."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Prepared:
    """What a timed process has to say after loading and warm-up.

    placement, stack, environment, digests, cold_start, facts
        plain JSON values for ``trial.json``.
    warmup
        timings of the warm-up rounds, columns of ``schema.TIMINGS``.
    samples
        one row per sample: ``sample``, ``name``, ``reference``, ``prediction``, ``input_size``, ``slice_<name>``...
    metrics
        names of the task's metrics, the primary one first.
    """

    placement: Mapping[str, Any]
    stack: Mapping[str, Any]
    environment: Mapping[str, Any]
    digests: Mapping[str, Any]
    cold_start: Mapping[str, Any]
    facts: Mapping[str, Any]
    warmup: pa.RecordBatch
    samples: pa.Table
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Rounds:
    """Consecutive rounds of a process as one message; what is rare stands by the number of its round.

    timings
        columns of ``schema.TIMINGS``, one row per sample, in order of round and sample; every round has all samples.
    rows
        one row per round, columns of ``schema.ROUNDS``.
    answers
        ``sample`` and ``prediction`` of the samples answered differently than in the first round.
    errors
        messages of samples on which the model raised, by sample.
    tracebacks
        of the first of them, as text.
    ramp
        under load, with the first round of a stream: the arrivals of its ramp, columns of ``schema.RAMP``.
    """

    timings: pa.RecordBatch
    rows: pa.RecordBatch
    answers: Mapping[int, pa.Table] = field(default_factory=dict)
    errors: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    tracebacks: Mapping[int, str] = field(default_factory=dict)
    ramp: pa.RecordBatch | None = None

    @property
    def numbers(self) -> list[int]:
        return list(self.rows.column("round").to_pylist())
