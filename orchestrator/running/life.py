"""How a trial begins, goes on and ends, and who follows it: an error on the way ends this trial alone, and names the step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from orchestrator.configuration.environment_values import without_values
from orchestrator.contracts import InputError
from orchestrator.measurement.failures import TrialFailed
from orchestrator.running.book import TrialBook, end_alone
from orchestrator.running.executor import SessionLost
from orchestrator.running.steps import Unstorable, message_of, step
from orchestrator.stats.stopping import Decision
from orchestrator.storage.handover import Prepared
from orchestrator.storage.records import Fault, PlannedTrial
from orchestrator.storage.schema import State
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.targets import kept_traceback, traceback_of

End = tuple[State, str | None]
"""The state in which a trial has ended, and why."""


class TrialLife(ABC):
    """One trial between its beginning and its end; what it does in between is its subclass's.

    Only an OSError of the disk leaves it, because that concerns all trials.
    """

    def __init__(self, planned: PlannedTrial, campaign: CampaignWriter, observer: Observer) -> None:
        self.state: State | None = None
        self._planned = planned
        self._campaign = campaign
        self._observer = observer
        self._book: TrialBook | None = None

    @property
    def trial_id(self) -> str:
        """The trial's id."""
        return self._planned.trial_id

    @abstractmethod
    def close(self) -> None:
        """End the process, where there is one. Idempotent."""

    @abstractmethod
    def _recover(self, error: Exception) -> End | None:
        """Go on after a fault of the timed process, or return how the trial has ended."""

    def _attempt(self, action: Callable[[], End | None]) -> bool:
        """Do one step, which returns how the trial has ended or None; return whether it goes on."""
        try:
            ended = self._contained(action)
            if ended is not None:
                self._end(*ended)
        except Unstorable as trouble:
            raise trouble.__cause__ or trouble from None
        return ended is None

    def _contained(self, action: Callable[[], End | None]) -> End | None:
        """Call ``action`` and return how the trial has ended, be it by an exception. Raises Unstorable alone."""
        try:
            return action()
        except Unstorable:
            raise
        except (SessionLost, TimeoutError, TrialFailed) as error:
            return self._after("failed", self._message(error), partial(self._recover, error))
        except Exception as error:
            return self._after("failed", self._message(error), partial(self._tell_traceback, error))

    def _after(self, state: State, reason: str | None, action: Callable[[], End | None]) -> End | None:
        """Call ``action`` after an end of the trial. The message of a new error follows the earlier reason and never hides it."""
        try:
            return action()
        except Unstorable:
            if reason is not None:  # the end of the campaign reports the disk's trouble
                with suppress(Exception):
                    self._observer.trial_ended(self._planned, state, reason)
            raise
        except Exception as error:
            return "failed", "; then, ".join(filter(None, (reason, self._message(error))))

    def _message(self, error: Exception) -> str:
        """Return the message for an exception, without the values of variables that the trial's options name."""
        return without_values(self._planned.trial, message_of(error))

    def _tell_traceback(self, error: Exception) -> End:
        """Store the traceback, and return that the trial has failed."""
        if self._book is not None and (kept_traceback(error) or not isinstance(error, InputError)):
            self._book.store_traceback("what ended the trial", traceback_of(error))
        return "failed", self._message(error)

    def _end(self, state: State, reason: str | None) -> None:
        """Give the trial its final state."""
        for action in (self._end_process, self._finish, self._store_end):
            state, reason = self._after(state, reason, partial(action, state, reason)) or (state, reason)
        self.state = state
        # It has ended, and is stored: a failure to report that must not keep the others from going on.
        with suppress(Exception):
            self._observer.trial_ended(self._planned, state, reason)

    def _end_process(self, state: State, reason: str | None) -> End:
        with step("ending its process"):
            self.close()
        return state, reason

    def _finish(self, state: State, reason: str | None) -> End:
        if self._book is not None:
            self._book.finish()
        return state, reason

    def _store_end(self, state: State, reason: str | None) -> End:
        """Store the final state: with everything known, or alone if that cannot be stored."""
        if self._book is not None:
            ended = self._after(state, reason, partial(self._book.change, state, reason, ended_at=datetime.now(UTC)))
            if ended is None:
                return state, reason
            state, reason = ended
        end_alone(self._campaign, self.trial_id, state, reason)
        return state, reason


@dataclass(frozen=True)
class RoundDone:
    """How far a trial has come: rounds stored, and of the last one its duration and 99th percentile of total time."""

    rounds: int
    duration_s: float
    p99_ns: float


class Observer(Protocol):
    """Receives what happens, between rounds only."""

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
