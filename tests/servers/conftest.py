from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_server import FaultServer

from orchestrator.configuration.config import parse_trial
from orchestrator.execution.inline import open_inline
from orchestrator.machine.host import read_machine
from orchestrator.planning.plan import Candidate, make_plan_of
from orchestrator.report.progress import Progress
from orchestrator.running.pipeline import run_trials
from orchestrator.storage.reader import Campaign, open_campaign
from orchestrator.storage.records import CampaignRecord
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.inspection import inspect

KIND = {"kind": "image_classification"}
REQUESTS: dict[str, dict[str, Any]] = {
    "open_inference": {"server_model": "numbers", "inputs": ["number"], "outputs": ["class"]},
    "openai": {"server_model": "numbers"},
    "http_json": {"path": "/predict", "body": {"number": "{number}"}, "answer": "said.number"},
}


def document_of(server: FaultServer | None, runtime: str, samples: int, **blocks: Any) -> dict[str, Any]:
    """Return a trial of numbers: asked of a server in one of its languages, or answered in this process where there is none."""
    served = {"name": "served", "target": "served_targets:ServedNumbers", "runtimes": list(REQUESTS), **KIND}
    null = {
        "name": "null", "target": "null_targets:NullModel", "runtimes": ["torch"], "sleep_ms": 0, "wrong": [], "raises_on": [],
        "fails_to_load": False, "dies": False, **KIND,
    }  # fmt: skip
    asked = {"name": "numbers", "url": server.url, "timeout_s": 0.3} if server is not None else {"name": "none"}
    document = {
        "model": null if server is None else {**served, "request": REQUESTS[runtime]},
        "task": {"name": "numbers", "target": "null_targets:Numbers", "count": samples, **KIND},
        "system": {"name": "cpu_all"},
        "runtime": {"name": "torch"} if server is None else {"name": runtime, "asks_server": True},
        "measurement": {"rule": "rounds", "min_rounds": 3, "max_rounds": 3, "warmup_rounds": 1, "visit_rounds": 3},
        "server": asked,
    }
    return {name: {**document.get(name, {}), **blocks.get(name, {})} for name in {**document, **blocks}}


@pytest.fixture
def measure(null_targets: Path, tmp_path: Path) -> Callable[..., Campaign]:
    """Measure trials, each a document, into a new folder."""

    def run(*documents: dict[str, Any]) -> Campaign:
        candidates = []
        for document in documents:
            trial = parse_trial(document)
            candidates.append(Candidate(trial, inspect(trial), read_machine()))
        trials = make_plan_of(candidates).trials
        directory = tmp_path / "results"
        record = CampaignRecord(code_version="test", name="test", trials=trials)
        with CampaignWriter.create(directory, record) as writer, open_inline(tmp_path / "cache") as executor:
            run_trials(list(trials), executor, writer, Progress(len(trials), None), threading.Event())
        return open_campaign(directory)

    return run
