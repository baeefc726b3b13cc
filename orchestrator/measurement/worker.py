"""One timed process for one trial: pin, load, warm up, then rounds on request. Knows neither Ray nor the results directory."""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pyarrow as pa

from orchestrator.configuration.config import Trial
from orchestrator.contracts import Reply
from orchestrator.machine import cores, environment
from orchestrator.machine.host import cores_offered, numa_cores
from orchestrator.machine.own_processes import Kin, OwnProcesses
from orchestrator.measurement import device, evidence, round_tables
from orchestrator.measurement.asking import Client
from orchestrator.measurement.client_cost import AtOnce, client_cost
from orchestrator.measurement.evidence import kernel_ns
from orchestrator.measurement.failures import (
    refuse_impossible,
    refuse_impossible_alone,
    refuse_miscounted,
    refuse_raised,
    tracebacks_kept,
)
from orchestrator.measurement.garbage import Garbage
from orchestrator.measurement.in_flight import Arrivals, Asked, InFlight
from orchestrator.measurement.kept_answers import kept
from orchestrator.measurement.load_loop import Served, WaitUntil, serve, service_of
from orchestrator.measurement.memory import MemoryPeaks
from orchestrator.measurement.model_loading import input_sizes, load_model
from orchestrator.measurement.placement_read_back import placement_kept, read_own, read_placement, refuse_other_cores
from orchestrator.measurement.scratch import STOP, Scratch
from orchestrator.measurement.stages import stages_for
from orchestrator.measurement.stream_rounds import round_of_stream, rounds_that_ended
from orchestrator.measurement.stream_tables import Stream, alone_answered, answers_by_arrival
from orchestrator.measurement.timing import STAMPS, Clock, run_batches
from orchestrator.measurement.waiting import waiting
from orchestrator.storage import schema
from orchestrator.storage.handover import Prepared, RoundResult
from orchestrator.storage.stored_form import one_row
from orchestrator.subject.inspection import open_subject
from orchestrator.subject.samples import batches_of_round
from orchestrator.subject.schedule import mean_rate, schedule_of
from orchestrator.subject.targets import traceback_text

BEFORE_STREAM_NS = 5_000_000
"""From the last preparation of a stream to its start: a schedule may have an arrival at 0."""
BEFORE_REQUESTS_NS = 100_000_000
"""The same where threads ask a server: all of them must be awake."""


class Worker:
    """The timed process of one trial.

    Parameters
    ----------
    trial
        what to measure.
    process
        number of this fresh process within the trial, from 0.
    scratch
        file for the stamps, in memory where there is such a folder.
    cache_dir
        folder for derived files such as exported graphs.
    pin
        False only where this process is not the trial's own (the in-process executor).
    clock, monotonic
        the clocks of the four stamps and of the starts of rounds, ns.
    roots
        ids of the processes from which this program's others descend.
    """

    def __init__(
        self,
        trial: Trial,
        process: int,
        scratch: Path,
        cache_dir: Path,
        pin: bool = True,
        clock: Clock = time.perf_counter_ns,
        monotonic: Clock = time.monotonic_ns,
        roots: Collection[int] = (),
    ) -> None:
        self._monotonic = monotonic
        self._trial = trial
        self._process = process
        self._scratch_path = scratch
        self._cache_dir = cache_dir
        self._clock = clock
        self._pin = pin and cores.CAN_PIN
        self._allowed = cores.allowed_cores()
        self._cores = cores_offered(trial.system, self._allowed, numa_cores(), socket.gethostname())
        self._threads = trial.system.threads or len(self._cores)
        self._first_answers: list[Any] | None = None
        self._garbage = Garbage(trial.measurement.garbage_collection == "on")
        self._visit: int | None = None
        self._kin, self._ours, self._throttle_files = Kin(roots), OwnProcesses(), cores.read_throttle_files()
        self._client: Client | None = None
        self._asking: InFlight | None = None

    def ask_at(self, url: str) -> None:
        """Take the URL of a server that has been started, before anything is loaded."""
        self._trial = self._trial.model_copy(update={"server": self._trial.server.model_copy(update={"url": url})})

    @tracebacks_kept()
    def prepare(self) -> Prepared:
        """Pin, load model and samples, warm up, and read everything back.

        Raises
        ------
        InputError
            for a mistake in the configuration or the data.
        TrialFailed
            if the model raises while it loads, or on more than ``max_errors`` samples of the warm-up, and for anything unexpected.
        """
        started = time.perf_counter_ns()
        moved = cores.pin(self._cores) if self._pin else ()
        kernel_before_ns = kernel_ns()
        subject = open_subject(self._trial)
        if self._trial.server.is_asked:
            self._client = Client(self._trial.server, self._clock)
            self._asking = InFlight(self._trial.in_flight, self._client.hide)
        model = load_model(subject.model, self._trial, self._threads, self._cache_dir, self._client)
        load_ns = time.perf_counter_ns() - started
        self._items, stages = stages_for(self._trial.task.preload, subject.samples, subject.task, model)
        self._scratch = Scratch(self._scratch_path, batches=self._places())
        # Under load a batch is what waits, so that no event could be told from the stamps which arrival it belongs to.
        events, gpus = bool(model.facts.get("cuda_events")) and not self._trial.load.is_open, self._trial.system.gpus
        self._cuda = device.CudaStages(stages, self._scratch.batches, events, len(gpus)) if gpus else None
        self._stages = stages if self._cuda is None else self._cuda.stages
        seen = device.read_device(self._trial.system)
        self._gpus = evidence.GpuEvidence([gpu["uuid"] for gpu in seen.get("gpus", ())])
        self._memory = MemoryPeaks(len(gpus))
        warmup = [self.run_round(number) for number in range(self._trial.measurement.warmup_rounds)]
        refuse_raised(self._trial, warmup[0], [sample.name for sample in subject.samples])
        self._answer_alone()
        facts = {**model.facts, **self._said_of_the_server()}
        # What is loaded stays: without this every collection between rounds would walk the whole framework, for 0.1 s and more.
        gc.collect()
        gc.freeze()
        sizes = input_sizes(model, self._trial.model.name, (subject.task.decode(sample.read()) for sample in subject.samples))
        assert self._first_answers is not None
        kind = self._trial.task.kind
        with round_tables.right_form(kind, f"answers of model {self._trial.model.name} or references of task {self._trial.task.name}"):
            samples = round_tables.samples_table(kind, subject.samples, self._first_answers, sizes)
        self._model, self._moved = model, moved
        self._placement = self._read_placement()
        return Prepared(
            placement={
                **self._placement,
                **seen,
                "process": self._process,
                "scratch": str(self._scratch_path),
            },
            stack=environment.stack(self._trial.system.device),
            environment={**environment.environment(), "kernel": {"before_ns": kernel_before_ns}},
            digests={"data": subject.inspection.data_digest, "model": subject.inspection.model_digest},
            cold_start={
                "load_ns": load_ns,
                **round_tables.first_of_process(warmup[0].timings, self._groups(0)[0][0]),
                "warmup_rounds_ns": [result.round.column("duration_ns")[0].as_py() for result in warmup],
                "peak_memory_bytes": self._memory.resident_bytes,
                "gpu_allocated_peak_bytes": self._memory.gpu_bytes,
            },
            facts=facts,
            warmup=pa.Table.from_batches([result.timings for result in warmup]).combine_chunks().to_batches()[0],
            samples=samples,
            metrics=tuple(subject.task.metrics),
        )

    def run_rounds(self, first: int, count: int, visit: int) -> list[RoundResult]:
        """Run consecutive rounds of a visit."""
        return [self.run_round(number, visit) for number in range(first, first + count)]

    @tracebacks_kept()
    def run_stream(self, first: int, visit: int) -> list[RoundResult]:
        """Serve one stream, whose rounds count from ``first``.

        It ends early, after a whole round, where its backlog grows too long or the user stops.
        """
        trial, load = self._trial, self._trial.load
        schedule = schedule_of(trial, len(self._items), visit)
        self._visit, self._ours = visit, self._kin.find()
        items = [self._items[sample] for sample in schedule.samples]
        service = service_of(load, trial.measurement.batch, mean_rate(trial))
        wait_until = self._wait()
        self._garbage.keep_out()
        self._memory.begin()
        first_raised: list[TracebackException] = []
        before_ns = BEFORE_STREAM_NS if self._asking is None else BEFORE_REQUESTS_NS
        wall_ns, monotonic_ns, origin = time.time_ns() + before_ns, self._monotonic() + before_ns, self._clock() + before_ns
        due = (schedule.moments_ns + origin).tolist()
        self._scratch.begin(first, monotonic_ns, wall_ns, origin)
        before = self._counters()
        stamps = self._scratch.stamps[: STAMPS * len(due)]
        ends = [schedule.of_round(number).stop for number in range(schedule.rounds)]
        stop = self._scratch.header[STOP : STOP + 1]
        served: Served
        if self._asking is None:
            served = serve(due, items, self._stages, stamps, service, self._clock, wait_until, first_raised, stop, ends)
        else:
            arrivals = Arrivals(due, self._wait, service.most_waiting, stop, ends)
            alone = [(item,) for item in items]
            served = self._asking.ask(alone, self._stages, stamps, self._clock, first_raised, arrivals)
        ended_ns = self._clock()
        after, held = self._counters(), self._memory.read()
        self._garbage.let_in()
        refuse_other_cores(self._placement, self._pin)
        if self._cuda is not None:
            self._cuda.take_times_ns()
        replies = served.replies if isinstance(served, Asked) else ()
        stamped = self._scratch.array()[: len(due)]
        stream = Stream(schedule, stamped, origin, never="dropped", lanes=trial.in_flight, replies=replies)
        stream.refuse_impossible(ended_ns)
        measured = self._measured(before, after) | held
        common = {
            "process": self._process,
            "visit": visit,
            "incomplete": False,
            "stream": visit,
            "stream_started_monotonic_ns": monotonic_ns,
            "overloaded": served.overloaded,
        }
        answers = answers_by_arrival(stream.stamps, served.answers) if self._asking is None else alone_answered(served.answers)
        traceback = self._told(first_raised[0]) if first_raised else None
        found = []
        assert self._first_answers is not None
        for number in rounds_that_ended(stream, served, ends):
            row = {
                **common,
                "round": first + number,
                **stream.span(number, wall_ns, monotonic_ns),
                **(measured if number == 0 else {}),
            }
            found.append(round_of_stream(trial, stream, number, row, answers, self._first_answers, served.errors, traceback))
        return found

    def _told(self, raised: TracebackException) -> str:
        """Return a traceback as text, without the token of the server that is asked."""
        told = traceback_text(raised)
        return told if self._client is None else str(kept(told, self._client.hide))

    @tracebacks_kept()
    def run_round(self, number: int, visit: int | None = None) -> RoundResult:
        """Time one pass over every sample; a new ``visit`` begins with its lead-in. Warm-up rounds belong to none."""
        if visit != self._visit:
            self._ours = self._kin.find()
        lead_in = self._lead_in(number) if visit not in (None, self._visit) else {}
        self._visit = visit
        groups = self._groups(number)
        batches = self._batches(groups)
        self._garbage.keep_out()
        self._memory.begin()
        first_raised: list[TracebackException] = []
        wall_ns, monotonic_ns = time.time_ns(), self._monotonic()
        self._scratch.begin(number, monotonic_ns, wall_ns)
        before = self._counters()
        started = self._clock()
        replies: Sequence[Reply | None] = ()
        if self._asking is None:
            answers, failed = run_batches(batches, self._stages, self._scratch.stamps, self._clock, first_raised)
        else:
            asked = self._asking.ask(batches, self._stages, self._scratch.stamps, self._clock, first_raised, most=self._lanes)
            answers, failed, replies = asked.answers, asked.errors, asked.replies
        duration_ns = self._clock() - started
        after, held = self._counters(), self._memory.read()
        self._garbage.let_in()
        if visit is not None:
            refuse_other_cores(self._placement, self._pin)
        stamps = self._scratch.array()[: len(batches)]
        (refuse_impossible if self._lanes == 1 else refuse_impossible_alone)(stamps, started, started + duration_ns)
        by_sample, errors = round_tables.spread(groups, answers, failed)
        if visit is None:
            self._first_answers = round_tables.first_known(self._first_answers or by_sample, by_sample)
        assert self._first_answers is not None
        with round_tables.right_form(self._trial.task.kind, f"the answers of model {self._trial.model.name}"):
            changed = round_tables.changed_answers(self._trial.task.kind, self._first_answers, by_sample, errors)
            answers_digest = round_tables.digest_answers(by_sample)
        row = {
            "round": number,
            "started_at": datetime.fromtimestamp(wall_ns / 1e9, UTC),
            "started_monotonic_ns": monotonic_ns,
            "duration_ns": duration_ns,
            "process": self._process,
            "visit": visit,
            **lead_in,
            "incomplete": False,
            "prediction_digest": answers_digest,
            "different_answers": 0 if changed is None else changed.num_rows,
            **self._measured(before, after),
            **held,
        }
        cuda_ns = None if self._cuda is None else self._cuda.take_times_ns()
        return RoundResult(
            timings=round_tables.timings_batch(number, stamps, groups, errors, None if failed else cuda_ns, replies, self._lanes),
            round=one_row(row, schema.ROUNDS),
            answers=changed,
            errors=errors,
            traceback=self._told(first_raised[0]) if first_raised else None,
        )

    @property
    def _lanes(self) -> int:
        """How many batches of a closed round are on their way at once; a warm-up round of a trial under load is closed, too."""
        return 1 if self._trial.load.is_open else self._trial.in_flight

    def _wait(self) -> WaitUntil:
        """Return a wait for moments of a schedule, for the thread that calls this. Beside other threads it gives way while it spins."""
        load = self._trial.load
        return waiting(load.idle, round(load.spin_us * 1000), self._clock, gives_way=self._trial.in_flight > 1)

    def _said_of_the_server(self) -> dict[str, Any]:
        """Return the facts of a trial that asks a server: who it is, that its weights are unknown, and what the client itself costs."""
        if self._client is None:
            return {}
        server = self._trial.server
        cost = client_cost(self._client, self._batches(self._groups(0)), self._stages, self._clock, self._allowed, self._at_once())
        return {
            "server": server.name,
            "server_url": server.url,
            "server_weights": "unknown",
            "in_flight": self._trial.in_flight,
            "connections_of_warmup": self._client.connections,
            "client": cost,
        }

    def _at_once(self) -> AtOnce | None:
        """Return how several requests of the trial are on their way at once; None where each waits for the one before."""
        assert self._asking is not None
        lanes = self._trial.in_flight
        if lanes == 1 and not self._trial.load.is_open:
            return None
        due = schedule_of(self._trial, len(self._items), 0).moments_ns.tolist() if self._trial.load.is_open else ()
        return AtOnce(self._asking, lanes, due, self._wait)

    def _lead_in(self, number: int) -> dict[str, int | None]:
        """Run the inferences that end the round before once more, untimed, so that the next sample follows what it follows in any round.

        Returns how many there were, and the total time of the first in ns, None if the model raised on it.
        """
        count = self._trial.measurement.lead_in
        if count == 0:
            return {"lead_in": 0}
        batches = self._batches(self._groups(max(0, number - 1))[-count:])
        stamps = memoryview(bytearray(8 * STAMPS * len(batches))).cast("q")
        run_batches(batches, self._stages, stamps, self._clock)
        if self._cuda is not None:
            self._cuda.take_times_ns()
        return {"lead_in": len(batches), "lead_in_first_ns": stamps[3] - stamps[0] if stamps[0] else None}

    def _answer_alone(self) -> None:
        """Ask alone, untimed, for samples without an answer, where another round may answer them.

        In the warm-up they shared a batch with one that the model raises on; under load and in shuffled order batches are others each time.
        """
        measurement = self._trial.measurement
        assert self._first_answers is not None
        missing = [index for index, answer in enumerate(self._first_answers) if answer is None]
        if not missing or measurement.batch == 1 or not (self._trial.load.is_open or measurement.order == "shuffled"):
            return
        stamps = memoryview(bytearray(8 * STAMPS * len(missing))).cast("q")
        batches = self._batches([[index] for index in missing])
        if self._asking is None:
            answers, _ = run_batches(batches, self._stages, stamps, self._clock)
        else:
            answers = self._asking.ask(batches, self._stages, stamps, self._clock, most=1).answers
        if self._cuda is not None:
            self._cuda.take_times_ns()
        for index, answered in zip(missing, answers, strict=True):
            if answered is not None:
                refuse_miscounted(answered, 1)
                self._first_answers[index] = answered[0]

    def _places(self) -> int:
        """Return how many batches, or arrivals of a stream, are stamped at once; a warm-up round of a trial under load is stamped too."""
        rounds = len(self._groups(0))
        return max(rounds, schedule_of(self._trial, len(self._items), 0).moments_ns.size) if self._trial.load.is_open else rounds

    def _counters(self) -> evidence.Counters:
        return evidence.read_counters(self._cores, self._throttle_files, self._ours)

    def _measured(self, before: evidence.Counters, after: evidence.Counters) -> dict[str, Any]:
        """Return the evidence of what was timed between two reads of the counters."""
        return {
            **evidence.difference(before, after),
            **self._gpus.read(),
            "frequency_mhz": evidence.frequency_mhz(self._cores),
            "load_1m": os.getloadavg()[0],
        }

    def kernel_ns(self) -> int:
        """Return how long a fixed piece of work takes now, in ns."""
        return kernel_ns()

    @tracebacks_kept()
    def read_back(self) -> dict[str, Any]:
        """Return the placement as it is now, with ``flags``: what the model has changed of it since the warm-up.

        Raises InputError if threads compute elsewhere, or others than the trial says, as after the warm-up.
        """
        own = read_own()
        flags = placement_kept(self._placement, own, self._pin)
        found = self._read_placement()
        return {
            **own,
            "runtime_threads": found["runtime_threads"],
            "computing_threads": found["computing_threads"],
            "peak_memory_bytes": self._memory.resident_bytes,
            "flags": flags,
        }

    def _read_placement(self) -> dict[str, Any]:
        return read_placement(self._trial, self._cores, self._threads, self._allowed, self._pin, self._model.facts, self._moved)

    def close(self) -> None:
        """Remove the file of stamps, and leave the server."""
        if self._client is not None and self._asking is not None:
            self._asking.close()
            self._client.close()
        self._scratch_path.unlink(missing_ok=True)

    def _groups(self, number: int) -> list[list[int]]:
        """Return the sample numbers of each batch of a round."""
        return batches_of_round(self._trial, len(self._items), number)

    def _batches(self, groups: Sequence[Sequence[int]]) -> list[list[Any]]:
        """Return the items of each batch."""
        return [[self._items[index] for index in group] for group in groups]
