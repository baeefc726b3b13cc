"""What is timed of a trial: rounds in a closed loop, streams under load, and what is asked untimed before they count."""

import time
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from traceback import TracebackException
from typing import Any

import pyarrow as pa

from orchestrator.measurement import round_tables
from orchestrator.measurement.evidence import AroundRounds
from orchestrator.measurement.failures import refuse_impossible, refuse_miscounted
from orchestrator.measurement.in_flight import Arrivals
from orchestrator.measurement.load_loop import Served, serve, service_of
from orchestrator.measurement.loaded_trial import LoadedTrial
from orchestrator.measurement.round_tables import Stream, Timed
from orchestrator.measurement.scratch import STOP
from orchestrator.measurement.timing import STAMPS, run_batches
from orchestrator.storage import schema
from orchestrator.storage.handover import Rounds
from orchestrator.storage.stored_form import rows_batch
from orchestrator.subject.schedule import mean_rate, schedule_of

# From the last preparation of a stream to its start: a schedule may have an arrival at 0, and threads that ask must be awake.
BEFORE_STREAM_NS, BEFORE_REQUESTS_NS = 5_000_000, 100_000_000


class TimedRounds:
    """Times rounds and streams; ``refuse_other_cores`` raises InputError where the process has left its cores meanwhile."""

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
        timings = round_tables.timings_batch(timed, follow=self._loaded.lanes == 1)
        return Rounds(timings, rows_batch(rows, schema.ROUNDS), answers, errors, tracebacks)

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
        asked = self._ask(batches, loaded.scratch.stamps, loaded.lanes, first_raised)
        duration_ns = loaded.clock() - started
        measured = around.end(before)
        if visit is not None:
            self._refuse_other_cores()
        if loaded.asking is not None:
            loaded.asking.doubt(asked, loaded.scratch.stamps)
        stamps = loaded.scratch.array()[: len(batches)]
        refuse_impossible(stamps, started, started + duration_ns, together=loaded.lanes > 1)
        by_sample, errors = round_tables.spread(groups, asked.answers, asked.errors)
        if visit is None:
            first = zip(loaded.first_answers or by_sample, by_sample, strict=True)
            # A copy: a model may change in later rounds what it has returned.
            loaded.first_answers = deepcopy([now if answer is None else answer for answer, now in first])
        changed, compared = self._compared(by_sample, errors)
        common = {"process": loaded.process, "visit": visit, **lead_in, **compared, **measured}
        cuda_ns = None if loaded.cuda is None else loaded.cuda.take_times_ns()
        timed = Timed(number, stamps, groups, errors, None if asked.errors else cuda_ns, asked.replies)
        return timed, round_tables.round_row(number, wall_ns, monotonic_ns, duration_ns, common), changed, loaded.told(first_raised)

    def _ask(self, batches: Sequence[Any], stamps: memoryview, most: int, first_raised: list[TracebackException] | None = None) -> Served:
        """Have batches answered one after the other, by a server as many at once as ``most`` says."""
        loaded = self._loaded
        if loaded.asking is None:
            return Served(*run_batches(batches, loaded.stages, stamps, loaded.clock, first_raised))
        return loaded.asking.ask(batches, loaded.stages, stamps, loaded.clock, first_raised, most=most)

    def _compared(self, answers: Sequence[Any], unanswered: Collection[int]) -> tuple[pa.Table | None, dict[str, Any]]:
        """Return what a round answered differently than at first, and what its row says of that."""
        kind = self._loaded.trial.task.kind
        with round_tables.right_form(kind, f"the answers of model {self._loaded.trial.model.name}"):
            changed = round_tables.changed_answers(kind, self._loaded.known_answers, answers, unanswered)
            digest = round_tables.digest_answers(answers)
        return changed, {"prediction_digest": digest, "different_answers": 0 if changed is None else changed.num_rows}

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
        answers = self._ask(loaded.batches([[index] for index in missing]), _places(len(missing)), most=1).answers
        if loaded.cuda is not None:
            loaded.cuda.take_times_ns()
        for index, answered in zip(missing, answers, strict=True):
            if answered is not None:
                refuse_miscounted(answered, 1)
                known[index] = answered[0]

    def serve(self, first: int, visit: int) -> Rounds:
        """Serve the stream of a visit, whose rounds count from ``first``: samples arrive by a schedule that does not wait for answers.

        It ends early, after a whole round, where its backlog grows too long or the user stops.
        """
        loaded, around = self._loaded, self._around
        trial, scratch, clock, stages = loaded.trial, loaded.scratch, loaded.clock, loaded.stages
        schedule = schedule_of(trial, len(loaded.items), visit)
        around.find_own_processes()
        items = [loaded.items[sample] for sample in schedule.samples]
        service = service_of(trial.load, trial.measurement.batch, mean_rate(trial))
        wait_until = loaded.wait()
        around.begin()
        first_raised: list[TracebackException] = []
        before_ns = BEFORE_STREAM_NS if loaded.asking is None else BEFORE_REQUESTS_NS
        wall_ns, monotonic_ns, origin = time.time_ns() + before_ns, loaded.monotonic() + before_ns, clock() + before_ns
        due = (schedule.moments_ns + origin).tolist()
        scratch.begin(first, monotonic_ns, wall_ns, origin)
        before = around.counters()
        stamps = scratch.stamps[: STAMPS * len(due)]
        ends = [schedule.of_round(number).stop for number in range(schedule.rounds)]
        stop = scratch.header[STOP : STOP + 1]
        if loaded.asking is None:
            served = serve(due, items, stages, stamps, service, clock, wait_until, first_raised, stop, ends)
        else:
            arrivals = Arrivals(due, loaded.wait, service.most_waiting, stop, ends)
            served = loaded.asking.ask([(item,) for item in items], stages, stamps, clock, first_raised, arrivals)
        ended_ns = clock()
        measured = around.end(before)
        self._refuse_other_cores()
        if loaded.cuda is not None:
            loaded.cuda.take_times_ns()
        if loaded.asking is not None:
            loaded.asking.doubt(served, stamps)
        stream = Stream(schedule, scratch.array()[: len(due)], origin, never="dropped", lanes=trial.in_flight, replies=served.replies)
        stream.refuse_impossible(ended_ns)
        if loaded.asking is None:
            answers = round_tables.answers_by_arrival(stream.stamps, served.answers)
        else:
            answers = [answered and answered[0] for answered in served.answers]
        whole = schedule.rounds  # unless the user stopped, or the backlog grew too long
        if served.stopped_at is not None:
            whole = ends.index(served.stopped_at) + 1
        elif served.overloaded:
            whole = stream.last_round(served.arrived) + 1
        common = {"process": loaded.process, "visit": visit, "overloaded": served.overloaded}
        traceback = loaded.told(first_raised)
        return stream.rounds(
            first, whole, (wall_ns, monotonic_ns), common, served.errors, traceback, answers, self._compared, evidence=measured
        )


def _places(batches: int) -> memoryview:
    """Return places for stamps that are not kept."""
    return memoryview(bytearray(8 * STAMPS * batches)).cast("q")
