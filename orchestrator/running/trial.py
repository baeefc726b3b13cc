"""One trial from its fresh process to its final state, through one fault and across drivers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from orchestrator.configuration.environment_values import hidden
from orchestrator.contracts import InputError
from orchestrator.execution.executor import Executor, SessionLost
from orchestrator.measurement.failures import TrialFailed
from orchestrator.measurement.salvage import Stamps, incomplete_round, refuse_short
from orchestrator.running.attempt import RoundCalls, RoundClock, TimedProcess
from orchestrator.running.book import TrialBook, refuse_changed
from orchestrator.running.judge import (
    TrialJudge,
    clocks,
    flags_of,
    judge_samples,
    kernel_flags,
    p99_ns,
    per_inference,
    placement_flags,
    process_flags,
    quality_flags,
)
from orchestrator.running.life import End, TrialLife
from orchestrator.running.observer import Observer, RoundDone
from orchestrator.running.steps import Raised, asking, count_raised, fault_name, step, storing, too_many_raised
from orchestrator.stats.stopping import Decision, RoundObservation, StoppingRule
from orchestrator.storage.handover import Prepared, RoundResult
from orchestrator.storage.records import Fault, PlannedTrial, Process
from orchestrator.storage.vocabulary import InFlight
from orchestrator.storage.writer import CampaignWriter
from orchestrator.subject.user_code import kept_traceback, one_line

KERNEL_TIMEOUT_S = 60.0
FAULTS_FORGIVEN = 1
"""After so many faults a trial goes on in a fresh process; after one more it has failed."""


class TrialRun(TrialLife):
    """Runs one trial, one step at a time. What is stored of it already is never measured again.

    Parameters
    ----------
    make_rule
        makes the rule that says when to stop; it is asked about every round in order, stored ones included.
    stop
        set from outside: what was asked for is finished and stored, then the trial is interrupted.
    alternating
        rounds of other trials of the same machine come between its own.
    """

    def __init__(
        self,
        planned: PlannedTrial,
        make_rule: Callable[[], StoppingRule],
        executor: Executor,
        writer: CampaignWriter,
        observer: Observer,
        stop: threading.Event,
        alternating: bool = False,
    ) -> None:
        super().__init__(planned, writer, observer)
        self._trial = planned.trial
        self._make_rule = make_rule
        self._stop = stop
        self._alternating = alternating
        self._clock = RoundClock(own_rounds_only=alternating)
        self._process = TimedProcess(executor, planned.trial, planned.trial_id)
        self._number = 0
        self._next = 0
        self._at = 0
        self._round_s = 1.0
        self._faults = 0
        self._calls: RoundCalls | None = None
        self._judge: TrialJudge | None = None
        self._raised: Raised = {}

    def start(self) -> bool:
        """Take in what is stored already and begin. Return whether steps may follow; a trial's own failure is a state, no exception."""
        return self._attempt(self._begin)

    def step(self) -> bool:
        """Prepare a process where there is none, else take in a round or a few short ones. Return whether more is to follow."""
        return self._attempt(self._take_rounds if self._process else self._prepare)

    def close(self) -> None:
        """End the process, where there is one. Idempotent."""
        self._process.close()

    def _begin(self) -> End | None:
        with storing("reading what is stored"):
            self._book = TrialBook(self._campaign, self._planned)
        with step("making its stopping rule"):
            self._rule = self._make_rule()
        self._number = len(self._book.record.processes)
        self._change("running", None, started_at=self._book.record.started_at or datetime.now(UTC))
        with step("telling that it has started"):
            self._observer.trial_started(self._planned)
        return self._replay(self._book)

    def _replay(self, book: TrialBook) -> End | None:
        """Ask the rule about the rounds that are stored; it may find that they are enough."""
        samples = book.samples()
        if samples is None:
            return None
        with step("judging its answers"):
            self._judge = judge_samples(samples, book.record.metrics, self._trial.task.kind)
        for result in book.rounds():
            self._refuse_short(result)
            decision = self._decide(result)
            if not book.extends:
                book.check(decision.check)
            self._next = result.round.column("round")[0].as_py() + 1
            if decision.stop:
                book.note(stopping=book.stopped(decision.reason))
                return "done", None
        return None

    def _prepare(self) -> End | None:
        if self._stop.is_set():
            return self._interrupted()
        assert self._book is not None
        found = self._process.start(self._number, self._stop)
        if found is None:
            return self._let_go()
        process = Process(
            process=self._number, pid=found.pid, host=found.host, boot_id=found.boot_id, created_s=found.created_s,
            started_at=datetime.now(UTC),
        )  # fmt: skip
        # On disk before anything is timed: whoever goes on after us must know which process to wait for.
        self._change("running", None, processes=(*self._book.record.processes, process))
        self._number += 1
        if not self._process.take_turn(self._stop, partial(self._observer.turn_awaited, self._planned)):
            return self._interrupted()
        prepared = self._process.prepare(self._stop)
        if prepared is None:
            return self._let_go()
        self._raised = {}
        self._store_prepared(prepared)
        self._calls = self._process.calls(self._next, self._alternating)
        with step("telling that it is prepared"):
            self._observer.trial_prepared(self._planned, prepared)
        return None

    def _let_go(self) -> End:
        """End a process that is in the midst of getting ready."""
        self._process.abandon(answers=True)
        return self._interrupted()

    def _take_rounds(self) -> End | None:
        assert self._calls is not None
        assert self._book is not None
        if not self._stop.is_set():
            self._ask_ahead(self._calls)
        if not self._calls:
            self._read_back(self._book)
            return self._interrupted()
        self._at = self._next
        with asking("taking rounds"):
            results = self._calls.take()
        with step("looking whether its times can be"):
            for result in results:
                refuse_short(result, self._trial.measurement.batch)
        decisions: list[Decision] = []
        for result in results:
            # Rounds of one call beyond the one that the rule stops at are kept, and it is not asked again.
            stopped = any(decision.stop for decision in decisions)
            decisions.append(Decision(False, None, None) if stopped else self._decide(result))
        stopping = next((decision for decision in decisions if decision.stop), None)
        if stopping is None and not self._stop.is_set() and not (self._alternating or self._process.session.shares_machine):
            self._ask_ahead(self._calls)
        for result, decision in zip(results, decisions, strict=True):
            self._store_round(result, decision)
        with step("telling how far it is"):
            done = RoundDone(self._next, self._round_s, p99_ns(per_inference(self._trial, results[-1])[1]))
            self._observer.round_done(self._planned, done, decisions[-1])
        if stopping is not None:
            reason = "extended" if self._book.extends else stopping.reason
            looks = (*self._book.record.looks, self._next) if self._book.extends else ()
            self._book.note(stopping=self._book.stopped(reason), looks=looks, extension=None)
            self._conclude(self._book)
            return "done", None
        count_raised(self._raised, results)
        if (failed := too_many_raised(self._raised, self._trial.measurement.max_errors)) is not None:
            self._at, error = failed
            raise error
        return None

    def _ask_ahead(self, calls: RoundCalls) -> None:
        with asking("asking for rounds"):
            calls.ask_ahead(self._round_s)

    def _recover(self, error: Exception) -> End | None:
        """Name a fault, keep what the process left, and go on in a fresh one; after another fault the trial has failed."""
        calls, book = self._calls, self._book
        self._calls = None
        answers = self._process.answers()
        lost = not answers or (isinstance(error, SessionLost) and error.cause == "machine")
        message = one_line(error) if lost else self._message(error)
        with step("naming a fault"):
            name = "host lost" if lost else fault_name(error)
            at = self._at if calls is not None else None
            fault = Fault(name=name, message=message, process=max(0, self._number - 1), round=at)
        if book is not None:
            book.fault(fault)
        if book is not None and (text := kept_traceback(error)) is not None:
            book.store_traceback(f"process {fault.process}, {name}", text)
        try:
            left = self._process.abandon(answers)
            # A process that told of its fault itself was killed by us, in the midst of a round that it was asked for ahead.
            ours = isinstance(error, TrialFailed)
            if left is not None and calls is not None and not lost and not ours and left.round >= self._next and not left.finished:
                self._store_left(left, fault)
        except TrialFailed as worse:
            # A round of which nothing is known must not vanish in another attempt: the trial has failed.
            if book is not None:
                book.fault(fault.model_copy(update={"name": worse.fault, "message": str(worse)}))
            raise
        self._faults += 1
        self._change("running", None)
        with step("telling of a fault"):
            self._observer.fault_seen(self._planned, fault)
        if self._faults > FAULTS_FORGIVEN or not answers:
            return "failed", f"{name}: {message}" if lost else message
        return None

    def _store_left(self, left: Stamps, fault: Fault) -> None:
        """Store the round in flight as far as it came."""
        with step("salvaging a round"):
            assert self._judge is not None
            outcome: InFlight = "timeout" if fault.name == "hang" else "error"
            samples = self._judge.samples.num_rows
            result = incomplete_round(self._trial, left, self._next, samples, fault.process, outcome, fault.message)
        self._store_round(result, self._decide(result))

    def _refuse_short(self, stored: RoundResult) -> None:
        """Raise InputError for a stored round that is shorter than what was timed in it: no other process would mend that."""
        try:
            refuse_short(stored, self._trial.measurement.batch)
        except TrialFailed as error:
            raise InputError(f"{self.trial_id}, as it is stored: {error}; measure the campaign again") from error

    def _interrupted(self) -> End:
        return "interrupted", f"stopped by the user after {self._next} rounds"

    def _decide(self, result: RoundResult) -> Decision:
        with step("asking its stopping rule"):
            return self._ask_rule(result)

    def _ask_rule(self, result: RoundResult) -> Decision:
        assert self._judge is not None
        judge = self._judge
        self._round_s = result.round.column("duration_ns")[0].as_py() / 1e9
        number = result.round.column("round")[0].as_py()
        _, total_ns = clocks(result.timings)
        observation = RoundObservation(
            number, *per_inference(self._trial, result), lambda threshold_ns: judge.quality(total_ns, threshold_ns), judge.ideal
        )
        return self._rule.update(observation, self._clock.tick(result.round))

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

    def _store_prepared(self, prepared: Prepared) -> None:
        """Store what the process says of itself. The answers that count are those of the trial's first process."""
        assert self._book is not None
        flags = list(self._book.record.flags)
        if self._judge is None:
            with step("judging its answers"):
                self._judge = judge_samples(prepared.samples, prepared.metrics, self._trial.task.kind)
            self._book.store_samples(self._judge.samples)
        else:
            with step("comparing its processes"):
                refuse_changed(self._book.record, prepared.digests)
                first, now = (table.column("prediction").to_pylist() for table in (self._judge.samples, prepared.samples))
                if different := sum(one != other for one, other in zip(first, now, strict=True)):
                    flags.append(f"a later process answers {different} samples otherwise")
        self._book.store_warmup(prepared.warmup)
        with step("reading what its process says"):
            flags += process_flags(self._book.record.placement, prepared.placement)
            flags += [
                *flags_of(prepared.facts),
                *placement_flags(self._trial, prepared.placement),
                *quality_flags(self._judge.ideal, self._judge.other_categories),
            ]
        self._change(
            "running",
            None,
            placement=dict(prepared.placement),
            stack=dict(prepared.stack),
            environment=dict(prepared.environment),
            digests=dict(prepared.digests),
            cold_start=dict(prepared.cold_start),
            facts=hidden(self._trial, dict(prepared.facts)),
            flags=tuple(dict.fromkeys(flags)),
            metrics=tuple(prepared.metrics),
            ideal=self._judge.ideals,
        )

    def _store_round(self, result: RoundResult, decision: Decision) -> None:
        assert self._book is not None
        self._book.check(decision.check)
        self._book.store_round(self._next, result)
        self._next += 1
