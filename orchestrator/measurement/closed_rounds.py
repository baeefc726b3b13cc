"""Rounds in a closed loop: one sample, or batch, after the other; and what is asked untimed before they count."""

import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from traceback import TracebackException
from typing import Any

import pyarrow as pa

from orchestrator.contracts import Reply
from orchestrator.measurement import round_tables
from orchestrator.measurement.around_rounds import AroundRounds
from orchestrator.measurement.failures import refuse_impossible, refuse_miscounted
from orchestrator.measurement.loaded_trial import LoadedTrial
from orchestrator.measurement.round_tables import Timed, timings_batch
from orchestrator.measurement.timing import STAMPS, run_batches
from orchestrator.storage import schema
from orchestrator.storage.handover import Rounds
from orchestrator.storage.stored_form import rows_batch


class ClosedRounds:
    """Times rounds of a trial; ``refuse_other_cores`` raises InputError where the process has left its cores meanwhile."""

    def __init__(self, loaded: LoadedTrial, around: AroundRounds, refuse_other_cores: Callable[[], None]) -> None:
        self._loaded, self._around, self._refuse_other_cores = loaded, around, refuse_other_cores
        self._visit: int | None = None

    def run(self, first: int, count: int = 1, visit: int | None = None) -> Rounds:
        """Time rounds, each one pass over every sample; a new ``visit`` begins with its lead-in. Warm-up rounds belong to none.

        What need not be done between two of them is done after the last.
        """
        timed, rows, answers, tracebacks = [], [], {}, {}
        for number in range(first, first + count):
            one, row, changed, traceback = self._time(number, visit)
            timed.append(one)
            rows.append(row)
            if changed is not None:
                answers[number] = changed
            if traceback is not None:
                tracebacks[number] = traceback
        errors = {one.number: one.errors for one in timed if one.errors}
        return Rounds(timings_batch(timed, self._loaded.lanes), rows_batch(rows, schema.ROUNDS), answers, errors, tracebacks)

    def _time(self, number: int, visit: int | None) -> tuple[Timed, dict[str, Any], pa.Table | None, str | None]:
        """Time a round, and return it with its row, its changed answers and the first traceback."""
        loaded, around = self._loaded, self._around
        if visit != self._visit:
            around.find_own_processes()
        lead_in = self.lead_in(number) if visit not in (None, self._visit) else {}
        self._visit = visit
        groups = loaded.groups(number)
        batches = loaded.batches(groups)
        around.begin()
        first_raised: list[TracebackException] = []
        wall_ns, monotonic_ns = time.time_ns(), loaded.monotonic()
        loaded.scratch.begin(number, monotonic_ns, wall_ns)
        before = around.counters()
        started = loaded.clock()
        replies: Sequence[Reply | None] = ()
        if loaded.asking is None:
            answers, failed = run_batches(batches, loaded.stages, loaded.scratch.stamps, loaded.clock, first_raised)
        else:
            asked = loaded.asking.ask(batches, loaded.stages, loaded.scratch.stamps, loaded.clock, first_raised, most=loaded.lanes)
            answers, failed, replies = asked.answers, asked.errors, asked.replies
        duration_ns = loaded.clock() - started
        measured = around.end(before)
        if visit is not None:
            self._refuse_other_cores()
        if loaded.asking is not None:
            loaded.asking.doubt(asked, loaded.scratch.stamps)
        stamps = loaded.scratch.array()[: len(batches)]
        refuse_impossible(stamps, started, started + duration_ns, together=loaded.lanes > 1)
        by_sample, errors = round_tables.spread(groups, answers, failed)
        if visit is None:
            first = zip(loaded.first_answers or by_sample, by_sample, strict=True)
            # A copy: a model may change in later rounds what it has returned.
            loaded.first_answers = deepcopy([now if answer is None else answer for answer, now in first])
        changed, digest = self._compared(by_sample, errors)
        row = {
            "round": number,
            "started_at": datetime.fromtimestamp(wall_ns / 1e9, UTC),
            "started_monotonic_ns": monotonic_ns,
            "duration_ns": duration_ns,
            "process": loaded.process,
            "visit": visit,
            **lead_in,
            "incomplete": False,
            "prediction_digest": digest,
            "different_answers": 0 if changed is None else changed.num_rows,
            **measured,
        }
        cuda_ns = None if loaded.cuda is None else loaded.cuda.take_times_ns()
        return Timed(number, stamps, groups, errors, None if failed else cuda_ns, replies), row, changed, loaded.told(first_raised)

    def _compared(self, answers: Sequence[Any], errors: Mapping[int, str]) -> tuple[pa.Table | None, str]:
        """Return what a round answered differently than at first, and the digest of its answers."""
        loaded, kind = self._loaded, self._loaded.trial.task.kind
        with round_tables.right_form(kind, f"the answers of model {loaded.trial.model.name}"):
            changed = round_tables.changed_answers(kind, loaded.known_answers, answers, errors)
            return changed, round_tables.digest_answers(answers)

    def lead_in(self, number: int) -> dict[str, int | None]:
        """Run the inferences that end the round before once more, untimed, so that the next sample follows what it follows in any round.

        Returns how many there were, and the total time of the first in ns, None if the model raised on it.
        """
        loaded = self._loaded
        count = loaded.trial.measurement.lead_in
        if count == 0:
            return {"lead_in": 0}
        batches = loaded.batches(loaded.groups(max(0, number - 1))[-count:])
        stamps = _places(len(batches))
        run_batches(batches, loaded.stages, stamps, loaded.clock)
        if loaded.cuda is not None:
            loaded.cuda.take_times_ns()
        return {"lead_in": len(batches), "lead_in_first_ns": stamps[3] - stamps[0] if stamps[0] else None}

    def answer_alone(self) -> None:
        """Ask alone, untimed, for samples without an answer, where another round may answer them.

        In the warm-up they shared a batch with one that the model raises on; under load and in shuffled order batches are others each time.
        """
        loaded = self._loaded
        measurement, known = loaded.trial.measurement, loaded.known_answers
        missing = [index for index, answer in enumerate(known) if answer is None]
        if not missing or measurement.batch == 1 or not (loaded.trial.load.is_open or measurement.order == "shuffled"):
            return
        stamps = _places(len(missing))
        batches = loaded.batches([[index] for index in missing])
        if loaded.asking is None:
            answers, _ = run_batches(batches, loaded.stages, stamps, loaded.clock)
        else:
            answers = loaded.asking.ask(batches, loaded.stages, stamps, loaded.clock, most=1).answers
        if loaded.cuda is not None:
            loaded.cuda.take_times_ns()
        for index, answered in zip(missing, answers, strict=True):
            if answered is not None:
                refuse_miscounted(answered, 1)
                known[index] = answered[0]


def _places(batches: int) -> memoryview:
    """Return places for stamps that are not kept."""
    return memoryview(bytearray(8 * STAMPS * batches)).cast("q")
