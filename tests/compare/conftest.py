import random
import shutil
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest
from null_trials import null_document, planned
from virtual_clock import SteppingClock, at_rest

from orchestrator.commands import line
from orchestrator.commands.progress import Progress
from orchestrator.configuration.config import Trial
from orchestrator.running.inline import InlineExecutor, InlineJob, InlineSession
from orchestrator.running.pipeline import run_trials
from orchestrator.storage.handover import Rounds
from orchestrator.storage.records import CampaignRecord, Pairing, PlannedTrial
from orchestrator.storage.writer import CampaignWriter

Measure = Callable[..., Path]
INFERENCE = 3
"""A round reads the clock once, then four times a sample; the third of these ends the inference."""


class ProcessClock(SteppingClock):
    """Every stage takes 1 ms with 5 % noise, inference 2 ms and longer by a share; a whole process is faster or slower by 1 %."""

    def __init__(self) -> None:
        super().__init__(self._stage_ns)
        self._processes: dict[str, tuple[random.Random, float, float, float]] = {}

    def begin_process(self, name: str, seed: int, slower: float, noise: float) -> None:
        own = random.Random(zlib.crc32(f"{seed} {name}".encode()))
        self._processes[name] = own, slower, noise, own.lognormvariate(0, noise / 5)
        self._random, self._slower, self._noise, self._process = self._processes[name]

    def begin_round(self, name: str) -> None:
        self._random, self._slower, self._noise, self._process = self._processes[name]
        self.readings = 0

    def _stage_ns(self) -> int:
        median_ms = 2 * (1 + self._slower) if (self.readings - 1) % 4 == INFERENCE else 1
        return round(median_ms * self._process * self._random.lognormvariate(0, self._noise) * 1_000_000)


class Processes(InlineExecutor):
    """Gives every process a speed of its own."""

    def __init__(self, scratch: Path, cache_dir: Path, clock: ProcessClock, seed: int, slower: Mapping[str, float], noise: float) -> None:
        self._told = clock
        super().__init__(scratch, cache_dir, self._told, self._told)
        self._seed, self._slower, self._noise = seed, slower, noise

    def open(self, trial: Trial, trial_id: str, process: int) -> InlineSession:
        self._told.begin_process(trial_id, self._seed, self._slower.get(trial.system.name, 0.0), self._noise)
        session = super().open(trial, trial_id, process)

        def told(first: int, count: int, visit: int) -> InlineJob[Rounds]:
            def run() -> Rounds:
                found = []
                for number in range(first, first + count):
                    self._told.begin_round(trial_id)
                    found.append(session._worker.run_rounds(number, 1, visit))
                return Rounds(
                    timings=pa.concat_batches([part.timings for part in found]),
                    rows=pa.concat_batches([part.rows for part in found]),
                    answers={number: table for part in found for number, table in part.answers.items()},
                    errors={number: errors for part in found for number, errors in part.errors.items()},
                    tracebacks={number: text for part in found for number, text in part.tracebacks.items()},
                    ramp=found[0].ramp,
                )

            return InlineJob(run)

        session.run_rounds = told  # type: ignore[method-assign]
        return session


@contextmanager
def opened(
    directory: Path,
    clock: ProcessClock,
    *,
    repeats: int = 3,
    seed: int = 0,
    slower: Mapping[str, float] | None = None,
    noise: float = 0.05,
    rounds: int = 20,
    systems: tuple[str, ...] = ("cpu_1core", "cpu_all"),
    model: Mapping[str, object] | None = None,
    task: Mapping[str, object] | None = None,
    max_errors: int = 0,
    name_of_campaign: str | None = None,
    **record_fields: object,
) -> Iterator[tuple[tuple[PlannedTrial, ...], Callable[[list[PlannedTrial]], object]]]:
    """A campaign's trials, and what measures some of them."""
    documents = [
        null_document(
            model={"wrong": [3, 7], **(model or {})},
            task=task or {},
            system={"name": system, "cores": 1 if system == "cpu_1core" else None},
            measurement={
                "min_rounds": rounds,
                "max_rounds": rounds,
                "repeat": repeats,
                "max_errors": max_errors,
                "lead_in": 0,
                "visit_rounds": 5,
            },
        )
        for system in systems
    ]
    trials = tuple(planned(*documents))
    record = CampaignRecord(**{"code_version": "test", "name": name_of_campaign or directory.name, "trials": trials, **record_fields})
    with CampaignWriter.create(directory, record) as writer, tempfile.TemporaryDirectory() as scratch:
        executor = Processes(Path(scratch), directory.parent / "cache", clock, seed, slower or {}, noise)
        yield trials, lambda some: run_trials(some, executor, writer, Progress(len(some), None), threading.Event(), now_ns=at_rest)


@pytest.fixture
def measure(null_targets: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, measured: dict[str, Path]) -> Measure:
    """Measures a campaign of cpu_1core and cpu_all on a clock with noise, and returns its directory, a copy of the test's own."""

    def run(name: str, **options: object) -> Path:
        asked = repr((name, sorted(options.items())))
        if asked not in measured:
            measured[asked] = tmp_path_factory.mktemp("measured") / name
            with opened(measured[asked], ProcessClock(), **options) as (trials, go):  # type: ignore[arg-type]
                go(list(trials))
        return Path(shutil.copytree(measured[asked], tmp_path / name, symlinks=True))

    return run


@pytest.fixture
def measure_pairs(
    null_targets: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, measured: dict[str, Path]
) -> Callable[..., tuple[Path, Path]]:
    """Measures two such campaigns in pairs, as ``compare --run`` does; ``before`` has options of the first alone, ``after`` of the second."""

    def run(before: Mapping[str, object] | None = None, after: Mapping[str, object] | None = None, **options: object) -> tuple[Path, Path]:
        asked = repr((before, after, sorted(options.items())))
        if asked not in measured:
            folder, clock = tmp_path_factory.mktemp("pairs"), ProcessClock()
            measured[asked] = folder
            sides: list[tuple[Literal["a", "b"], Mapping[str, object]]] = [("a", before or {}), ("b", {"seed": 1, **(after or {})})]
            with ExitStack() as stack:
                pair = [
                    stack.enter_context(opened(folder / name, clock, **{"pairing": Pairing(id="0" * 32, side=name), **options, **own}))
                    for name, own in sides
                ]
                for steps in zip(*(trials for trials, _ in pair), strict=True):
                    for (_, go), planned in zip(pair, steps, strict=True):
                        go([planned])
        copy = Path(shutil.copytree(measured[asked], tmp_path / f"pairs{len(list(tmp_path.glob('pairs*')))}", symlinks=True))
        return copy / "a", copy / "b"

    return run


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs ``compare``; its exit code and what it printed."""

    def run(*paths: Path, overrides: tuple[str, ...] = (), **options: object) -> tuple[int, str]:
        capsys.readouterr()
        words = [*map(str, paths), *overrides]
        for name, value in options.items():
            if value is True:
                words.append(f"--{name.replace('_', '-')}")
            elif value is not None and value is not False:
                given = 100 * value if name == "min_effect" else ",".join(value) if isinstance(value, tuple) else value  # type: ignore[operator]
                words.append(f"--{name.removesuffix('_file').replace('_', '-')}={given}")
        code = line.run(["compare", *words])
        return code, capsys.readouterr().out

    return run
