"""What a timed process hands over to be stored: after preparing, and after each round."""

from collections.abc import Mapping, Sequence
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
class RoundResult:
    """One round: timings of every sample, the round's own row, and answers where they differ from the first round's.

    timings
        columns of ``schema.TIMINGS``, one row per sample in order of sample.
    round
        one row, columns of ``schema.ROUNDS``.
    answers
        ``sample`` and ``prediction`` of the samples answered differently, or None.
    errors
        messages of samples on which the model raised, by sample.
    traceback
        of the first of them, as text.
    ramp
        under load, with the first round of a stream: the arrivals of its ramp, columns of ``schema.RAMP``.
    """

    timings: pa.RecordBatch
    round: pa.RecordBatch
    answers: pa.Table | None = None
    errors: Mapping[int, str] = field(default_factory=dict)
    traceback: str | None = None
    ramp: pa.RecordBatch | None = None


@dataclass(frozen=True)
class Packed:
    """Several rounds as one message: their timings and rows below one another, samples per round, and what is rare by round."""

    timings: pa.RecordBatch
    rounds: pa.RecordBatch
    sizes: tuple[int, ...]
    rare: Mapping[int, tuple[pa.Table | None, Mapping[int, str], str | None, pa.RecordBatch | None]]


def pack(results: Sequence[RoundResult]) -> Packed:
    """Return one message for consecutive rounds."""
    return Packed(
        timings=pa.concat_batches([result.timings for result in results]),
        rounds=pa.concat_batches([result.round for result in results]),
        sizes=tuple(result.timings.num_rows for result in results),
        rare={
            place: (result.answers, result.errors, result.traceback, result.ramp)
            for place, result in enumerate(results)
            if result.answers is not None or result.errors or result.ramp is not None
        },
    )


def unpack(packed: Packed) -> list[RoundResult]:
    """Return the rounds of a message, without copying a timing."""
    results, at = [], 0
    for place, size in enumerate(packed.sizes):
        rare = packed.rare.get(place, (None, {}, None, None))
        results.append(RoundResult(packed.timings.slice(at, size), packed.rounds.slice(place, 1), *rare))
        at += size
    return results
