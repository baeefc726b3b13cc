"""The model of a trial as its timed process loads it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError, LoadContext, LoadedModel, Model
from orchestrator.measurement.asking import Client
from orchestrator.measurement.device import device_in_process
from orchestrator.measurement.failures import TrialFailed, fault_of
from orchestrator.subject.targets import message_with_place


def load_model(model: Model, trial: Trial, threads: int, cache_dir: Path, client: Client | None) -> LoadedModel:
    """Return the model, ready to be timed. Raises TrialFailed for whatever it raises but InputError."""
    runtime = trial.runtime
    context = LoadContext(
        runtime=runtime.name,
        dtype=runtime.dtype,
        deterministic=runtime.deterministic,
        autotune=runtime.autotune,
        device=device_in_process(trial.system.device),
        threads=threads,
        batch=trial.measurement.batch,
        cache_dir=cache_dir,
        gpus=max(1, len(trial.system.gpus)),
        server=client,
    )
    try:
        return model.load(context)
    except (InputError, KeyboardInterrupt):
        raise
    except BaseException as error:  # also SystemExit: no exception of the user's code may end the program
        message = message_with_place(error)
        raise TrialFailed(f"model {trial.model.name} raised while loading: {message}", fault_of(message, "load failed")) from error
