from __future__ import annotations

import random
import shutil
import tempfile
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.commands.verbs.compare import FORMS, Options, execute
from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.execution.inline import InlineExecutor, InlineJob, InlineSession
from orchestrator.machine.host import read_machine
from orchestrator.planning.plan import Candidate, make_plan_of
from orchestrator.report.progress import Progress
from orchestrator.running.pipeline import run_trials
from orchestrator.storage.handover import RoundResult
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.inspection import inspect

Measure = Callable[..., Path]
INFERENCE = 3
"""A round reads the clock once, then four times a sample; the third of these ends the inference."""


class NoisyClock:
    """Every stage takes 1 ms with 5 % noise, inference 2 ms and longer by a share; a whole process is faster or slower by 1 %."""

    def __init__(self) -> None:
        self._now = self._readings = 0
        self._processes: dict[str, tuple[random.Random, float, float, float]] = {}

    def begin_process(self, name: str, seed: int, slower: float, noise: float) -> None:
        own = random.Random(zlib.crc32(f"{seed} {name}".encode()))
        self._processes[name] = own, slower, noise, own.lognormvariate(0, noise / 5)
        self._random, self._slower, self._noise, self._process = self._processes[name]

    def begin_round(self, name: str) -> None:
        self._random, self._slower, self._noise, self._process = self._processes[name]
        self._readings = 0

    def __call__(self) -> int:
        stage = self._readings % 4
        self._readings += 1
        median_ms = 2 * (1 + self._slower) if stage == INFERENCE else 1
        self._now += round(median_ms * self._process * self._random.lognormvariate(0, self._noise) * 1_000_000)
        return self._now


class Processes(InlineExecutor):
    """Gives every process a speed of its own."""

    def __init__(self, scratch: Path, cache_dir: Path, seed: int, slower: Mapping[str, float], noise: float) -> None:
        self._told = NoisyClock()
        super().__init__(scratch, cache_dir, self._told, self._told)
        self._seed, self._slower, self._noise = seed, slower, noise

    def open(self, trial: Trial, trial_id: str, process: int) -> InlineSession:
        self._told.begin_process(trial_id, self._seed, self._slower.get(trial.system.name, 0.0), self._noise)
        session = super().open(trial, trial_id, process)

        def told(first: int, count: int, visit: int) -> InlineJob[list[RoundResult]]:
            def run() -> list[RoundResult]:
                found = []
                for number in range(first, first + count):
                    self._told.begin_round(trial_id)
                    found.append(session._worker.run_round(number, visit))
                return found

            return InlineJob(run)

        session.run_rounds = told  # type: ignore[method-assign]
        return session


@pytest.fixture(scope="session")
def measured() -> dict[str, Path]:
    """Campaigns by their options, as far as tests have asked for them: equal options give equal times, so that one is enough."""
    return {}


@pytest.fixture
def measure(null_targets: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, measured: dict[str, Path]) -> Measure:
    """Measures a campaign of cpu_1core and cpu_all on a clock with noise, and returns its directory, a copy of the test's own."""

    def run(name: str, **options: object) -> Path:
        options = {"repeats": 3, "seed": 0, **options}
        asked = repr((name, sorted(options.items())))
        if asked not in measured:
            directory = tmp_path_factory.mktemp("measured") / name
            campaign(directory, name, **options)  # type: ignore[arg-type]
            measured[asked] = directory
        return Path(shutil.copytree(measured[asked], tmp_path / name, symlinks=True))

    def campaign(
        directory: Path,
        name: str,
        *,
        repeats: int,
        seed: int,
        slower: Mapping[str, float] | None = None,
        noise: float = 0.05,
        rounds: int = 20,
        systems: tuple[str, ...] = ("cpu_1core", "cpu_all"),
        model: Mapping[str, object] | None = None,
        task: Mapping[str, object] | None = None,
        max_errors: int = 0,
        name_of_campaign: str | None = None,
        **record_fields: object,
    ) -> None:
        candidates = []
        for system in systems:
            document = {
                "model": {
                    "name": "null", "kind": "image_classification", "target": "null_targets:NullModel", "runtimes": ["torch"],
                    "sleep_ms": 0, "wrong": [3, 7], "raises_on": [], "fails_to_load": False, "dies": False, **(model or {}),
                },
                "task": {"name": "numbers", "kind": "image_classification", "target": "null_targets:Numbers", "count": 20, **(task or {})},
                "system": {"name": system, "cores": 1 if system == "cpu_1core" else None},
                "runtime": {"name": "torch"},
                "measurement": {"rule": "rounds", "min_rounds": rounds, "max_rounds": rounds, "repeat": repeats, "max_errors": max_errors, "lead_in": 0, "visit_rounds": 5},
            }  # fmt: skip
            trial = parse_trial(document)
            candidates.append(Candidate(trial, inspect(trial), read_machine()))
        plan = make_plan_of(candidates)
        record = CampaignRecord(**{"code_version": "test", "name": name_of_campaign or name, "trials": plan.trials, **record_fields})
        with CampaignWriter.create(directory, record) as writer, tempfile.TemporaryDirectory() as scratch:
            executor = Processes(Path(scratch), directory.parent / "cache", seed, slower or {}, noise)
            run_trials(list(plan.trials), executor, writer, Progress(len(plan.trials), None), threading.Event())

    return run


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs ``compare``, which takes it that nothing has drifted unless told otherwise; its exit code and what it printed."""

    def run(*paths: Path, overrides: tuple[str, ...] = (), **options: object) -> tuple[int, str]:
        capsys.readouterr()
        options.setdefault("accept_drift", True)
        files = {form: options.pop(f"{form}_file", None) for form in FORMS}
        code = execute(Options(*paths, overrides=overrides, files=files, **options))  # type: ignore[arg-type]
        return code, capsys.readouterr().out

    return run
