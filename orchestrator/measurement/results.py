"""What a timed process hands back: after preparing, and after each round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


class TrialFailed(RuntimeError):
    """A trial cannot go on, told in one line (a model that raises while loading, a clock that runs backwards)."""


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
    """

    timings: pa.RecordBatch
    round: pa.RecordBatch
    answers: pa.Table | None = None
    errors: Mapping[int, str] = field(default_factory=dict)
