"""From the stamps of a stream to the rows of its ramp and its rounds. Pure: a live process and what a dead one left come to the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.contracts import Reply
from orchestrator.measurement.failures import (
    FAULT,
    REMEDY,
    TrialFailed,
    refuse_impossible,
    refuse_miscounted,
)
from orchestrator.measurement.round_tables import answer_columns
from orchestrator.measurement.timing import DROPPED, IN_FLIGHT, TIMED_OUT
from orchestrator.storage import schema
from orchestrator.storage.schema import InFlight, Outcome
from orchestrator.storage.stored_form import columns_batch
from orchestrator.subject.schedule import Schedule

Stamps = npt.NDArray[np.int64]


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
    stamps: Stamps
    origin_ns: int
    in_flight: InFlight = "error"
    never: Outcome = "lost"
    lanes: int = 1
    replies: Sequence[Reply | None] = ()

    @cached_property
    def outcomes(self) -> npt.NDArray[np.int8]:
        """Index into ``schema.OUTCOMES`` of each arrival, [N]: every one has exactly one."""
        started, ended = self.stamps[:, 0], self.stamps[:, 3]
        code = {name: schema.OUTCOMES.index(name) for name in schema.OUTCOMES}
        found = np.full(len(ended), code[self.never], dtype=np.int8)
        found[ended == IN_FLIGHT] = code[self.in_flight]
        found[ended == DROPPED] = code["dropped"]
        found[(ended > 0) & (started == 0)] = code["error"]
        found[(ended > 0) & (started == 0) & (self.stamps[:, 1] == TIMED_OUT)] = code["timeout"]
        found[(ended > 0) & (started > 0)] = code["ok"]
        return found

    @cached_property
    def complete(self) -> npt.NDArray[np.bool_]:
        """Of each round, whether no arrival was in flight or not yet started when the stream ended."""
        cut = np.isin(self.stamps[:, 3], (0, IN_FLIGHT))
        return np.array([not cut[self.schedule.of_round(number)].any() for number in range(self.schedule.rounds)], dtype=bool)

    def last_round(self, arrived: int) -> int:
        """Return the last round that an arrival of the first ``arrived`` ones belongs to; a stream has one at least."""
        return max(0, (arrived - 1 - self.schedule.ramp) // self.schedule.round_size)

    def refuse_impossible(self, ended_ns: int | None = None) -> None:
        """Raise TrialFailed for stamps that no clock can produce; a batch's samples share theirs."""
        served = self.stamps[self.stamps[:, 3] > 0]
        if self.lanes == 1:
            first = np.ones(len(served), dtype=bool)
            first[1:] = (np.diff(served, axis=0) != 0).any(axis=1)
            served = served[first]
        refuse_impossible(served, self.origin_ns, ended_ns, together=self.lanes > 1)
        started = self.stamps[:, 0] > 0
        waits_ns = self.stamps[started, 0] - self.origin_ns - self.schedule.moments_ns[started]
        if waits_ns.size and int(waits_ns.min()) < 0:
            raise TrialFailed(f"a sample starts {-int(waits_ns.min())} ns before it arrives: {REMEDY}", FAULT)

    @cached_property
    def ends_ns(self) -> npt.NDArray[np.int64]:
        """Return when the ramp and each round were over by the clock of the stamps, [rounds + 1]: its last end, or its last arrival."""
        moments = self.origin_ns + self.schedule.moments_ns
        over = np.maximum.accumulate(np.maximum(self.stamps[:, 3], np.where(self.stamps[:, 3] > 0, 0, moments)))
        places = [self.schedule.of_round(number).stop - 1 for number in range(-1, self.schedule.rounds)]
        return np.array([self.origin_ns if place < 0 else int(over[place]) for place in places], dtype=np.int64)

    def span(self, number: int, wall_ns: int, monotonic_ns: int) -> dict[str, Any]:
        """Return when one round, counted within the stream, began and how long it took: columns of ``schema.ROUNDS``.

        ``wall_ns`` and ``monotonic_ns`` are those of the stream's start.
        """
        start_ns, end_ns = (int(moment) - self.origin_ns for moment in self.ends_ns[number : number + 2])
        return {
            "started_at": datetime.fromtimestamp((wall_ns + start_ns) / 1e9, UTC),
            "started_monotonic_ns": monotonic_ns + start_ns,
            "duration_ns": end_ns - start_ns,
        }

    def timings(self, number: int, stored_as: int) -> pa.RecordBatch:
        """Return the rows of one round, counted within the stream, under a number, in order of sample."""
        part = self.schedule.of_round(number)
        order = np.argsort(self.schedule.samples[part], kind="stable")
        return columns_batch(self._columns(part, order, stored_as, ramp=False), schema.TIMINGS)

    def ramp(self, stream: int) -> pa.RecordBatch:
        """Return the rows of the ramp in order of arrival, columns of ``schema.RAMP``."""
        columns = self._columns(self.schedule.of_round(-1), np.arange(self.schedule.ramp), -1, ramp=True)
        return columns_batch(columns | {"stream": pa.array(np.full(self.schedule.ramp, stream, dtype=np.int32))}, schema.RAMP)

    def _columns(self, part: slice, order: npt.NDArray[np.intp], stored_as: int, ramp: bool) -> dict[str, Any]:
        stamps, codes = self.stamps[part][order], self.outcomes[part][order]
        moments = self.schedule.moments_ns[part][order]
        late = codes != schema.OK
        durations = np.diff(stamps, axis=1)
        gaps = self._gaps[part][order]
        count = len(order)
        return {
            "round": pa.array(np.full(count, stored_as, dtype=np.int32)),
            "sample": pa.array(self.schedule.samples[part][order].astype(np.int32)),
            "outcome": pa.DictionaryArray.from_arrays(pa.array(codes), list(schema.OUTCOMES)),
            "start_gap_ns": pa.array(gaps, mask=late | (gaps < 0)),
            **{name: pa.array(durations[:, place], mask=late) for place, name in enumerate(schema.STAGES)},
            "cuda_inference_ns": pa.nulls(count, pa.int64()),
            "arrival_ns": pa.array(moments),
            "queue_ns": pa.array(stamps[:, 0] - self.origin_ns - moments, mask=late),
            "ramp": pa.array(np.full(count, ramp)),
            **self._answers(np.arange(len(self.stamps))[part][order], late),
        }

    def _answers(self, places: npt.NDArray[np.intp], late: npt.NDArray[np.bool_]) -> dict[str, Any]:
        if not self.replies:
            return {name: pa.nulls(len(places), schema.TIMINGS.field(name).type) for name in schema.ANSWER}
        return answer_columns([self.replies[place] for place in places], self.stamps[places, 1], late)

    @cached_property
    def _gaps(self) -> npt.NDArray[np.int64]:
        """Return from each started arrival's start back to the end of the batch before it, ns, [N]; -1 where there is none."""
        gaps = np.full(len(self.stamps), -1, dtype=np.int64)
        if self.lanes > 1:
            return gaps
        before, current = 0, (0, 0)
        for place in np.flatnonzero(self.stamps[:, 3] > 0):
            start, end = int(self.stamps[place, 0]), int(self.stamps[place, 3])
            if (start, end) != current:
                before, current = current[1], (start, end)
            if start and before:
                gaps[place] = start - before
        return gaps


def answers_by_arrival(stamps: Stamps, answers: Sequence[list[Any] | None]) -> list[Any]:
    """Return the answer of each arrival, None where there is none, from those of whole batches.

    Samples of one batch share its stamps. Raises TrialFailed if a batch was not answered with one answer per sample.
    """
    found: list[Any] = [None] * len(answers)
    batches: dict[int, list[int]] = {}
    for number, answered in enumerate(answers):
        if answered is not None:
            batches.setdefault(int(stamps[number, 3]), []).append(number)
    for members in batches.values():
        answered = answers[members[0]]
        assert answered is not None
        refuse_miscounted(answered, len(members))
        for number, answer in zip(members, answered, strict=True):
            found[number] = answer
    return found
