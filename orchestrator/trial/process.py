"""The timed process of a trial, as the driver holds it: started, prepared, asked, and ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from orchestrator.config import Trial
from orchestrator.execution.executor import Executor, Job, Session, SessionLost
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.processes import Identity
from orchestrator.measurement.salvage import Stamps
from orchestrator.storage.handover import Prepared
from orchestrator.trial.calls import RoundCalls
from orchestrator.trial.steps import asking, step

PREPARE_ROUNDS = 5
"""Loading may take as long as this many rounds are allowed to, besides the warm-up."""
STOPPED_EVERY_S = 0.5
"""How often it is looked whether the user has stopped, while a process gets ready."""
TURN_EVERY_S = 1.0
"""How often a machine is asked whether another campaign has done."""

Answer = TypeVar("Answer")


class TimedProcess:
    """The process that times a trial now, where there is one; after a fault another takes its place."""

    def __init__(self, executor: Executor, trial: Trial, trial_id: str) -> None:
        self._executor = executor
        self._trial = trial
        self._trial_id = trial_id
        measurement = trial.measurement
        self._limit_s = measurement.round_timeout_s * (measurement.warmup_rounds + PREPARE_ROUNDS)
        self._session: Session | None = None

    def __bool__(self) -> bool:
        return self._session is not None

    @property
    def session(self) -> Session:
        """The session with the process that there is."""
        assert self._session is not None
        return self._session

    def start(self, number: int, stop: threading.Event) -> Identity | None:
        """Start a fresh process and return which one it is, or None where the user has stopped meanwhile."""
        with step("starting its process"):
            self._session = self._executor.open(self._trial, self._trial_id, number)
        with asking("asking which process it is"):
            return self._await(self._session.identify(), stop)

    def take_turn(self, stop: threading.Event, tell: Callable[[str], None]) -> bool:
        """Wait until no other campaign measures on the machine. Return False where the user has stopped meanwhile."""
        told = None
        with asking("waiting for its turn on the machine"):
            while (holder := self.session.take_turn().result(timeout=self._limit_s)) is not None:
                if holder != told:
                    with step("telling that it waits"):
                        tell(holder)
                told = holder
                if stop.wait(TURN_EVERY_S):
                    return False
        return True

    def prepare(self, stop: threading.Event) -> Prepared | None:
        """Pin, load, warm up. Return None where the user has stopped meanwhile."""
        with asking("preparing its process"):
            return self._await(self.session.prepare(), stop)

    def calls(self, first: int, alternating: bool) -> RoundCalls:
        """Return the calls for rounds from a number on, of which none is under way yet."""
        return RoundCalls(self.session, self._trial.measurement, first, alternating or self.session.shares_machine)

    def answers(self) -> bool:
        """Return whether the host answers; true where no process has been started."""
        with step("asking whether its host answers"):
            return self._session is None or self._session.host_answers()

    def abandon(self, answers: bool) -> Stamps | None:
        """Let go of the process on a host that does not answer; else kill it and return what it has left of the round in flight."""
        left = None
        if self._session is not None:
            with step("killing its process"):
                try:
                    if answers:
                        left = self._session.abandon()
                    else:
                        self._session.forget()
                except TrialFailed:  # it is gone, and what it has left cannot be trusted
                    self._session = None
                    raise
            self._session = None
        return left

    def close(self) -> None:
        """End the process, where there is one. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except Exception:
                with suppress(Exception):  # it may not live on beside whatever is timed next
                    session.abandon()
                raise

    def _await(self, job: Job[Answer], stop: threading.Event) -> Answer | None:
        """Wait for a long call before anything is timed, and now and then look whether its host is still there.

        Returns None where the user has stopped meanwhile: a model may load for minutes, and there is no round to finish. Raises what
        `Job.result` does.
        """
        began = looked = time.monotonic()
        round_timeout_s = self._trial.measurement.round_timeout_s
        while True:
            try:
                return job.result(timeout=min(STOPPED_EVERY_S, round_timeout_s))
            except TimeoutError:
                if stop.is_set():
                    return None
                now = time.monotonic()
                if now - began >= self._limit_s:
                    raise TimeoutError(f"no answer within {self._limit_s:g} s") from None
                if now - looked >= round_timeout_s:
                    looked = now
                    if not self.session.host_answers():
                        raise SessionLost("the host does not answer", cause="machine") from None
