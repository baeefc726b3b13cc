"""One trial from its fresh process to its final state, through one fault and across drivers."""

import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from orchestrator.measurement.failures import TrialFailed, refuse_short
from orchestrator.running.attempt import RoundCalls, TimedProcess
from orchestrator.running.book import TrialBook
from orchestrator.running.course import Course
from orchestrator.running.executor import Executor, SessionLost
from orchestrator.running.life import End, Observer, RoundDone, TrialLife
from orchestrator.running.steps import asking, fault_name, step, storing
from orchestrator.running.trial_judge import kernel_flags, p99_ns, per_inference
from orchestrator.stats.stopping import Decision, StoppingRule
from orchestrator.stats.times import primary_of
from orchestrator.storage.records import Fault, PlannedTrial, Process
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.targets import kept_traceback, one_line

KERNEL_TIMEOUT_S = 60.0
FAULTS_FORGIVEN = 1
"""After so many faults a trial goes on in a fresh process; after one more it has failed."""


class TrialRun(TrialLife):
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
        super().__init__(planned, writer, observer)
        self.due_ns = now_ns()
        self._now_ns = now_ns
        self._make_rule = make_rule
        self._among_others = among_others
        self._stop = stop
        self._process = TimedProcess(executor, planned.trial, planned.trial_id, self._keep_server_log)
        self._course: Course | None = None
        self._calls: RoundCalls | None = None
        self._faults = 0

    def start(self) -> bool:
        """Take in what is stored already and begin. Return whether visits may follow; a trial's own failure is a state, no exception."""
        return self._attempt(self._begin)

    @property
    def next_visit(self) -> int:
        """The number that its next visit has at least."""
        return self._begun.visit + 1

    @property
    def progress(self) -> float:
        """How far it is, in visits: those that its rounds would fill or, negative, those until its extension ends."""
        rounds = self._begun.next_round - (self._begun.book.record.extension or 0)
        return rounds / (self._planned.trial.measurement.rounds_per_visit or 1)

    def ready(self) -> bool:
        """Have a process loaded and warm, a fresh one where one has failed. Return whether visits may follow."""
        going = True
        while going and self._calls is None:
            going = self._attempt(partial(self._prepare, self._begun))
        return going

    def visit(self, number: int) -> bool:
        """Measure the rounds of one visit; a fault ends it early. Return whether more visits are to follow."""
        if not self.ready():
            return False
        course, calls = self._begun, self._calls
        assert calls is not None
        course.visit = number
        calls.begin_visit(number, self._planned.trial.measurement.rounds_per_visit)
        began_ns, going = self._now_ns(), True
        while going and self._calls is calls and not calls.over:
            going = self._attempt(partial(self._take_rounds, course, calls))
        ended_ns = self._now_ns()
        self.due_ns = ended_ns + math.ceil(self._planned.trial.measurement.pause * (ended_ns - began_ns))
        return going

    def rest(self) -> bool:
        """Have its process sleep until its next visit. Return whether visits may follow."""
        return self._attempt(self._process.rest)

    @property
    def _begun(self) -> Course:
        assert self._course is not None
        return self._course

    def close(self) -> None:
        """End the process, where there is one. Idempotent."""
        self._process.close()

    def _begin(self) -> End | None:
        with storing("reading what is stored"):
            book = self._book = TrialBook(self._campaign, self._planned)
        with step("making its stopping rule"):
            rule = self._make_rule()
        self._process.number = len(book.record.processes)
        self._course = course = Course(self._planned.trial, book, rule, self._among_others)
        book.change("running", None, started_at=book.record.started_at or datetime.now(UTC))
        with step("saying that it has started"):
            self._observer.trial_started(self._planned)
        return ("done", None) if course.replay(self.trial_id) else None

    def _prepare(self, course: Course) -> End | None:
        """Have a fresh process ready for the next round."""
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
        self._calls = self._process.calls(course.next_round, prepared.samples.num_rows, self._stop)
        with step("saying that it is prepared"):
            self._observer.trial_prepared(self._planned, prepared)
        return None

    def _let_go(self, course: Course) -> End:
        """End a process that is still getting ready."""
        self._process.abandon(answers=True)
        return self._interrupted(course)

    def _take_rounds(self, course: Course, calls: RoundCalls) -> End | None:
        if not self._stop.is_set():
            with asking("asking for rounds"):
                calls.ask_ahead(course.round_s)
        if not calls:
            self._read_back(course.book)
            return self._interrupted(course)
        with asking("taking rounds"):
            results = calls.take()
        with step("looking whether its times can be"):
            for result in results:
                refuse_short(result, self._planned.trial.measurement.batch, self._planned.trial.in_flight)
        decisions: list[Decision] = []
        for result in results:
            # Rounds of one call beyond the one that the rule stops at are kept, and it is not asked again.
            stopped = any(decision.stop for decision in decisions)
            decisions.append(Decision(False, None, None) if stopped else course.decide(result))
        stopping = next((decision for decision in decisions if decision.stop), None)
        if stopping is None and not self._stop.is_set() and not self._process.session.shares_machine:
            with asking("asking for rounds"):
                calls.ask_ahead(course.round_s)
        for result, decision in zip(results, decisions, strict=True):
            course.store(result, decision)
        with step("saying how far it is"):
            times = per_inference(self._planned.trial, results[-1])
            done = RoundDone(course.next_round, course.round_s, p99_ns(times[primary_of(times.keys())]))
            self._observer.round_done(self._planned, done, decisions[-1])
        if stopping is not None:
            course.stop(stopping.reason)
            self._conclude(course.book)
            return "done", None
        calls.refuse_too_many_errors(results)
        return None

    def _recover(self, error: Exception) -> End | None:
        """Name a fault, keep what the process left, and go on in a fresh one; after another fault the trial has failed."""
        calls, self._calls = self._calls, None
        answers = self._process.answers()
        lost = not answers or (isinstance(error, SessionLost) and error.cause == "machine")
        if isinstance(error, SessionLost) and not lost:
            error = self._process.told_of_death(error, preparing=calls is None)
        message = one_line(error) if lost else self._message(error)
        with step("naming a fault"):
            name = "host lost" if lost else fault_name(error)
            at = None if calls is None else calls.at
            fault = Fault(name=name, message=message, process=max(0, self._process.number - 1), round=at)
        if self._book is not None:
            self._book.fault(fault)
            if (text := kept_traceback(error)) is not None:
                self._book.store_traceback(f"process {fault.process}, {name}", text)
        self._keep_what_is_left(error, fault, answers, salvage=calls is not None and not lost)
        self._faults += 1
        if self._book is not None:
            self._book.change("running", None)
        with step("reporting a fault"):
            self._observer.fault_seen(self._planned, fault)
        if self._faults > FAULTS_FORGIVEN or not answers:
            return "failed", f"{name}: {message}" if lost else message
        return None

    def _keep_what_is_left(self, error: Exception, fault: Fault, answers: bool, salvage: bool) -> None:
        """Let go of a process, and store the round that it died in as far as that came, where ``salvage`` is true."""
        course = self._course
        try:
            left = self._process.abandon(answers)
            # A process that reported its fault itself was killed by us, during a round that it was asked for ahead.
            ours = isinstance(error, TrialFailed)
            if left is not None and course is not None and salvage and not ours and left.round >= course.next_round and not left.finished:
                course.store_left(left, fault)
        except TrialFailed as worse:
            # A round of which nothing is known must not vanish in another attempt: the trial has failed.
            if course is not None:
                course.book.fault(fault.model_copy(update={"name": worse.fault, "message": str(worse)}))
            raise

    def _keep_server_log(self, process: int, text: str) -> None:
        if self._book is not None:
            self._book.store_server_log(process, text)

    def _interrupted(self, course: Course) -> End:
        return "interrupted", f"stopped by the user after {course.next_round} rounds"

    def _conclude(self, book: TrialBook) -> None:
        """Ask the process what it has to say at the end: whether its placement and the machine's speed have changed meanwhile."""
        self._read_back(book)
        with asking("asking how fast its machine is"):
            after_ns = self._process.session.kernel_ns().result(timeout=KERNEL_TIMEOUT_S)
        with step("comparing its machine's speed"):
            kernel = {**book.record.environment["kernel"], "after_ns": after_ns}
            flags = (*book.record.flags, *kernel_flags(kernel["before_ns"], after_ns))
            book.note(environment={**book.record.environment, "kernel": kernel}, flags=tuple(dict.fromkeys(flags)))

    def _read_back(self, book: TrialBook) -> None:
        """Read the placement back a second time: a model may have changed it after the warm-up."""
        with asking("reading its placement back"):
            found = dict(self._process.session.read_back().result(timeout=KERNEL_TIMEOUT_S))
        with step("comparing its placement"):
            flags = dict.fromkeys([*book.record.flags, *found.pop("flags")])
            book.note(placement={**book.record.placement, "at_end": found}, flags=tuple(flags))
