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

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as Arrow's own messages: that takes a tenth of the time of pickled columns."""
        return _read, (packed(self.timings, self.rows), self.answers, self.errors, self.tracebacks, self.ramp)

    @property
    def numbers(self) -> list[int]:
        return list(self.rows.column("round").to_pylist())


def packed(*parts: pa.RecordBatch | pa.Table) -> bytes:
    """Return tables as Arrow streams, one after the other."""
    sink = pa.BufferOutputStream()
    for part in parts:
        with pa.ipc.new_stream(sink, part.schema) as stream:
            stream.write(part)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def unpacked(content: bytes) -> list[pa.Table]:
    """Return the two tables of `packed`."""
    source = pa.BufferReader(content)
    return [pa.ipc.open_stream(source).read_all() for _ in range(2)]


def _read(content: bytes, *rare: Any) -> Rounds:
    timings, rows = (table.to_batches()[0] for table in unpacked(content))
    return Rounds(timings, rows, *rare)
