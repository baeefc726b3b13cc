"""One process of a trial: started, asked for rounds ahead, timed, ended."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import TypeVar

from orchestrator.configuration.config import Trial
from orchestrator.configuration.fields import MOST_ROUNDS
from orchestrator.machine.host import Identity
from orchestrator.measurement.failures import Stamps, TrialFailed, fault_of
from orchestrator.measurement.last_words import told
from orchestrator.running.executor import Executor, Job, Session, SessionLost
from orchestrator.running.server import ending_s
from orchestrator.storage.handover import Prepared, Rounds
from orchestrator.subject.schedule import longest_stream_s
from orchestrator.subject.targets import keep_traceback

CALL_S, MOST_AT_ONCE = 0.2, 30  # Rounds that take less than this together may be asked for in one call, and how many at most


class RoundCalls:
    """The calls under way to one process, in order. They belong to one visit; none is asked for before `begin_visit`.

    Under load a visit is one stream, and a stream one call, which brings all its rounds. Once ``stop`` is set, the stream under way ends
    after its round.

    Parameters
    ----------
    next_round
        number of the first round to ask for.
    samples
        of a round.
    turns
        of the longest conversation, 1 where there are none: these requests wait for one another.

    Attributes
    ----------
    at
        number of the round that a fault belongs to: the first one of the call that was waited for last.
    """

    def __init__(self, session: Session, trial: Trial, next_round: int, samples: int, stop: threading.Event, turns: int = 1) -> None:
        self.at = next_round
        self._session = session
        self._measurement = trial.measurement
        self._next, self._left = next_round, 0
        self._visit = -1
        self._under_way: deque[tuple[int, Job[Rounds]]] = deque()
        self._raised: dict[int, tuple[int, str]] = {}
        self._limit_s = trial.measurement.round_timeout_s
        # A request that fails is an outcome, and no number of them ends the trial.
        self._may_raise = trial.measurement.max_errors
        if trial.server.is_asked:
            self._limit_s += trial.server.timeout_s * (turns if trial.load.is_open else samples) + trial.load.think_s * turns
            self._may_raise = MOST_ERRORS
        self._streams = trial.load.is_open
        if self._streams:
            self._limit_s += longest_stream_s(trial, samples)

            def end_with_round() -> None:
                stop.wait()
                session.end_stream()

            threading.Thread(target=end_with_round, name="ends-stream", daemon=True).start()

    def __bool__(self) -> bool:
        return bool(self._under_way)

    @property
    def over(self) -> bool:
        """Whether all rounds of the visit have been taken."""
        return not self._under_way and not self._left

    def begin_visit(self, number: int, rounds: int | None) -> None:
        """Begin a visit of so many rounds, None for one without an end. The one before must be over."""
        self._visit, self._left = number, MOST_ROUNDS if rounds is None else rounds

    def ask_ahead(self, round_s: float, may_stop_at: int) -> None:
        """Have two calls of the visit under way, so that a remote process never waits for us within one.

        Before ``may_stop_at`` rounds no rule can stop. After that the next call waits for the rule's answer to the last one. Where driver
        and process share a machine, one round is asked for, and never ahead.
        """
        alone = self._session.shares_machine
        while self._left and len(self._under_way) < (1 if alone or self._streams else 2):
            if self._under_way and self._next >= may_stop_at:
                return
            if self._streams:
                self._under_way.append((self._next, self._session.run_stream(self._next, self._visit)))
                self._left = 0
                return
            count = 1 if alone else min(rounds_at_once(self._next, round_s, may_stop_at, self._measurement.max_rounds), self._left)
            self._under_way.append((self._next, self._session.run_rounds(self._next, count, self._visit)))
            self._next += count
            self._left -= count

    def take(self) -> Rounds:
        """Wait for the oldest call. Raises what it raises, TimeoutError, or SessionLost."""
        self.at, job = self._under_way.popleft()
        rounds = job.result(timeout=self._limit_s)
        if self._streams:
            self._next += len(rounds.numbers)
        return rounds

    def refuse_too_many_errors(self, rounds: Rounds) -> None:
        """Raise TrialFailed if the model has raised on more samples than may fail, these rounds included."""
        for number, errors in rounds.errors.items():
            for sample, message in errors.items():
                self._raised.setdefault(sample, (number, message))
        if len(self._raised) > self._may_raise:
            sample, (self.at, message) = next(iter(self._raised.items()))
            raise TrialFailed(
                f"the model raised on {len(self._raised)} samples (measurement.max_errors={self._may_raise}), first on sample {sample} "
                f"in round {self.at}: {message}",
                fault_of(message, "too many errors"),
            )


def rounds_at_once(first: int, round_s: float, may_stop_at: int, most: int) -> int:
    """Return how many rounds to ask a remote process for in one call: short ones would cost more to send than to measure.

    Parameters
    ----------
    first
        number of the next round. A call never goes beyond ``may_stop_at`` before it has reached that, nor beyond ``most``.
    round_s
        duration of the last round, s.
    """
    bound = may_stop_at if first < may_stop_at else most
    return max(1, min(int(CALL_S / max(round_s, 1e-9)), MOST_AT_ONCE, bound - first))


PREPARE_ROUNDS = 5  # Loading may take as long as this many rounds are allowed to, besides the warm-up
# More samples than any trial has.
MOST_ERRORS = 2**62
# How often to check whether the user has stopped, while a process gets ready.
STOPPED_EVERY_S = 0.5
# Imported while a process starts: the first check of a rule would take 0.3 s and more for it, between two rounds.
RULES_IMPORT = ("scipy.fft", "scipy.optimize", "scipy.special")
# How often to ask a machine whether another campaign has ended.
TURN_EVERY_S = 1.0

Answer = TypeVar("Answer")


class TimedProcess:
    """The process that times a trial now, where there is one; after a fault another takes its place.

    ``number`` is that of the process, or of the next one where there is none. ``keep_log`` is given what the server of a process has
    written, once both are gone, with the number of that process.
    """

    def __init__(self, executor: Executor, trial: Trial, trial_id: str, keep_log: Callable[[int, str], None]) -> None:
        self.number = 0
        self._opened: int
        self._keep_log = keep_log
        self._executor = executor
        self._trial = trial
        self._trial_id = trial_id
        measurement = trial.measurement
        ready_s = sum(one.ready_s for one in (trial.server, trial.neighbour) if one.is_started)
        self._limit_s = measurement.round_timeout_s * (measurement.warmup_rounds + PREPARE_ROUNDS) + ready_s + ending_s(trial)
        self._session: Session | None = None
        self._identity: Job[Identity]

    @property
    def session(self) -> Session:
        """The session with the current process."""
        assert self._session is not None
        return self._session

    def open(self) -> None:
        """Start a fresh process, which comes up while others get ready."""
        self._opened = self.number
        self._session = self._executor.open(self._trial, self._trial_id, self.number)
        self._identity = self._session.identify()

    def start(self, stop: threading.Event) -> Identity | None:
        """Return which process it is, a fresh one where there is none, or None if the user has stopped before it is up."""
        if self._session is None:
            self.open()
        for name in RULES_IMPORT:
            import_module(name)
        return self._await(self._identity, stop)

    def take_turn(self, stop: threading.Event, tell: Callable[[str], None]) -> bool:
        """Wait until no other campaign measures on the machine, and tell again and again who does. Return False if the user has stopped."""
        while (holder := self.session.take_turn().result(timeout=self._limit_s)) is not None:
            tell(holder)
            if stop.wait(TURN_EVERY_S):
                return False
        return True

    def prepare(self, stop: threading.Event) -> Prepared | None:
        """Pin, load, warm up. Return None where the user has stopped meanwhile."""
        return self._await(self.session.prepare(), stop)

    def rest(self) -> None:
        """Have the process sleep until the next call, where there is one."""
        if self._session is not None:
            self._session.rest()

    def answers(self) -> bool:
        """Return whether the host answers; true where no process has been started."""
        return self._session is None or self._session.host_answers()

    def told_of_death(self, error: SessionLost, preparing: bool) -> SessionLost:
        """Return the loss of the process with what it leaves of its end: how, in which stage, and what to do."""
        words = None if self._session is None else self._session.last_words()
        if words is None:
            return error
        found = SessionLost(told(words, preparing, self._trial.load.is_open), error.cause)
        if words.crash:
            keep_traceback(found, words.crash)
        return found

    def abandon(self, answers: bool) -> Stamps | None:
        """Let go of the process on a host that does not answer; else kill it and return what it has left of the round in flight.

        Raises TrialFailed where what it has left cannot be trusted.
        """
        session, left = self._session, None
        if session is None:
            return None
        try:
            if answers:
                left = session.abandon()
            else:
                session.forget()
        except TrialFailed:  # it is gone all the same; after another error it is closed in the end
            self._session = None
            raise
        self._session = None
        if answers:
            self._keep_log_of(session)
        return left

    def close(self) -> None:
        """End the process, where there is one. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except Exception:
                with suppress(Exception):  # it must not live on beside what is timed next
                    session.abandon()
                raise
            finally:
                self._keep_log_of(session)

    def _keep_log_of(self, session: Session) -> None:
        text = None
        with suppress(Exception):  # it explains what has happened, and changes nothing
            text = session.take_server_log()
        if text:
            self._keep_log(self._opened, text)

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
