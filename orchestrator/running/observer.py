"""Who follows a campaign while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.stats.stopping import Decision
from orchestrator.storage.handover import Prepared
from orchestrator.storage.records import Fault, PlannedTrial
from orchestrator.storage.vocabulary import State


@dataclass(frozen=True)
class RoundDone:
    """How far a trial has come: rounds stored, and of the last one its duration and 99th percentile of total time."""

    rounds: int
    duration_s: float
    p99_ns: float


class Observer(Protocol):
    """Is told what happens, between rounds only."""

    def trial_started(self, planned: PlannedTrial) -> None:
        """A trial's process is being prepared."""

    def turn_awaited(self, planned: PlannedTrial, holder: str) -> None:
        """Another campaign measures on the trial's machine, and this one waits."""

    def trial_prepared(self, planned: PlannedTrial, prepared: Prepared) -> None:
        """A trial is loaded and warm."""

    def round_done(self, planned: PlannedTrial, done: RoundDone, decision: Decision) -> None:
        """A round was measured and stored."""

    def fault_seen(self, planned: PlannedTrial, fault: Fault) -> None:
        """A process of a trial ended before its time."""

    def trial_ended(self, planned: PlannedTrial, state: State, reason: str | None) -> None:
        """A trial has its final state."""
