"""Trials of the null model over numbers, planned and measured in this process."""

import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from virtual_clock import SteppingClock, at_rest

from orchestrator.commands.progress import Progress
from orchestrator.configuration.config import CampaignConfig, Trial, parse_trial
from orchestrator.machine.host import read_machine
from orchestrator.running.executor import Executor
from orchestrator.running.inline import InlineExecutor, open_inline
from orchestrator.running.pipeline import run_trials
from orchestrator.running.plan import Candidate, make_plan_of
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import CampaignRecord, PlannedTrial
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.inspection import Inspector

KIND = "image_classification"
OPTIONS: dict[str, Any] = {"sleep_ms": 0, "wrong": [], "raises_on": [], "fails_to_load": False, "dies": False}
"""Of the null model and of those that inherit from it; a model with another target is given its own."""


def null_document(**blocks: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a trial of three rounds, changed by keys of its blocks: ``model={"wrong": [3]}``."""
    document: dict[str, Any] = {
        "model": {"name": "null", "kind": KIND, "target": "null_targets:NullModel", "runtimes": ["torch"]},
        "task": {"name": "numbers", "kind": KIND, "target": "null_targets:Numbers", "count": 20},
        "system": {"name": "cpu_all"},
        "runtime": {"name": "torch"},
        "measurement": {"rule": "rounds", "min_rounds": 3, "max_rounds": 3},
    }
    if "target" not in blocks.get("model", {}):
        document["model"] |= OPTIONS
    return {name: {**document.get(name, {}), **blocks.get(name, {})} for name in {**document, **blocks}}


def null_trial(**blocks: dict[str, Any]) -> Trial:
    return parse_trial(null_document(**blocks))


def named(trial_id: str, **blocks: dict[str, Any]) -> PlannedTrial:
    """Return a planned trial of three rounds with this id, whose end is its repeat: ``any-name-r0``."""
    key, _, repeat = trial_id.rpartition("-r")
    trial = null_trial(**blocks).model_copy(update={"repeat": int(repeat)})
    return PlannedTrial(trial_id=trial_id, match_key=key, trial=trial)


def planned(*documents: dict[str, Any]) -> list[PlannedTrial]:
    """Return the plan of trials, each a document; of one of three rounds where there is none."""
    trials = [parse_trial(document) for document in documents or [null_document()]]
    return list(make_plan_of([Candidate(trial, Inspector().open(trial).inspection, read_machine()) for trial in trials]).trials)


def measure(
    directory: Path,
    trials: Sequence[PlannedTrial],
    stop: threading.Event | None = None,
    executor: Executor | None = None,
    minutes: float | None = None,
    progress: Progress | None = None,
    **more: Any,
) -> Campaign:
    """Measure trials into a folder; a campaign that is there already goes on."""
    if executor is None:
        with open_inline(directory.with_name("cache")) as own:
            return measure(directory, trials, stop, own, minutes, progress, **more)
    record = CampaignRecord(code_version="test", name="test", trials=tuple(trials), config=CampaignConfig(minutes=minutes))
    with CampaignWriter.reopen(directory) if directory.exists() else CampaignWriter.create(directory, record) as writer:
        run_trials(list(trials), executor, writer, progress or Progress(len(trials), None), stop or threading.Event(), **more)
    return open_campaign(directory)


def measure_by(clock: SteppingClock, directory: Path, record: CampaignRecord, paced: bool = False) -> Path:
    """Measure a campaign into a new directory, in this process and on a clock; where ``paced``, rounds begin by that clock, too."""
    with CampaignWriter.create(directory, record) as writer, tempfile.TemporaryDirectory() as scratch:
        # Without a guard, which is a process of its own.
        executor = InlineExecutor(Path(scratch), Path(scratch, "cache"), clock, clock if paced else clock.now)
        run_trials(list(record.trials), executor, writer, Progress(len(record.trials), None), threading.Event(), now_ns=at_rest)
    return directory
