"""The model of a trial as its timed process loads it."""

from collections.abc import Iterable, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import check_plain
from orchestrator.contracts import InputError, LoadContext, LoadedModel, Model
from orchestrator.endings import ends_the_program
from orchestrator.measurement.asking import Client
from orchestrator.measurement.device import device_in_process
from orchestrator.measurement.failures import TrialFailed, fault_of
from orchestrator.subject.targets import message_with_place

NEEDED = ("facts", "input_size", "preprocess", "infer", "postprocess")
"""What a loaded model must have."""


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
        loaded = model.load(context)
    except InputError:
        raise
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: no exception of the user's code may end the program
        if ends_the_program(error):
            raise
        message = message_with_place(error)
        raise TrialFailed(f"model {trial.model.name} raised while loading: {message}", fault_of(message, "load failed")) from error
    if wrong := _why_not_loaded(loaded):
        raise TrialFailed(f"model {trial.model.name}: {wrong}; docs/extending.md shows a model", "load failed")
    return loaded


def _why_not_loaded(loaded: object) -> str | None:
    """Say what keeps that which ``load`` returned from being a loaded model."""
    missing = [name for name in NEEDED if not hasattr(loaded, name)]
    if missing:
        return f"load returned {type(loaded).__name__}, which has no {missing[0]}: it must have {', '.join(NEEDED)}"
    facts = loaded.facts if isinstance(loaded, LoadedModel) else None
    if not isinstance(facts, Mapping):
        return f"its facts are {type(facts).__name__} and must be a mapping"
    if not isinstance(facts.get("threads", {}), Mapping):
        return f'its facts["threads"] is {type(facts["threads"]).__name__} and must map each pool to its number of threads'
    try:
        check_plain(dict(facts), "facts", -1)
    except InputError as error:
        return str(error)
    return None


def input_sizes(model: LoadedModel, name: str, samples: Iterable[Any]) -> list[int]:
    """Return the size that a model gives each decoded sample. Raises TrialFailed for what is no whole number from 0 on."""
    sizes: list[int] = []
    for sample in samples:
        size: object = model.input_size(sample)
        if not isinstance(size, Integral) or not 0 <= int(size) < 2**63:
            shown = int(size) if isinstance(size, Integral) else type(size).__name__
            rule = "it must return a whole number from 0 on; docs/extending.md shows a model"
            raise TrialFailed(f"model {name}: input_size returned {shown}: {rule}", "answers malformed")
        sizes.append(int(size))
    return sizes
