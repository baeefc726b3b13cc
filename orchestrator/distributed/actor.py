"""The Ray actor around one timed process."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.config import Trial
from orchestrator.distributed.shipping import import_shipped
from orchestrator.measurement.results import Prepared, RoundResult
from orchestrator.measurement.scratch import scratch_root
from orchestrator.measurement.worker import Worker


class TimedActor:
    """One fresh process for one trial; each method is one actor call."""

    def __init__(self, trial: Trial, trial_id: str, process: int, cache_dir: str) -> None:
        import_shipped(Path.cwd())
        scratch = scratch_root() / f"tail-quality-{os.getpid()}-{trial_id[-40:]}-{process}"
        self._worker = Worker(trial, process, scratch, Path(cache_dir).expanduser())

    def pid(self) -> int:
        """Return the process id, once the actor is up."""
        return os.getpid()

    def prepare(self) -> Prepared:
        """Pin, load, warm up."""
        return self._worker.prepare()

    def run_round(self, number: int) -> RoundResult:
        """Run one round."""
        return self._worker.run_round(number)

    def close(self) -> None:
        """Remove what the process left."""
        self._worker.close()
