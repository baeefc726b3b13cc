"""A trial as its process loads it: its model, its stages, and what rounds and streams are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from traceback import TracebackException
from typing import Any

from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError, LoadContext, LoadedModel, Model, Sample, Task
from orchestrator.endings import ends_the_program
from orchestrator.measurement.asking import Client
from orchestrator.measurement.device import CudaStages
from orchestrator.measurement.failures import TrialFailed, fault_of
from orchestrator.measurement.in_flight import InFlight, kept
from orchestrator.measurement.load_loop import WaitUntil, waiting
from orchestrator.measurement.scratch import Scratch
from orchestrator.measurement.timing import Clock, Stages
from orchestrator.subject.samples import batches_of_round
from orchestrator.subject.targets import message_with_place, traceback_text


@dataclass
class LoadedTrial:
    """One trial in its process.

    items
        the samples as the first of the ``stages`` takes them.
    scratch
        where the stamps go.
    clock, monotonic
        the clocks of the stamps and of the starts of rounds, ns.
    cuda
        what waits for the trial's GPUs, None without one.
    asking
        what sends requests to the trial's server, None without one.
    first_answers
        by sample, as the first warm-up round gives them; None for a sample that nothing has answered yet.
    """

    trial: Trial
    process: int
    items: Sequence[Any]
    stages: Stages
    scratch: Scratch
    clock: Clock
    monotonic: Clock
    cuda: CudaStages | None = None
    asking: InFlight | None = None
    first_answers: list[Any] | None = None

    @property
    def known_answers(self) -> list[Any]:
        """The first answers, once there are any."""
        assert self.first_answers is not None
        return self.first_answers

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

    def batches(self, groups: Sequence[Sequence[int]]) -> list[list[Any]]:
        """Return the items of each batch."""
        return [[self.items[index] for index in group] for group in groups]

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
    stages = Stages(lambda items: preprocess([decode(item) for item in items]), model.infer, model.postprocess)
    return [sample.read() for sample in samples], stages
