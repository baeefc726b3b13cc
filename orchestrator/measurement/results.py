"""What a timed process hands back: after preparing, and after each round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.measurement.fault_names import fault_of
from orchestrator.measurement.user_code import keep_traceback, told_with_place, traceback_text
from orchestrator.vocabulary import FaultName


class TrialFailed(RuntimeError):
    """A process of a trial cannot go on, told in one line; ``fault`` names what happened."""

    def __init__(self, message: str, fault: FaultName) -> None:
        # Both among the arguments: that is how exceptions travel between processes.
        super().__init__(message, fault)
        self.fault = fault

    def __str__(self) -> str:
        """Return the message."""
        return str(self.args[0])


def unexpected(error: BaseException) -> TrialFailed:
    """Return what nobody was to raise in a timed process as its fault, told with its place and with its traceback kept."""
    told = told_with_place(error)
    failed = TrialFailed(told, fault_of(told, "process failed"))
    keep_traceback(failed, traceback_text(error))
    return failed


@contextmanager
def tracebacks_kept() -> Iterator[None]:
    """Let exceptions leave a timed process so that nothing is lost on the way: as ours, and with their tracebacks as text."""
    try:
        yield
    except (InputError, TrialFailed) as error:
        keep_traceback(error)
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit: nothing that code of the user's raises may end the program
        raise unexpected(error) from error


@dataclass(frozen=True)
class Identity:
    """A process as its operating system knows it; ``created_s`` is when it began, s since 1970."""

    pid: int
    host: str
    boot_id: str
    created_s: float


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
    """

    timings: pa.RecordBatch
    round: pa.RecordBatch
    answers: pa.Table | None = None
    errors: Mapping[int, str] = field(default_factory=dict)
    traceback: str | None = None


@dataclass(frozen=True)
class Packed:
    """Several rounds as one message: their timings and rows below one another, samples per round, and what is rare by round."""

    timings: pa.RecordBatch
    rounds: pa.RecordBatch
    sizes: tuple[int, ...]
    rare: Mapping[int, tuple[pa.Table | None, Mapping[int, str], str | None]]


def pack(results: Sequence[RoundResult]) -> Packed:
    """Return one message for rounds that follow one another."""
    return Packed(
        timings=pa.concat_batches([result.timings for result in results]),
        rounds=pa.concat_batches([result.round for result in results]),
        sizes=tuple(result.timings.num_rows for result in results),
        rare={
            place: (result.answers, result.errors, result.traceback)
            for place, result in enumerate(results)
            if result.answers is not None or result.errors
        },
    )


def unpack(packed: Packed) -> list[RoundResult]:
    """Return the rounds of a message, without copying a timing."""
    results, at = [], 0
    for place, size in enumerate(packed.sizes):
        rare = packed.rare.get(place, (None, {}, None))
        results.append(RoundResult(packed.timings.slice(at, size), packed.rounds.slice(place, 1), *rare))
        at += size
    return results
