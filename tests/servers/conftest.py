from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands.progress import Progress
from orchestrator.configuration.config import parse_trial
from orchestrator.machine.host import read_machine
from orchestrator.running.inline import open_inline
from orchestrator.running.pipeline import run_trials
from orchestrator.running.plan import Candidate, make_plan_of
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.inspection import Inspector


@pytest.fixture
def measure(null_targets: Path, tmp_path: Path) -> Callable[..., Campaign]:
    """Measure trials, each a document, into a new folder."""

    def run(*documents: dict[str, Any]) -> Campaign:
        candidates = []
        for document in documents:
            trial = parse_trial(document)
            candidates.append(Candidate(trial, Inspector().open(trial).inspection, read_machine()))
        trials = make_plan_of(candidates).trials
        directory = tmp_path / "results"
        record = CampaignRecord(code_version="test", name="test", trials=trials)
        with CampaignWriter.create(directory, record) as writer, open_inline(tmp_path / "cache") as executor:
            run_trials(list(trials), executor, writer, Progress(len(trials), None), threading.Event())
        return open_campaign(directory)

    return run
