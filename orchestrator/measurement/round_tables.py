"""From stamps and answers to Arrow tables. Pure."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.contracts import Reply, Sample
from orchestrator.measurement.failures import TrialFailed, refuse_miscounted
from orchestrator.measurement.timing import TIMED_OUT
from orchestrator.storage import schema
from orchestrator.storage.stored_form import OUTCOMES, columns_batch, without_arrivals
from orchestrator.subject.targets import message_with_place

Groups = Sequence[Sequence[int]]
"""The sample numbers of each batch, in the order they ran."""


@dataclass(frozen=True)
class Timed:
    """One round as it was timed.

    stamps
        ns, shape [B, 4]: start, preprocessed, inferred, end of each batch in the order they ran. All samples of a batch carry its times.
    groups
        the samples of each batch.
    errors
        message by sample the model raised on.
    cuda_ns
        the GPU's own time of each batch, or None.
    replies
        what a server said to each batch; empty where none was asked.
    """

    number: int
    stamps: npt.NDArray[np.int64]
    groups: Groups
    errors: Mapping[int, str] = field(default_factory=dict)
    cuda_ns: Sequence[int] | None = None
    replies: Sequence[Reply | None] = ()


def timings_batch(rounds: Sequence[Timed], in_flight: int = 1) -> pa.RecordBatch:
    """Return the timings of rounds of the same samples, one row per sample in order of round and sample.

    ``in_flight`` is how many batches were under way at once: of several, none has one before it. Raises TrialFailed if a duration is
    negative, or an inference took no time at all.
    """
    batches, samples = len(rounds[0].groups), sum(map(len, rounds[0].groups))
    batch_of = _places(rounds, samples)
    failed = np.zeros(batch_of.size, dtype=bool)
    for row, timed in enumerate(rounds):
        failed[row * samples + np.array(list(timed.errors), dtype=np.int64)] = True
    stamps = np.concatenate([timed.stamps for timed in rounds])
    durations = np.diff(stamps, axis=1)[batch_of]
    gaps = np.concatenate([[0], stamps[1:, 0] - stamps[:-1, 3]])[batch_of]
    codes = np.where(failed, np.where(stamps[batch_of, 1] == TIMED_OUT, schema.TIMEOUT, schema.ERROR), schema.OK).astype(np.int8)
    measured = durations[~failed]
    if bool((measured < 0).any()) or bool((measured[:, 1] == 0).any()):
        raise TrialFailed("a measured time is zero or negative: the clock of this host is broken; check its clock source", "clock broken")
    columns: dict[str, Any] = {
        "round": pa.array(np.repeat(np.array([timed.number for timed in rounds], dtype=np.int32), samples)),
        "sample": pa.array(np.tile(np.arange(samples, dtype=np.int32), len(rounds))),
        "outcome": pa.DictionaryArray.from_arrays(pa.array(codes), OUTCOMES),
        "start_gap_ns": pa.array(gaps, mask=failed | (batch_of % batches == 0) | (in_flight > 1)),
        **{name: pa.array(durations[:, place], mask=failed) for place, name in enumerate(schema.STAGES)},
        "cuda_inference_ns": pa.nulls(batch_of.size, pa.int64()),
        **without_arrivals(batch_of.size),
    }
    if any(timed.cuda_ns is not None for timed in rounds):
        unknown = np.repeat([timed.cuda_ns is None for timed in rounds], samples)
        cuda_ns = np.concatenate([timed.cuda_ns or np.zeros(batches, dtype=np.int64) for timed in rounds])
        columns["cuda_inference_ns"] = pa.array(cuda_ns[batch_of].astype(np.int64), mask=failed | unknown)
    replies = [reply for timed in rounds for reply in timed.replies]
    if replies:
        columns |= answer_columns([replies[place] for place in batch_of.tolist()], stamps[batch_of, 1], failed)
    return columns_batch(columns, schema.TIMINGS)


def _places(rounds: Sequence[Timed], samples: int) -> npt.NDArray[np.int64]:
    """Return for each sample of each round, [R S], which of all their batches it belongs to."""
    found = np.empty((len(rounds), samples), dtype=np.int64)
    for row, timed in enumerate(rounds):
        if row and timed.groups is rounds[row - 1].groups:
            found[row] = found[row - 1] + len(timed.groups)
            continue
        for place, group in enumerate(timed.groups):
            found[row, list(group)] = row * len(timed.groups) + place
    return found.ravel()


def answer_columns(replies: Sequence[Reply | None], sent_ns: npt.NDArray[np.int64], late: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return the columns ``schema.ANSWER``, of which moments count from the start of inference.

    Parameters
    ----------
    replies
        of each sample; None where no server answered.
    sent_ns, late
        the start of inference of each sample, and whether its outcome is other than ``ok``; shape [N]. What is late has no columns.
    """
    answered = [reply if reply is not None and not is_late else None for reply, is_late in zip(replies, late, strict=True)]
    sent = sent_ns.tolist()

    def after(moments: Iterable[int]) -> pa.Array:
        return pa.array([at - begun if at else None for at, begun in zip(moments, sent, strict=True)], pa.int64())

    return {
        "headers_ns": after(0 if reply is None else reply.headers_ns for reply in answered),
        "first_token_ns": after(0 if reply is None else reply.first_token_ns for reply in answered),
        "last_token_ns": after(0 if reply is None else reply.last_token_ns for reply in answered),
        "tokens": pa.array([None if reply is None or not reply.tokens else reply.tokens for reply in answered], pa.int32()),
        "token_gaps_ns": pa.array(
            [None if reply is None or not reply.first_token_ns else reply.gaps_ns for reply in answered], pa.list_(pa.int64())
        ),
    }


def first_of_process(timings: pa.RecordBatch, sample: int) -> dict[str, int | None]:
    """Return what the first inference of a process took, in ns: the model call, and the total of its stages.

    ``timings`` are those of its first warm-up round, in order of sample; ``sample`` is the one that ran first. None if the model raised.
    """
    stages = [timings.column(name)[sample].as_py() for name in schema.STAGES]
    total = None if None in stages else sum(stages)
    return {"first_inference_ns": stages[schema.STAGES.index("inference_ns")], "first_total_ns": total}


def spread(groups: Groups, answers: Sequence[list[Any] | None], failed: Mapping[int, str]) -> tuple[list[Any], dict[int, str]]:
    """Turn answers and errors per batch into answers and errors per sample.

    Raises TrialFailed if a batch was not answered with one answer per sample.
    """
    by_sample: list[Any] = [None] * sum(len(group) for group in groups)
    errors: dict[int, str] = {}
    for number, group in enumerate(groups):
        answered = answers[number]
        if answered is None:
            errors.update(dict.fromkeys(group, failed.get(number, "no answer")))
            continue
        refuse_miscounted(answered, len(group))
        for index, answer in zip(group, answered, strict=True):
            by_sample[index] = answer
    return by_sample, errors


@contextmanager
def right_form(kind: str, what: str) -> Iterator[None]:
    """Raise TrialFailed, in one line, if answers or references do not have the form of their kind."""
    try:
        yield
    except (pa.ArrowException, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        message = f"{what} do not have the form of kind {kind} ({message_with_place(error)}); docs/tasks.md shows it"
        raise TrialFailed(message, "answers malformed") from error


def samples_table(kind: str, samples: Sequence[Sample], answers: Sequence[Any], input_sizes: Sequence[int]) -> pa.Table:
    """Return one row per sample: number, name, reference, first answer, input size and slices."""
    reference, prediction = schema.ANSWERS.get(kind, (None, None))
    columns = {
        "sample": pa.array(range(len(samples)), pa.int32()),
        "name": pa.array([sample.name for sample in samples]),
        "reference": pa.array([sample.reference for sample in samples], reference),
        "prediction": pa.array(answers, prediction),
        "input_size": pa.array(input_sizes, pa.int64()),
    }
    for name in sorted({name for sample in samples for name in sample.slices}):
        columns[f"slice_{name}"] = pa.array([sample.slices.get(name) for sample in samples], pa.string())
    return pa.table(columns)


def changed_answers(kind: str, first: Sequence[Any], now: Sequence[Any], errors: Mapping[int, str]) -> pa.Table | None:
    """Return the samples answered differently than at first, or None. A sample the model raised on has no answer."""
    changed = [index for index, answer in enumerate(now) if index not in errors and answer != first[index]]
    if not changed:
        return None
    _, prediction = schema.ANSWERS.get(kind, (None, None))
    return pa.table({"sample": pa.array(changed, pa.int32()), "prediction": pa.array([now[index] for index in changed], prediction)})


def digest_answers(answers: Sequence[Any]) -> str:
    """Return the SHA-256 of all answers in order of sample."""
    text = json.dumps(answers, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
