"""One trial from its fresh process to its final state, through one fault and across drivers.

An error on the way ends this trial alone, and never the others: only what the disk refuses concerns all.
"""

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from orchestrator.configuration.environment_values import without_values
from orchestrator.contracts import InputError
from orchestrator.endings import ends_the_program
from orchestrator.measurement.failures import TrialFailed, fault_of
from orchestrator.running.attempt import RoundCalls, TimedProcess
from orchestrator.running.book import TrialBook, Unstorable, storing
from orchestrator.running.course import Course
from orchestrator.running.executor import Executor, SessionLost
from orchestrator.running.trial_judge import kernel_flags
from orchestrator.stats.stopping import Decision, StoppingRule
from orchestrator.storage.handover import Prepared
from orchestrator.storage.records import Fault, PlannedTrial, Process
from orchestrator.storage.schema import State
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.targets import kept_traceback, message_with_place, one_line, traceback_of

KERNEL_TIMEOUT_S = 60.0
# Why a trial stops where the campaign's time is over.
MINUTES = "minutes"
# After so many faults a trial goes on in a fresh process; after one more it has failed.
FAULTS_FORGIVEN = 1

End = tuple[State, str | None]  # The state in which a trial has ended, and why


class Observer(Protocol):
    """Receives what happens, between rounds only."""

    def trial_started(self, planned: PlannedTrial) -> None:
        """A trial's process is being prepared."""

    def turn_awaited(self, planned: PlannedTrial, holder: str) -> None:
        """Another campaign measures on the trial's machine, and this one waits."""

    def trial_prepared(self, planned: PlannedTrial, prepared: Prepared) -> None:
        """A trial is loaded and warm."""

    def round_done(self, planned: PlannedTrial, rounds: int, duration_s: float) -> None:
        """A round was measured and stored: how many there are now, and how long the last took."""

    def fault_seen(self, planned: PlannedTrial, fault: Fault) -> None:
        """A process of a trial ended before its time."""

    def trial_ended(self, planned: PlannedTrial, state: State, reason: str | None) -> None:
        """A trial has its final state."""


def message_of(planned: PlannedTrial, error: BaseException) -> str:
    """Return the message for an exception, without the values of variables that the trial's options name.

    It is the exception's own if that is ours, which says all, else with the place where it was raised.
    """
    ours = isinstance(error, InputError | TrialFailed | SessionLost | TimeoutError)
    message = (str(error) or type(error).__name__) if ours else f"in the driver: {message_with_place(error)}"
    return without_values(planned.trial, message)


class TrialRun:
    """Runs one trial, one visit at a time. What is stored of it already is never measured again.

    What has been measured is its `Course`; what measures now is its `TimedProcess`, with `RoundCalls` under way to it.

    Parameters
    ----------
    make_rule
        makes the rule that says when to stop.
    stop
        set from outside: what was asked for is finished and stored, then the trial is interrupted.
    now_ns
        the driver's clock.
    among_others
        whether visits of other trials come between its own.

    Attributes
    ----------
    state
        in which the trial has ended, None before.
    due_ns
        when its next visit may begin: ``measurement.pause`` lengths of the last one after that.
    """

    def __init__(
        self,
        planned: PlannedTrial,
        make_rule: Callable[[], StoppingRule],
        executor: Executor,
        writer: CampaignWriter,
        observer: Observer,
        stop: threading.Event,
        now_ns: Callable[[], int],
        among_others: bool = False,
    ) -> None:
        self.state: State | None = None
        self.trial_id = planned.trial_id
        self.due_ns = now_ns()
        self._planned, self._measurement = planned, planned.trial.measurement
        self._campaign = writer
        self._observer = observer
        self._now_ns = now_ns
        self._make_rule = make_rule
        self._among_others = among_others
        self._stop = stop
        self._process = TimedProcess(
            executor, planned.trial, planned.trial_id, lambda process, text: self._begun.book.store_server_log(process, text)
        )
        self._book: TrialBook | None = None
        self._course: Course | None = None
        self._calls: RoundCalls | None = None
        self._faults = 0

    def start(self) -> bool:
        """Take in what is stored already. Return whether visits may follow.

        A trial's own failure is a state, no exception.
        """
        return self._attempt(self._begin)

    def open(self) -> bool:
        """Have a process come up, while others get ready. Return whether visits may follow."""
        return self._attempt(self._process.open)

    @property
    def next_visit(self) -> int:
        """The number that its next visit has at least."""
        return self._begun.visit + 1

    @property
    def progress(self) -> float:
        """How far it is, in visits: those that its rounds would fill or, negative, those until its extension ends."""
        rounds = self._begun.next_round - (self._begun.book.record.extension or 0)
        return rounds / (self._measurement.rounds_per_visit or 1)

    def ready(self) -> bool:
        """Have a process loaded and warm, a fresh one where one has failed. Return whether visits may follow."""
        going = True
        while going and self._calls is None:
            going = self._attempt(partial(self._prepare, self._begun))
        return going

    def visit(self, number: int, until_ns: float = math.inf) -> bool:
        """Measure the rounds of one visit; a fault ends it early. Return whether more visits are to follow.

        A trial without visits, which is one stretch, ends with the first round that ends after ``until_ns``.
        """
        if not self.ready():
            return False
        course, calls = self._begun, self._calls
        assert calls is not None
        course.visit = number
        calls.begin_visit(number, self._measurement.rounds_per_visit)
        began_ns, going = self._now_ns(), True
        while going and self._calls is calls and not calls.over:
            late = self._measurement.rounds_per_visit is None and self._now_ns() >= until_ns
            going = self._attempt(partial(self._take_rounds, course, calls, late))
        ended_ns = self._now_ns()
        self.due_ns = ended_ns + math.ceil(self._measurement.pause * (ended_ns - began_ns))
        return going and self._attempt(partial(self._ask_in_pause, course))

    def end_in_time(self) -> None:
        """End it as measured: the campaign's time is over."""
        self._attempt(partial(self._stopped, self._begun, MINUTES))

    def rest(self) -> bool:
        """Have its process sleep until its next visit, unless that follows at once. Return whether visits may follow."""
        follows = not (self._among_others or self._measurement.pause)
        return follows or self._attempt(self._process.rest)

    def close(self) -> None:
        self._process.close()

    @property
    def _begun(self) -> Course:
        assert self._course is not None
        return self._course

    def _begin(self) -> End | None:
        book = self._book = TrialBook(self._campaign, self._planned)
        self._process.number = len(book.record.processes)
        self._course = course = Course(self._planned.trial, book, self._make_rule(), self._among_others)
        book.change("running", None, started_at=book.record.started_at or datetime.now(UTC))
        self._observer.trial_started(self._planned)
        return ("done", None) if course.replay(self.trial_id) else None

    def _prepare(self, course: Course) -> End | None:
        if self._stop.is_set():
            return self._interrupted(course)
        found = self._process.start(self._stop)
        if found is None:
            return self._let_go(course)
        process = Process(
            process=self._process.number, pid=found.pid, host=found.host, boot_id=found.boot_id, created_s=found.created_s,
            started_at=datetime.now(UTC),
        )  # fmt: skip
        # On disk before anything is timed: a later driver must know which process to wait for.
        course.book.change("running", None, processes=(*course.book.record.processes, process))
        self._process.number += 1
        if not self._process.take_turn(self._stop, partial(self._observer.turn_awaited, self._planned)):
            return self._interrupted(course)
        prepared = self._process.prepare(self._stop)
        if prepared is None:
            return self._let_go(course)
        course.prepared(prepared)
        samples, longest = prepared.samples.num_rows, max(course.turns or (1,))
        self._calls = RoundCalls(self._process.session, self._planned.trial, course.next_round, samples, self._stop, longest)
        self._observer.trial_prepared(self._planned, prepared)
        return None

    def _let_go(self, course: Course) -> End:
        """End a process that is still getting ready."""
        self._process.abandon(answers=True)
        return self._interrupted(course)

    def _take_rounds(self, course: Course, calls: RoundCalls, late: bool) -> End | None:
        if not (self._stop.is_set() or late):
            calls.ask_ahead(course.round_s, course.may_stop_at)
        if not calls:
            if late:
                return self._stopped(course, MINUTES)
            self._read_back(course.book)
            return self._interrupted(course)
        rounds = calls.take()
        course.take(rounds)
        decision = course.decide() if course.is_due else Decision(False)
        if not (decision.stop or self._stop.is_set() or late or self._process.session.shares_machine):
            calls.ask_ahead(course.round_s, course.may_stop_at)
        course.book.store_rounds(rounds)
        self._observer.round_done(self._planned, course.next_round, course.round_s)
        if decision.stop:
            return self._stopped(course, decision.reason)
        calls.refuse_too_many_errors(rounds)
        return None

    def _ask_in_pause(self, course: Course) -> None:
        """Ask the rule about rounds after which it cannot stop, where that keeps nothing waiting."""
        if self._measurement.pause:
            course.decide()

    def _stopped(self, course: Course, reason: str | None) -> End:
        """End a trial that has enough, and ask its process whether its placement and the machine's speed have changed meanwhile."""
        book = course.book
        course.stop(reason)
        self._read_back(book)
        after_ns = self._process.session.kernel_ns().result(timeout=KERNEL_TIMEOUT_S)
        kernel = {**book.record.environment["kernel"], "after_ns": after_ns}
        flags = (*book.record.flags, *kernel_flags(kernel["before_ns"], after_ns))
        book.note(environment={**book.record.environment, "kernel": kernel}, flags=tuple(dict.fromkeys(flags)))
        return "done", None

    def _read_back(self, book: TrialBook) -> None:
        """Read the placement back a second time: a model may have changed it after the warm-up."""
        found = dict(self._process.session.read_back().result(timeout=KERNEL_TIMEOUT_S))
        flags = dict.fromkeys([*book.record.flags, *found.pop("flags")])
        book.note(placement={**book.record.placement, "at_end": found}, flags=tuple(flags))

    def _interrupted(self, course: Course) -> End:
        return "interrupted", f"stopped by the user after {course.next_round} rounds"

    def _attempt(self, action: Callable[[], End | None]) -> bool:
        """Do one step, which returns how the trial has ended or None; return whether it goes on. Raises an OSError of the disk alone."""
        try:
            try:
                ended = action()
            except BaseException as error:  # also SystemExit and KeyboardInterrupt: a user's metric or rule may end its trial alone
                if ends_the_program(error):
                    raise
                ended = self._after(error)
            if ended is not None:
                self._end(*ended)
        except Unstorable as trouble:
            raise trouble.__cause__ or trouble from None
        return ended is None

    def _after(self, error: BaseException) -> End | None:
        """Go on after an exception, or return how the trial has ended. The message of a new one follows the earlier and never hides it."""
        if isinstance(error, Unstorable):
            raise error
        try:
            if isinstance(error, SessionLost | TimeoutError | TrialFailed):
                return self._recover(error)
            if self._book is not None and (kept_traceback(error) or not isinstance(error, InputError)):
                self._book.store_traceback("what ended the trial", traceback_of(error))
        except Unstorable:
            self._tell_end("failed", message_of(self._planned, error))  # the end of the campaign reports the disk's trouble
            raise
        except Exception as worse:
            return "failed", f"{message_of(self._planned, error)}; then, {message_of(self._planned, worse)}"
        return "failed", message_of(self._planned, error)

    def _recover(self, error: Exception) -> End | None:
        """Name a fault, keep what the process left, and go on in a fresh one; after another fault the trial has failed."""
        book = self._begun.book
        calls, self._calls = self._calls, None
        answers = self._process.answers()
        lost = not answers or (isinstance(error, SessionLost) and error.cause == "machine")
        if isinstance(error, SessionLost) and not lost:
            error = self._process.told_of_death(error, preparing=calls is None)
        message = without_values(self._planned.trial, one_line(error)) if lost else message_of(self._planned, error)
        if isinstance(error, TrialFailed):
            name = error.fault
        else:
            name = "hang" if isinstance(error, TimeoutError) else fault_of(str(error), "process killed")
        fault = Fault(
            name="host lost" if lost else name, message=message, process=max(0, self._process.number - 1),
            round=None if calls is None else calls.at,
        )  # fmt: skip
        book.faults.append(fault)
        if (text := kept_traceback(error)) is not None:
            book.store_traceback(f"process {fault.process}, {fault.name}", text)
        self._keep_what_is_left(error, fault, answers, salvage=calls is not None and not lost)
        self._faults += 1
        book.change("running", None)
        self._observer.fault_seen(self._planned, fault)
        if self._faults > FAULTS_FORGIVEN or not answers:
            return "failed", f"{fault.name}: {message}" if lost else message
        return None

    def _keep_what_is_left(self, error: Exception, fault: Fault, answers: bool, salvage: bool) -> None:
        """Let go of a process, and store the round that it died in as far as that came, where ``salvage`` is true."""
        course = self._begun
        try:
            left = self._process.abandon(answers)
            # A process that reported its fault itself was killed by us, during a round that it was asked for ahead.
            ours = isinstance(error, TrialFailed)
            if left is not None and salvage and not ours and left.round >= course.next_round and not left.finished:
                course.store_left(left, fault)
        except TrialFailed as worse:
            # A round of which nothing is known must not vanish in another attempt: the trial has failed.
            course.book.faults.append(fault.model_copy(update={"name": worse.fault, "message": str(worse)}))
            raise

    def _end(self, state: State, reason: str | None) -> None:
        """End its process and give the trial its final state: with everything known, or alone if that cannot be stored."""
        book, stored = self._book, False

        def store() -> None:
            nonlocal stored
            if book is not None:
                book.change(state, reason, ended_at=datetime.now(UTC))
                stored = True

        def store_alone() -> None:
            if not stored:
                with storing():
                    self._campaign.set_state(self.trial_id, state, reason)

        asked = () if self._course is None else (self._course.decide,)
        for action in (self.close, *asked, *(() if book is None else (book.finish, store)), store_alone):
            try:
                action()
            except Unstorable:
                self._tell_end(state, reason)
                raise
            except Exception as error:
                state, reason = "failed", "; then, ".join(filter(None, (reason, message_of(self._planned, error))))
        self.state = state
        self._tell_end(state, reason)

    def _tell_end(self, state: State, reason: str | None) -> None:
        with suppress(Exception):  # a failure to report that must not keep the others from going on
            self._observer.trial_ended(self._planned, state, reason)
