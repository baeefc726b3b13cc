"""Who follows a campaign while it runs."""

from __future__ import annotations

from typing import Protocol

from orchestrator.measurement.results import Prepared
from orchestrator.stats.stopping import Decision
from orchestrator.storage.records import PlannedTrial, State


class Observer(Protocol):
    """Is told what happens, between rounds only."""

    def trial_started(self, planned: PlannedTrial) -> None:
        """A trial's process is being prepared."""

    def trial_prepared(self, planned: PlannedTrial, prepared: Prepared) -> None:
        """A trial is loaded and warm."""

    def round_done(self, planned: PlannedTrial, rounds: int, duration_s: float, decision: Decision) -> None:
        """A round was measured and stored."""

    def trial_ended(self, planned: PlannedTrial, state: State, reason: str | None) -> None:
        """A trial has its final state."""
