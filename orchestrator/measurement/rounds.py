"""What is timed of a trial: rounds in a closed loop, streams under load, and what is asked untimed before they count."""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from traceback import TracebackException
from typing import Any

import numpy as np
import pyarrow as pa

from orchestrator.configuration.config import Trial
from orchestrator.contracts import SALT, Reply, Request
from orchestrator.measurement import round_tables
from orchestrator.measurement.device import CudaStages
from orchestrator.measurement.evidence import AroundRounds
from orchestrator.measurement.failures import refuse_impossible, refuse_miscounted
from orchestrator.measurement.in_flight import Arrivals, InFlight, kept
from orchestrator.measurement.load_loop import Served, WaitUntil, serve, service_of, waiting
from orchestrator.measurement.round_tables import Stream, Timed
from orchestrator.measurement.scratch import STOP, Scratch
from orchestrator.measurement.timing import STAMPS, Clock, Stages, run_batches
from orchestrator.storage import schema
from orchestrator.storage.handover import Rounds
from orchestrator.storage.stored_form import rows_batch
from orchestrator.subject.samples import batches_of_round
from orchestrator.subject.schedule import mean_rate, schedule_of
from orchestrator.subject.targets import traceback_text

# From the last preparation of a stream to its start: a schedule may have an arrival at 0, and threads that ask must be awake.
BEFORE_STREAM_NS, BEFORE_REQUESTS_NS = 5_000_000, 100_000_000


@dataclass
class TimedRounds:
    """Times rounds and streams of one trial in its process.

    items
        the samples as the first of the ``stages`` takes them.
    scratch
        where the stamps go.
    around
        reads what else happens meanwhile.
    refuse_other_cores
        raises InputError where the process has left its cores.
    clock, monotonic
        the clocks of the stamps and of the starts of rounds, ns.
    cuda
        what waits for the trial's GPUs, None without one.
    asking
        what sends requests to the trial's server, None without one.
    turns
        of each conversation, in the order of the samples; None where the task has none.
    salted
        whether the first of the ``stages`` takes pairs of an item and its salt (`salts`).
    read_counters
        returns the counters of the server's cache of prompts; None where it has none, or its answers tell.
    first_answers
        by sample, as the first warm-up round gives them; None for a sample that nothing has answered yet.
    """

    trial: Trial
    process: int
    items: Sequence[Any]
    stages: Stages
    scratch: Scratch
    around: AroundRounds
    refuse_other_cores: Callable[[], None]
    clock: Clock
    monotonic: Clock
    cuda: CudaStages | None = None
    asking: InFlight | None = None
    turns: Sequence[int] | None = None
    salted: bool = False
    read_counters: Callable[[], tuple[int, int] | None] | None = None
    first_answers: list[Any] = field(default_factory=list)
    _visit: int | None = None

    @property
    def lanes(self) -> int:
        """How many batches of a closed round are on their way at once; a warm-up round of a trial under load is closed, too."""
        return 1 if self.trial.load.is_open else self.trial.in_flight

    def groups(self, number: int) -> list[list[int]]:
        """Return the sample numbers of each batch of a round; the same list for all rounds where their order is fixed."""
        if self.trial.measurement.order == "fixed":
            return self._fixed_groups
        return batches_of_round(self.trial, len(self.items), number)

    @cached_property
    def _fixed_groups(self) -> list[list[int]]:
        return batches_of_round(self.trial, len(self.items), 0)

    def batches(self, groups: Sequence[Sequence[int]], number: int | None = None) -> list[list[Any]]:
        """Return what each batch of a round holds; without a ``number`` no prompt is salted."""
        items = self._chosen(range(len(self.items)), number) if self.salted else self.items
        return [[items[index] for index in group] for group in groups]

    def _chosen(self, samples: Sequence[int], number: int | None) -> list[Any]:
        """Return the items of samples; of a salted trial each with its salt in the round or stream of this number."""
        items = [self.items[sample] for sample in samples]
        return [*zip(items, salts(self.trial.task.subset_seed, number, len(items)), strict=True)] if self.salted else items

    def _counters(self) -> tuple[int, int] | None:
        found = None if self.read_counters is None else self.read_counters()
        if found is None:
            self.read_counters = None
        return found

    def _prompts(self, replies: Sequence[Reply | None], before: tuple[int, int] | None) -> dict[str, int]:
        """Return what a round's row says of its prompts, by its answers, else by the server's counters."""
        told = [reply for reply in replies if reply is not None]
        if any(reply.cached_tokens is not None for reply in told):
            self.read_counters = None
            return {name: sum(getattr(reply, name) or 0 for reply in told) for name in ("prompt_tokens", "cached_tokens")}
        if before is not None and (after := self._counters()) is not None and after >= before:
            return {"prompt_tokens": after[0] - before[0], "cached_tokens": after[1] - before[1]}
        return {}

    def wait(self) -> WaitUntil:
        """Return a wait for moments of a schedule, for the thread that calls this. Beside other threads it gives way while it spins."""
        load = self.trial.load
        return waiting(load.idle, round(load.spin_us * 1000), self.clock, gives_way=self.trial.in_flight > 1)

    def told(self, raised: Sequence[TracebackException]) -> str | None:
        """Return the first traceback as text, without the token of the server that is asked; None where nothing has raised."""
        if not raised:
            return None
        text = traceback_text(raised[0])
        return text if self.asking is None else str(kept(text, self.asking.hide))

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
        timings = round_tables.timings_batch(timed, follow=self.lanes == 1)
        return Rounds(timings, rows_batch(rows, schema.ROUNDS), answers, errors, tracebacks)

    def _time(self, number: int, visit: int | None) -> tuple[Timed, dict[str, Any], pa.Table | None, str | None]:
        if visit != self._visit:
            self.around.find_own_processes()
        lead_in = self.lead_in(number) if visit not in (None, self._visit) else {}
        self._visit = visit
        groups = self.groups(number)
        batches = self.batches(groups, None if visit is None else number)
        counters = self._counters()
        self.around.begin()
        first_raised: list[TracebackException] = []
        wall_ns, monotonic_ns = time.time_ns(), self.monotonic()
        self.scratch.begin(number, monotonic_ns, wall_ns)
        before = self.around.counters()
        started = self.clock()
        bounds = None if self.turns is None else list(accumulate(self.turns, initial=0))
        asked = self._ask(batches, self.scratch.stamps, self.lanes, first_raised, bounds)
        duration_ns = self.clock() - started
        measured = self.around.end(before) | self._prompts(asked.replies, counters)
        if visit is not None:
            self.refuse_other_cores()
        if self.asking is not None:
            self.asking.doubt(asked, self.scratch.stamps)
        stamps = self.scratch.array()[: len(batches)]
        refuse_impossible(stamps, started, started + duration_ns, together=self.lanes > 1)
        by_sample, errors = round_tables.spread(groups, asked.answers, asked.errors)
        if visit is None:
            first = zip(self.first_answers or by_sample, by_sample, strict=True)
            # A copy: a model may change in later rounds what it has returned.
            self.first_answers = deepcopy([now if answer is None else answer for answer, now in first])
        changed, compared = self._compared(by_sample, errors)
        common = {"process": self.process, "visit": visit, **lead_in, **compared, **measured}
        cuda_ns = None if self.cuda is None else self.cuda.take_times_ns()
        timed = Timed(number, stamps, groups, errors, None if asked.errors else cuda_ns, asked.replies)
        return timed, round_tables.round_row(number, wall_ns, monotonic_ns, duration_ns, common), changed, self.told(first_raised)

    def _ask(
        self,
        batches: Sequence[Any],
        stamps: memoryview,
        most: int,
        first_raised: list[TracebackException] | None = None,
        bounds: Sequence[int] | None = None,
    ) -> Served:
        """Have batches answered one after the other, by a server as many at once as ``most`` says."""
        if self.asking is None:
            return Served(*run_batches(batches, self.stages, stamps, self.clock, first_raised))
        return self.asking.ask(batches, self.stages, stamps, self.clock, first_raised, most=most, bounds=bounds)

    def _compared(self, answers: Sequence[Any], unanswered: Collection[int]) -> tuple[pa.Table | None, dict[str, Any]]:
        """Return what a round answered differently than at first, and what its row says of that."""
        kind = self.trial.task.kind
        with round_tables.right_form(kind, f"the answers of model {self.trial.model.name}"):
            changed = round_tables.changed_answers(kind, self.first_answers, answers, unanswered)
            text = json.dumps(answers, separators=(",", ":"), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return changed, {"prediction_digest": digest, "different_answers": 0 if changed is None else changed.num_rows}

    def lead_in(self, number: int) -> dict[str, int | None]:
        """Run the inferences that end the round before once more, untimed, so that the next sample follows what it follows in any round.

        Returns how many there were, and the total time of the first in ns, None if the model raised on it.
        """
        count = self.trial.measurement.lead_in
        if count == 0:
            return {"lead_in": 0}
        batches = self.batches(self.groups(max(0, number - 1))[-count:])
        stamps = _places(len(batches))
        run_batches(batches, self.stages, stamps, self.clock)
        if self.cuda is not None:
            self.cuda.take_times_ns()
        return {"lead_in": len(batches), "lead_in_first_ns": stamps[3] - stamps[0] if stamps[0] else None}

    def answer_alone(self) -> None:
        """Ask alone, untimed, for samples without an answer, where another round may answer them.

        In the warm-up they shared a batch with one that the model raises on; under load and in shuffled order batches are others each time.
        """
        measurement, known = self.trial.measurement, self.first_answers
        missing = [index for index, answer in enumerate(known) if answer is None]
        if not missing or measurement.batch == 1 or not (self.trial.load.is_open or measurement.order == "shuffled"):
            return
        answers = self._ask(self.batches([[index] for index in missing]), _places(len(missing)), most=1).answers
        if self.cuda is not None:
            self.cuda.take_times_ns()
        for index, answered in zip(missing, answers, strict=True):
            if answered is not None:
                refuse_miscounted(answered, 1)
                known[index] = answered[0]

    def serve(self, first: int, visit: int) -> Rounds:
        """Serve the stream of a visit, whose rounds count from ``first``: samples arrive by a schedule that does not wait for answers.

        It ends early, after a whole round, where its backlog grows too long or the user stops.
        """
        trial, scratch, clock, stages = self.trial, self.scratch, self.clock, self.stages
        schedule = schedule_of(trial, len(self.items), visit, self.turns)
        self.around.find_own_processes()
        items = self._chosen(schedule.samples.tolist(), visit)
        service = service_of(trial.load, trial.measurement.batch, mean_rate(trial))
        wait_until = self.wait()
        counters = self._counters()
        self.around.begin()
        first_raised: list[TracebackException] = []
        before_ns = BEFORE_STREAM_NS if self.asking is None else BEFORE_REQUESTS_NS
        wall_ns, monotonic_ns, origin = time.time_ns() + before_ns, self.monotonic() + before_ns, clock() + before_ns
        due = (schedule.moments_ns + origin).tolist()
        scratch.begin(first, monotonic_ns, wall_ns, origin)
        before = self.around.counters()
        stamps = scratch.stamps[: STAMPS * len(due)]
        ends = [schedule.of_round(number).stop for number in range(schedule.rounds)]
        stop = scratch.header[STOP : STOP + 1]
        if self.asking is None:
            served = serve(due, items, stages, stamps, service, clock, wait_until, first_raised, stop, ends)
        else:
            arrivals = Arrivals(due, self.wait, service.most_waiting, stop, ends, round(trial.load.think_s * 1e9))
            served = self.asking.ask([(item,) for item in items], stages, stamps, clock, first_raised, arrivals, bounds=schedule.bounds)
        ended_ns = clock()
        measured = self.around.end(before) | self._prompts(served.replies, counters)
        self.refuse_other_cores()
        if self.cuda is not None:
            self.cuda.take_times_ns()
        if self.asking is not None:
            self.asking.doubt(served, stamps)
        came = scratch.array()[: len(due)]
        schedule = schedule.came(came, origin, round(trial.load.think_s * 1e9))
        stream = Stream(schedule, came, origin, never="dropped", lanes=trial.in_flight, replies=served.replies)
        stream.refuse_impossible(ended_ns)
        if self.asking is None:
            answers = round_tables.answers_by_arrival(stream.stamps, served.answers)
        else:
            answers = [answered and answered[0] for answered in served.answers]
        whole = schedule.rounds  # unless the user stopped, or the backlog grew too long
        if served.stopped_at is not None:
            whole = ends.index(served.stopped_at) + 1
        elif served.overloaded:
            whole = stream.last_round(served.arrived) + 1
        common = {"process": self.process, "visit": visit, "overloaded": served.overloaded}
        traceback = self.told(first_raised)
        return stream.rounds(
            first, whole, (wall_ns, monotonic_ns), common, served.errors, traceback, answers, self._compared, evidence=measured
        )


def salts(seed: int, number: int | None, count: int) -> list[bytes]:
    """Return what goes before each prompt of a round or stream: nine digits and a line's end, as JSON has them; nothing without a number.

    They are the same on all systems. First digits count on, so that prompts in a row differ from their first token on.
    """
    if number is None:
        return [b""] * count
    drawn = np.random.default_rng([seed, number, count]).integers(10**8, size=count).tolist()
    return [b"%d%08d\\n" % ((number * count + place) % 10, digits) for place, digits in enumerate(drawn)]


def salted(stages: Stages) -> Stages:
    """Return stages whose first takes pairs of an item and its salt, which it puts in the place of `SALT` in the request."""
    place = SALT.encode()

    def preprocess(pairs: Sequence[tuple[Any, bytes]]) -> Request:
        ((item, salt),) = pairs
        request: Request = stages.preprocess([item])
        return Request(request.path, request.body.replace(place, salt, 1), request.headers, request.streamed)

    return replace(stages, preprocess=preprocess)


def _places(batches: int) -> memoryview:
    return memoryview(bytearray(8 * STAMPS * batches)).cast("q")
