"""What a trial would work on, seen without a framework: samples, digests of data and weights, and mistakes in either."""

import importlib.util
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.configuration.config import MeasurementConfig, RuntimeConfig, Target, Trial, parse_trial
from orchestrator.configuration.environment_values import path_options
from orchestrator.configuration.fields import DeviceKind
from orchestrator.configuration.server import filled, named_in
from orchestrator.contracts import InputError, Model, Sample, Task
from orchestrator.subject.digests import digest_files
from orchestrator.subject.samples import (
    CONVERSATION,
    SEQUENCE,
    check_classes,
    check_names,
    class_range,
    digest_data,
    digest_lines,
    draw_subset,
    estimate_decoded,
    turns_of,
)
from orchestrator.subject.schedule import refuse_torn, schedule_of
from orchestrator.subject.server import check_server
from orchestrator.subject.targets import check_packages, faults_of, resolve


@dataclass(frozen=True)
class Inspection:
    """What identifies and limits a trial besides its configuration.

    samples
        number of samples drawn.
    held_bytes
        size of what ``task.preload`` keeps of them in memory (estimated where that is decoded).
    data_digest, model_digest
        SHA-256 of the samples drawn (names, contents, references) and of the model's files; ``unknown`` where a server holds the weights.
    model_paths, task_paths
        options that are paths on this machine, absolute.
    slices
        names of the slices that samples belong to.
    metrics
        names of the task's metrics, the primary one first.
    model_bytes
        size of the model's files.
    load_digest
        SHA-256 of the file of arrival times, where there is one.
    """

    samples: int
    held_bytes: int
    data_digest: str
    model_digest: str
    model_paths: Mapping[str, str]
    task_paths: Mapping[str, str]
    slices: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    model_bytes: int = 0
    load_digest: str | None = None


UNKNOWN = Inspection(0, 0, "unknown", "unknown", {}, {})  # for a trial without its model or data


# A task that has checked itself, the samples drawn from it, the range of classes over all samples, and what is known without a model.
OpenTask = tuple[Task, tuple[Sample, ...], tuple[int, int] | None, Inspection]


@dataclass(frozen=True)
class Look:
    """What a look at a trial's model and data found.

    ``missing`` says, one line each, what the trial would lack, and ``fetches`` what its model downloads on first use.
    """

    inspection: Inspection
    missing: tuple[str, ...] = ()
    fetches: str | None = None


@dataclass(frozen=True)
class Subject:
    """What is measured: a model, not loaded yet, and the samples drawn from a task."""

    model: Model
    task: Task
    samples: tuple[Sample, ...]
    inspection: Inspection


class Inspector:
    """Opens the subjects of trials; a model or task that several trials share is opened once.

    ``digest_cache`` is where digests of files are remembered; the user's cache folder by default.
    """

    def __init__(self, digest_cache: Path | None = None) -> None:
        self._digest_cache = digest_cache
        self._models: dict[str, tuple[Model, dict[str, Any]]] = {}
        self._tasks: dict[str, OpenTask] = {}
        self._servers: dict[str, InputError | None] = {}

    def open(self, trial: Trial) -> Subject:
        """Construct a trial's model and task, let them check themselves, draw the samples and digest everything.

        Imports no framework, as long as the targets keep to their contract.

        Raises
        ------
        InputError
            for any mistake in options, files, labels or samples.
        """
        check_packages()
        check_runtime(trial.runtime, trial.system.device_kind)
        model_options, task_options = options_here(trial)
        model, of_model = self._model(trial, model_options)
        task, samples, classes, of_task = self._task(trial, task_options)
        check_classes(f"model {trial.model.name}", trial.model.classes, classes)
        turns, _ = (turns_of(sample.slices.get(name) for sample in samples) for name in (CONVERSATION, SEQUENCE))
        refuse_torn(trial, turns)
        inspection = replace(
            of_task,
            **{**of_model, **({"model_digest": "unknown"} if trial.server.is_asked else {})},
            load_digest=self._check_load(trial, len(samples), turns),
        )
        return Subject(model, task, samples, inspection)

    def look(self, trial: Trial) -> Look:
        """Return what ``open`` finds, or everything that it would refuse; it raises at the first.

        Raises
        ------
        InputError
            for a mistake on any machine, such as classes that do not fit.
        """
        model_options, task_options = options_here(trial)
        steps: tuple[Callable[[], object], ...] = (
            lambda: check_runtime(trial.runtime, trial.system.device_kind),
            lambda: self._model(trial, model_options),
            lambda: self._task(trial, task_options),
            lambda: self._check_load(trial, 1),
            lambda: self._check_server(trial),
            lambda: self._check_neighbour(trial),
        )
        missing = tuple(str(complaint) for complaint in map(_complaint, steps) if complaint is not None)
        inspection, fetches = UNKNOWN if missing else self.open(trial).inspection, None
        with suppress(InputError):
            model, _ = self._model(trial, model_options)
            fetches = model.fetches() if hasattr(model, "fetches") else None
        return Look(inspection, missing, fetches)

    def _check_load(self, trial: Trial, samples: int, turns: Sequence[int] | None = None) -> str | None:
        """Return the digest of the file of arrival times, where there is one. Raises InputError for a schedule that cannot be drawn."""
        if not trial.load.is_open:
            return None
        schedule_of(trial, samples, 0, turns)
        return None if trial.load.file is None else digest_files([Path(trial.load.file)], self._digest_cache)[0]

    def _check_server(self, trial: Trial) -> None:
        key = trial.server.model_dump_json()
        if key not in self._servers:
            self._servers[key] = _complaint(lambda: check_server(trial.server))
        if (complaint := self._servers[key]) is not None:
            raise complaint

    def _check_neighbour(self, trial: Trial) -> None:
        config = trial.neighbour
        program = filled(config.command[0], config.settings) if config.command else ""
        if program and not named_in([program]) and shutil.which(program) is None:
            remedy = f"apt install {config.package}" if config.package else "install it"
            raise InputError(
                f"neighbour={config.name} needs the program {program}, which is not on PATH; {remedy}, or choose another neighbour",
                "not_installed",
                "neighbour",
                config.name,
            )
        if (second := second_of(trial)) is not None:
            self.open(second)

    def _model(self, trial: Trial, options: Mapping[str, Any]) -> tuple[Model, dict[str, Any]]:
        """Return a model that has checked itself, not loaded yet; and what an inspection says of it."""
        config = trial.model
        key = json.dumps([config.target, options], sort_keys=True, default=str)
        if key not in self._models:
            model: Model = resolve("model", config.target, options)
            with faults_of(f"model {config.name} ({config.target})"):
                model.check()
                files = list(model.files())
                found = {
                    "model_digest": digest_lines(digest_files(files, self._digest_cache)),
                    "model_paths": path_options(options, files),
                    "model_bytes": sum(file.stat().st_size for file in files),
                }
            self._models[key] = model, found
        return self._models[key]

    def _task(self, trial: Trial, options: Mapping[str, Any]) -> OpenTask:
        key = json.dumps([trial.task.model_dump(), options], sort_keys=True, default=str)
        if key in self._tasks:
            return self._tasks[key]
        config = trial.task
        task: Task = resolve("task", config.target, options)
        with faults_of(f"task {config.name} ({config.target})"):
            task.check()
            every = list(task.samples())
            check_names(config.name, every)
            found = class_range(every)
            check_classes(f"task {config.name}", config.classes, found)
            samples = tuple(draw_subset(every, config.limit, config.subset_seed))
            encoded = sum(sample.encoded_size() for sample in samples)
            held = estimate_decoded(samples, task.decode) if config.preload == "decoded" else encoded if config.preload == "bytes" else 0
            inspection = replace(
                UNKNOWN,
                samples=len(samples),
                held_bytes=held,
                data_digest=digest_data(samples, self._digest_cache),
                task_paths=path_options(options, [sample.path for sample in every if sample.path is not None]),
                slices=tuple(sorted({name for sample in samples for name in sample.slices})),
                metrics=tuple(task.metrics),
            )
        self._tasks[key] = task, samples, found, inspection
        return self._tasks[key]


def _complaint(step: Callable[[], object]) -> InputError | None:
    try:
        step()
    except InputError as error:
        return error
    return None


def check_runtime(runtime: RuntimeConfig, device: DeviceKind) -> None:
    """Raise InputError for the first module or program that a runtime needs and this machine lacks. Imports and starts none."""
    programs = [program for program in runtime.programs.get(device, ()) if shutil.which(program) is None]
    lacking = [f"package {module}, which is not installed" for module in runtime.packages if importlib.util.find_spec(module) is None]
    for what in [*lacking, *(f"program {program}, which is not on PATH" for program in programs)]:
        raise InputError(f"runtime={runtime.name} needs the {what}; install it or choose another", "not_installed", "runtime", runtime.name)


def second_of(trial: Trial) -> Trial | None:
    """Return what a trial's neighbour runs, where that is a second model. Raises InputError."""
    second = trial.neighbour.second
    return parse_trial({**second, "system": trial.system, "measurement": MeasurementConfig()}) if second else None


def options_here(trial: Trial) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of model and task as they are on this trial's host.

    ``system.paths`` maps keys such as ``task.root`` or ``model.path`` to where that is on the host. Raises InputError for a key
    that neither has.
    """
    blocks: dict[str, Target] = {"model": trial.model, "task": trial.task}
    options = {block: dict(target.options) for block, target in blocks.items()}
    for key, path in trial.system.paths.items():
        block, _, name = key.partition(".")
        if name not in options.get(block, {}):
            raise InputError(
                f"system.paths.{key}: neither model nor task has this option; write task.KEY or model.KEY of a YAML",
                "unknown",
                f"system.paths.{key}",
            )
        options[block][name] = path
    return options["model"], options["task"]
