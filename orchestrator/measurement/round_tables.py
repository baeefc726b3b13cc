"""From stamps and answers to Arrow tables. Pure: a live process and what a dead one left come to the same."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.contracts import InputError, Reply, Sample
from orchestrator.measurement.failures import FAULT, REMEDY, TrialFailed, refuse_impossible, refuse_miscounted
from orchestrator.measurement.timing import DROPPED, IN_FLIGHT, TIMED_OUT
from orchestrator.storage import schema
from orchestrator.storage.handover import Rounds
from orchestrator.storage.schema import InFlight, Outcome
from orchestrator.storage.stored_form import columns_batch, outcomes, rows_batch
from orchestrator.subject.schedule import Schedule
from orchestrator.subject.targets import keep_traceback, message_with_place, traceback_of

Integers = npt.NDArray[np.int64]
# The sample numbers of each batch, in the order they ran.
Groups = Sequence[Sequence[int]]
# Answers by sample and the samples without one -> the table of those that have changed, and columns of the round's row.
Compared = Callable[[Sequence[Any], Collection[int]], tuple[pa.Table | None, dict[str, Any]]]


def outcomes_of(stamps: Integers, in_flight: InFlight = "error", never: Outcome = "lost") -> npt.NDArray[np.int8]:
    """Return the index into ``schema.OUTCOMES`` of each batch or arrival: every one has exactly one.

    ``in_flight`` is the outcome of what was being served when all ended, ``never`` of what was neither served nor dropped.
    """
    ended = stamps[:, 3]
    if (stamps[:, (0, 3)] > 0).all():
        return np.full(len(stamps), schema.OK, dtype=np.int8)
    conditions = [ended == IN_FLIGHT, ended == DROPPED, ended <= 0, stamps[:, 0] > 0, stamps[:, 1] == TIMED_OUT]
    fates: list[Outcome] = [in_flight, "dropped", never, "ok", "timeout"]
    return np.select(conditions, [schema.OUTCOMES.index(fate) for fate in fates], schema.ERROR).astype(np.int8)


def timing_columns(
    rounds: Integers, samples: Integers, stamps: Integers, codes: npt.NDArray[np.int8], gaps: Integers, replies: Sequence[Reply | None]
) -> dict[str, Any]:
    """Return those columns of ``schema.TIMINGS`` that N rows of any trial have.

    Parameters
    ----------
    stamps, codes
        [N, 4] in ns, and the outcome of each.
    gaps
        from each start back to the end of the batch before it, ns; below 0 where there is none.
    replies
        what a server said to each; empty where none was asked.
    """
    late, durations = codes != schema.OK, np.diff(stamps, axis=1)
    columns = {
        "round": pa.array(rounds.astype(np.int32)),
        "sample": pa.array(samples.astype(np.int32)),
        "outcome": pa.DictionaryArray.from_arrays(pa.array(codes), outcomes()),
        "start_gap_ns": pa.array(gaps, mask=late | (gaps < 0)),
        **{name: pa.array(durations[:, place], mask=late) for place, name in enumerate(schema.STAGES)},
    }
    return columns | (answer_columns(replies, stamps[:, 1], late) if replies else {})


def round_row(number: int, wall_ns: int, monotonic_ns: int, duration_ns: int, common: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a round with what it has in ``common`` with others; ``wall_ns`` and ``monotonic_ns`` are of its start."""
    return {
        "incomplete": False,
        **common,
        "round": number,
        "started_at": datetime.fromtimestamp(wall_ns / 1e9, UTC),
        "started_monotonic_ns": monotonic_ns,
        "duration_ns": duration_ns,
    }


@dataclass(frozen=True)
class Timed:
    """One round of a closed loop as it was timed.

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
    stamps: Integers
    groups: Groups
    errors: Mapping[int, str] = field(default_factory=dict)
    cuda_ns: Sequence[int] | None = None
    replies: Sequence[Reply | None] = ()


def timings_batch(rounds: Sequence[Timed], follow: bool = True, in_flight: InFlight = "error") -> pa.RecordBatch:
    """Return the timings of rounds of the same samples, one row per sample in order of round and sample.

    ``follow`` is whether each batch began after the one before it; ``in_flight`` is the outcome of what was under way when all ended.
    """
    batches, samples = len(rounds[0].groups), sum(map(len, rounds[0].groups))
    batch_of = np.empty((len(rounds), samples), dtype=np.int64)
    failed = np.zeros(batch_of.shape, dtype=bool)
    for row, timed in enumerate(rounds):
        failed[row, list(timed.errors)] = True
        if row and timed.groups is rounds[row - 1].groups:
            batch_of[row] = batch_of[row - 1] + batches
            continue
        for place, group in enumerate(timed.groups):
            batch_of[row, list(group)] = row * batches + place
    places, stamps = batch_of.ravel(), np.concatenate([timed.stamps for timed in rounds])
    gaps = np.concatenate([[-1], stamps[1:, 0] - stamps[:-1, 3]])[places]
    gaps[(places % batches == 0) | (not follow)] = -1
    codes = outcomes_of(stamps, in_flight)[places]
    codes[failed.ravel() & (codes == schema.OK)] = schema.ERROR
    replies = [reply for timed in rounds for reply in timed.replies]
    columns = timing_columns(
        np.repeat([timed.number for timed in rounds], samples),
        np.tile(np.arange(samples), len(rounds)),
        stamps[places],
        codes,
        gaps,
        replies and [replies[place] for place in places.tolist()],
    )
    if any(timed.cuda_ns is not None for timed in rounds):
        unknown = np.repeat([timed.cuda_ns is None for timed in rounds], samples)
        cuda_ns = np.concatenate([timed.cuda_ns or np.zeros(batches, dtype=np.int64) for timed in rounds])
        columns["cuda_inference_ns"] = pa.array(cuda_ns[places].astype(np.int64), mask=unknown | (codes != schema.OK))
    return columns_batch(columns, schema.TIMINGS)


@dataclass(frozen=True)
class Stream:
    """A stream as it ran: N arrivals.

    stamps
        int64, [N, 4], as ``load_loop.serve`` leaves them.
    origin_ns
        when the schedule began, by their clock.
    in_flight, never
        the outcomes of an arrival that was being served, and of one that was neither served nor dropped, when the stream ended.
    lanes, replies
        how many could be on their way at once, and what a server said to each arrival; empty where none was asked.
    """

    schedule: Schedule
    stamps: Integers
    origin_ns: int
    in_flight: InFlight = "error"
    never: Outcome = "lost"
    lanes: int = 1
    replies: Sequence[Reply | None] = ()

    def last_round(self, arrived: int) -> int:
        """Return the last round that an arrival of the first ``arrived`` ones belongs to; a stream has one at least."""
        return max(0, (arrived - 1 - self.schedule.ramp) // self.schedule.round_size)

    @cached_property
    def _first_of_batch(self) -> npt.NDArray[np.bool_]:
        """Of the arrivals that were served, whether each is the first of its batch: its others share its stamps."""
        served = self.stamps[self.stamps[:, 3] > 0]
        return np.concatenate([[True], (np.diff(served, axis=0) != 0).any(axis=1)])[: len(served)]

    def refuse_impossible(self, ended_ns: int | None = None) -> None:
        """Raise TrialFailed for stamps that no clock can produce."""
        served = self.stamps[self.stamps[:, 3] > 0]
        if self.lanes == 1:
            served = served[self._first_of_batch]
        refuse_impossible(served, self.origin_ns, ended_ns, together=self.lanes > 1)
        started = self.stamps[:, 0] > 0
        waits_ns = self.stamps[started, 0] - self.origin_ns - self.schedule.moments_ns[started]
        if waits_ns.size and int(waits_ns.min()) < 0:
            raise TrialFailed(f"a sample starts {-int(waits_ns.min())} ns before it arrives: {REMEDY}", FAULT)

    @cached_property
    def ends_ns(self) -> Integers:
        """Return when the ramp and each round were over by the clock of the stamps, [rounds + 1]: its last end, or its last arrival."""
        moments = self.origin_ns + self.schedule.moments_ns
        over = np.maximum.accumulate(np.maximum(self.stamps[:, 3], np.where(self.stamps[:, 3] > 0, 0, moments)))
        places = [self.schedule.of_round(number).stop - 1 for number in range(-1, self.schedule.rounds)]
        return np.array([self.origin_ns if place < 0 else int(over[place]) for place in places], dtype=np.int64)

    def rounds(
        self,
        first: int,
        count: int,
        began_ns: tuple[int, int],
        common: Mapping[str, Any],
        raised: Mapping[int, str],
        traceback: str | None = None,
        answers: Sequence[Any] = (),
        compared: Compared | None = None,
        evidence: Mapping[str, Any] | None = None,
    ) -> Rounds:
        """Return the first ``count`` rounds, stored under numbers from ``first``, with the ramp beside them.

        Parameters
        ----------
        began_ns
            the start of the stream by the wall clock and by the monotonic one.
        common
            columns of all rounds, ``visit`` among them.
        raised, traceback
            messages by arrival, and the first exception as text.
        answers, compared
            the answer to each arrival, None where there is none; and what compares them with the first ones.
        evidence
            columns of the first round: it is read around the whole stream.
        """
        rows: list[dict[str, Any]] = []
        common = {**common, "stream": common["visit"], "stream_started_monotonic_ns": began_ns[1]}
        changed, errors, orders = {}, {}, []
        for counted in range(count):
            number, part = first + counted, self.schedule.of_round(counted)
            order = part.start + np.argsort(self.schedule.samples[part], kind="stable")
            orders.append(order)
            start_ns, end_ns = (int(moment) - self.origin_ns for moment in self.ends_ns[counted : counted + 2])
            row = round_row(number, began_ns[0] + start_ns, began_ns[1] + start_ns, end_ns - start_ns, common)
            row["incomplete"] = self.never == "lost" and bool(np.isin(self.stamps[part, 3], (0, IN_FLIGHT)).any())
            if failed := {sample: raised[place] for sample, place in enumerate(order.tolist()) if place in raised}:
                errors[number] = failed
            if compared is not None:
                by_sample = [answers[place] for place in order]
                table, columns = compared(by_sample, [sample for sample, answer in enumerate(by_sample) if answer is None])
                row |= columns
                if table is not None:
                    changed[number] = table
            rows.append(row)
        rows[0] |= evidence or {}
        numbers = np.repeat(np.arange(first, first + count), self.schedule.round_size)
        before = self.schedule.ramp
        ramp = self._columns(np.arange(before), np.full(before, -1), ramp=True)
        ramp["stream"] = pa.array(np.full(before, common["visit"], dtype=np.int32))
        return Rounds(
            timings=columns_batch(self._columns(np.concatenate(orders), numbers, ramp=False), schema.TIMINGS),
            rows=rows_batch(rows, schema.ROUNDS),
            answers=changed,
            errors=errors,
            tracebacks={} if traceback is None else dict.fromkeys(errors, traceback),
            ramp=columns_batch(ramp, schema.RAMP),
        )

    def _columns(self, places: npt.NDArray[np.intp], numbers: Integers, ramp: bool) -> dict[str, Any]:
        stamps, moments = self.stamps[places], self.schedule.moments_ns[places]
        codes = outcomes_of(stamps, self.in_flight, self.never)
        replies = self.replies and [self.replies[place] for place in places]
        return {
            **timing_columns(numbers, self.schedule.samples[places], stamps, codes, self._gaps[places], replies),
            "arrival_ns": pa.array(moments),
            "queue_ns": pa.array(stamps[:, 0] - self.origin_ns - moments, mask=codes != schema.OK),
            "ramp": pa.array(np.full(len(places), ramp)),
        }

    @cached_property
    def _gaps(self) -> Integers:
        """Return from each started arrival's start back to the end of the batch before it, ns, [N]; -1 where there is none."""
        gaps, served = np.full(len(self.stamps), -1, dtype=np.int64), self.stamps[:, 3] > 0
        if self.lanes > 1 or not served.any():
            return gaps
        starts, ends = self.stamps[served, 0], self.stamps[served, 3]
        before = np.concatenate([[0], ends[self._first_of_batch]])[np.cumsum(self._first_of_batch) - 1]
        gaps[served] = np.where((starts > 0) & (before > 0), starts - before, -1)
        return gaps


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
        "truncated": pa.array([None if reply is None else reply.truncated for reply in answered], pa.bool_()),
        **{
            name: pa.array([None if reply is None else getattr(reply, name) for reply in answered], pa.int32())
            for name in ("prompt_tokens", "cached_tokens")
        },
    }


def spread(groups: Groups, answers: Sequence[list[Any] | None], failed: Mapping[int, str]) -> tuple[list[Any], dict[int, str]]:
    """Turn answers and errors per batch into answers and errors per sample.

    Raises TrialFailed if a batch was not answered with one answer per sample.
    """
    by_sample: list[Any] = [None] * sum(len(group) for group in groups)
    errors: dict[int, str] = {}
    for number, (group, answered) in enumerate(zip(groups, answers, strict=True)):
        if answered is None:
            errors.update(dict.fromkeys(group, failed.get(number, "no answer")))
        else:
            refuse_miscounted(answered, len(group))
            for index, answer in zip(group, answered, strict=True):
                by_sample[index] = answer
    return by_sample, errors


def answers_by_arrival(stamps: Integers, answers: Sequence[list[Any] | None]) -> list[Any]:
    """Return the answer of each arrival, None where there is none, from those of whole batches.

    Samples of one batch share its stamps. Raises TrialFailed if a batch was not answered with one answer per sample.
    """
    batches: dict[int, list[int]] = {}
    for number, answered in enumerate(answers):
        batches.setdefault(-number - 1 if answered is None else int(stamps[number, 3]), []).append(number)
    by_arrival, _ = spread([*batches.values()], [answers[first] for first, *_ in batches.values()], {})
    return by_arrival


@contextmanager
def right_form(kind: str, what: str) -> Iterator[None]:
    """Raise TrialFailed, in one line and with the traceback kept, if answers or references do not have the form of their kind."""
    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        message = f"{what} do not have the form of kind {kind} ({message_with_place(error)}); docs/tasks.md shows it"
        failed = TrialFailed(message, "answers malformed")
        keep_traceback(failed, traceback_of(error))
        raise failed from error


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


def changed_answers(kind: str, first: Sequence[Any], now: Sequence[Any], unanswered: Collection[int]) -> pa.Table | None:
    """Return the samples answered differently than at first, or None. What is ``unanswered`` has no answer."""
    changed = [index for index, answer in enumerate(now) if index not in unanswered and answer != first[index]]
    if not changed:
        return None
    _, prediction = schema.ANSWERS.get(kind, (None, None))
    return pa.table({"sample": pa.array(changed, pa.int32()), "prediction": pa.array([now[index] for index in changed], prediction)})
