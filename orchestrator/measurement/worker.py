"""One timed process for one trial: pin, load, warm up, then rounds on request. Knows neither Ray nor the results directory."""

import gc
import socket
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError, LoadContext, LoadedModel, Model, Sample, Task
from orchestrator.endings import ends_the_program
from orchestrator.machine import cores, environment
from orchestrator.machine.host import cores_offered, numa_cores
from orchestrator.measurement import device, round_tables
from orchestrator.measurement.asking import Client
from orchestrator.measurement.evidence import AroundRounds, kernel_ns
from orchestrator.measurement.failures import TrialFailed, fault_of, refuse_raised, tracebacks_kept
from orchestrator.measurement.in_flight import InFlight
from orchestrator.measurement.placement_read_back import OF_THE_SYSTEM, placement_kept, read_own, read_placement, refuse_other_cores
from orchestrator.measurement.rounds import TimedRounds, salted
from orchestrator.measurement.scratch import Scratch
from orchestrator.measurement.timing import Clock, Stages
from orchestrator.storage import schema
from orchestrator.storage.handover import Prepared, Rounds
from orchestrator.subject.inspection import Inspector, Subject
from orchestrator.subject.samples import CONVERSATION, batches_of_round, turns_of
from orchestrator.subject.schedule import schedule_of
from orchestrator.subject.targets import message_with_place


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
        self._trial = trial
        self._process = process
        self._scratch_path = scratch
        self._cache_dir = cache_dir
        self._clock, self._monotonic = clock, monotonic
        self._roots = roots
        self._beside: Collection[int] = ()  # processes from which those of a neighbour descend
        self._pin = pin
        self._allowed = cores.allowed_cores()
        self._cores = cores_offered(trial.system, self._allowed, numa_cores(), socket.gethostname())
        self._threads = trial.system.threads or len(self._cores)
        self._client: Client | None = None
        self._asking: InFlight | None = None

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
        given = read_own()
        kernel_before_ns = kernel_ns()
        subject = Inspector().open(self._trial)
        if self._trial.server.is_asked:
            self._client = Client(self._trial.server, self._clock)
            self._asking = InFlight(self._trial.in_flight, self._client)
        model = load_model(subject.model, self._trial, self._threads, self._cache_dir, self._client)
        load_ns = time.perf_counter_ns() - started
        # What is loaded stays: without this every collection between rounds would walk the whole framework, for 0.1 s and more.
        gc.collect()
        gc.freeze()
        seen = device.read_device(self._trial.system)
        uuids = [gpu["uuid"] for gpu in seen.get("gpus", ())]
        garbage = self._trial.measurement.garbage_collection == "on"
        around = AroundRounds(self._cores, self._roots, uuids, len(self._trial.system.gpus), garbage, self._beside)
        self._memory = around.memory
        self._rounds = rounds = self._timed_rounds(subject, model, around)
        warmup = rounds.run(0, self._trial.measurement.warmup_rounds)
        first = warmup.timings.slice(rounds.groups(0)[0][0], 1).to_pylist()[0]
        stages_ns = [first[name] for name in schema.STAGES]
        refuse_raised(self._trial, warmup, [sample.name for sample in subject.samples])
        rounds.answer_alone()
        facts = dict(model.facts)
        if self._client is not None:
            server = self._trial.server
            facts |= {
                "server": server.name,
                "server_url": server.url,
                "server_weights": "unknown",
                "in_flight": self._trial.in_flight,
                "connections_of_warmup": self._client.connections,
            }
            asked, held = (warmup.rows.column(name)[0].as_py() for name in ("prompt_tokens", "cached_tokens"))
            facts |= {"cached_of_warmup": held / asked} if asked else {}
        gc.collect()
        gc.freeze()
        sizes = [model.input_size(subject.task.decode(sample.read())) for sample in subject.samples]
        kind = self._trial.task.kind
        with round_tables.right_form(kind, f"answers of model {self._trial.model.name} or references of task {self._trial.task.name}"):
            samples = round_tables.samples_table(kind, subject.samples, rounds.first_answers, sizes)
        self._model, self._moved = model, moved
        self._placement = self._read_placement()
        self._own = {**self._placement, **{name: given[name] for name in OF_THE_SYSTEM}}
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
                # None if the model raised.
                "first_inference_ns": first["inference_ns"],
                "first_total_ns": None if None in stages_ns else sum(stages_ns),
                "warmup_rounds_ns": warmup.rows.column("duration_ns").to_pylist(),
                "peak_memory_bytes": self._memory.resident_bytes,
                "gpu_allocated_peak_bytes": self._memory.gpu_bytes,
            },
            facts=facts,
            warmup=warmup.timings,
            samples=samples,
            metrics=tuple(subject.task.metrics),
        )

    def _timed_rounds(self, subject: Subject, model: LoadedModel, around: AroundRounds) -> TimedRounds:
        trial = self._trial
        items, stages = stages_for(trial.task.preload, subject.samples, subject.task, model)
        turns = turns_of(sample.slices.get(CONVERSATION) for sample in subject.samples)
        cache = model.facts.get("cache")  # of a runtime that sends prompts
        if cache == "salted":
            stages = salted(stages)
        # So many batches, or arrivals of a stream, are stamped at once; a warm-up round of a trial under load is stamped too.
        arrivals = schedule_of(trial, len(items), 0, turns).moments_ns.size if trial.load.is_open else 0
        scratch = Scratch(self._scratch_path, max(len(batches_of_round(trial, len(items), 0)), arrivals))
        cuda = None
        if gpus := trial.system.gpus:
            # Under load a batch is what waits, so that no event could be told from the stamps which arrival it belongs to.
            events = bool(model.facts.get("cuda_events")) and not trial.load.is_open
            cuda = device.CudaStages(stages, scratch.batches, events, len(gpus))
            stages = cuda.stages
        return TimedRounds(
            trial, self._process, items, stages, scratch, around, lambda: refuse_other_cores(self._placement, self._pin),
            self._clock, self._monotonic, cuda, self._asking, turns, cache == "salted",
            self._client.counters if self._client and cache else None,
        )  # fmt: skip

    @tracebacks_kept()
    def run_rounds(self, first: int, count: int, visit: int) -> Rounds:
        """Time consecutive rounds of a visit, each one pass over every sample; a new visit begins with its lead-in."""
        return self._rounds.run(first, count, visit)

    @tracebacks_kept()
    def run_stream(self, first: int, visit: int) -> Rounds:
        return self._rounds.serve(first, visit)

    @tracebacks_kept()
    def read_back(self) -> dict[str, Any]:
        """Return the placement as it is now, with ``flags``: what the model has changed of it.

        Raises InputError if threads compute elsewhere, or others than the trial says, as after the warm-up.
        """
        own = read_own()
        flags = placement_kept(self._own, own, self._pin)
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
        if self._client is not None and self._asking is not None:
            self._asking.close()
            self._client.close()
        self._scratch_path.unlink(missing_ok=True)


def load_model(model: Model, trial: Trial, threads: int, cache_dir: Path, client: Client | None) -> LoadedModel:
    """Return the model, ready to be timed. Raises TrialFailed for whatever it raises but InputError."""
    runtime = trial.runtime
    context = LoadContext(
        runtime=runtime.name,
        dtype=runtime.dtype,
        deterministic=runtime.deterministic,
        autotune=runtime.autotune,
        device="cpu" if trial.system.device == "cpu" else "cuda:0",
        threads=threads,
        batch=trial.measurement.batch,
        cache_dir=cache_dir,
        gpus=max(1, len(trial.system.gpus)),
        server=client,
    )
    try:
        return model.load(context)
    except InputError:
        raise
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: no exception of the user's code may end the program
        if ends_the_program(error):
            raise
        message = message_with_place(error)
        raise TrialFailed(f"model {trial.model.name} raised while loading: {message}", fault_of(message, "load failed")) from error


def stages_for(preload: str, samples: Sequence[Sample], task: Task, model: LoadedModel) -> tuple[Sequence[Any], Stages]:
    """Return one item per sample and the stages that take lists of such items.

    ``bytes`` holds encoded samples, ``none`` holds nothing (the file is read inside ``preprocess``), ``decoded`` holds decoded
    samples.
    """
    decode, preprocess = task.decode, model.preprocess
    if preload == "none":
        return samples, Stages(lambda items: preprocess([decode(item.read()) for item in items]), model.infer, model.postprocess)
    if preload == "decoded":
        return [decode(sample.read()) for sample in samples], Stages(preprocess, model.infer, model.postprocess)
    return [sample.read() for sample in samples], Stages(
        lambda items: preprocess([decode(item) for item in items]), model.infer, model.postprocess
    )
