"""One trial from its fresh process to its final state, through one fault and across drivers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.contracts import InputError
from orchestrator.execution.executor import Executor, Job, Session, SessionLost
from orchestrator.measurement.fault_names import fault_of
from orchestrator.measurement.results import Prepared, RoundResult, TrialFailed
from orchestrator.measurement.salvage import incomplete_round
from orchestrator.measurement.timing import one_line
from orchestrator.observer import Observer, RoundDone
from orchestrator.stats.stopping import Decision, RoundObservation, StoppingRule
from orchestrator.storage.records import Fault, PlannedTrial, Process, State, Stopping, TrialError, TrialRecord
from orchestrator.storage.writer import CampaignWriter
from orchestrator.trial.calls import RoundCalls
from orchestrator.trial.clock import RoundClock
from orchestrator.trial.flags import flags_of, kernel_flags, placement_flags, quality_flags
from orchestrator.trial.judge import TrialJudge, judge_samples

KERNEL_TIMEOUT_S = 60.0
PREPARE_ROUNDS = 5
"""Loading may take as long as this many rounds are allowed to, besides the warm-up."""
STOPPED_EVERY_S = 0.5
"""How often it is looked whether the user has stopped, while a process gets ready."""
TURN_EVERY_S = 1.0
"""How often a machine is asked whether another campaign has done."""
FAULTS_FORGIVEN = 1
"""After so many faults a trial goes on in a fresh process; after one more it has failed."""

End = tuple[State, str | None]
Answer = TypeVar("Answer")


class TrialRun:
    """Runs one trial, one step at a time. What is stored of it already is never measured again.

    Parameters
    ----------
    rule
        when to stop; asked about every round in order, stored ones included.
    stop
        set from outside: what was asked for is finished and stored, then the trial is interrupted.
    alternating
        rounds of other trials of the same machine come between its own.
    """

    def __init__(
        self,
        planned: PlannedTrial,
        rule: StoppingRule,
        executor: Executor,
        writer: CampaignWriter,
        observer: Observer,
        stop: threading.Event,
        alternating: bool = False,
    ) -> None:
        self.state: State | None = None
        self._planned = planned
        self._trial = planned.trial
        self._rule = rule
        self._executor = executor
        self._campaign = writer
        self._writer = writer.trial(planned.trial_id)
        self._observer = observer
        self._stop = stop
        self._alternating = alternating
        self._record = writer.read_trial(planned.trial_id) or TrialRecord.from_plan(planned)
        self._process = len(self._record.processes)
        self._errors: list[TrialError] = list(self._record.errors)
        stopping = self._record.stopping
        self._extends = stopping is not None and stopping.reason is not None
        self._checks: list[dict[str, Any]] = [dict(check) for check in stopping.checks] if stopping and self._extends else []
        self._clock = RoundClock(own_rounds_only=alternating)
        self._next = 0
        self._at = 0
        self._round_s = 1.0
        self._faults = 0
        self._session: Session | None = None
        self._calls: RoundCalls | None = None
        self._judge: TrialJudge | None = None
        self._raised: dict[int, tuple[int, str]] = {}

    @property
    def trial_id(self) -> str:
        """The trial's id."""
        return self._planned.trial_id

    def start(self) -> bool:
        """Take in what is stored already and begin. Return whether steps may follow; a trial's own failure is a state, no exception."""
        self._change("running", None, started_at=self._record.started_at or datetime.now(UTC))
        self._observer.trial_started(self._planned)
        return self._attempt(self._replay)

    def step(self) -> bool:
        """Prepare a process where there is none, else take in a round or a few short ones. Return whether more is to follow."""
        return self._attempt(self._prepare if self._session is None else self._take_rounds)

    def close(self) -> None:
        """End the session, where it has not ended yet. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _attempt(self, action: Callable[[], End | None]) -> bool:
        """Do one step, which returns how the trial has ended or None; return whether it goes on."""
        try:
            ended = action()
        except InputError as error:
            ended = "failed", str(error)
        except (SessionLost, TimeoutError, TrialFailed) as error:
            ended = self._recover(error)
        except (OSError, pa.ArrowException):
            raise  # what cannot be stored is the trouble of all trials
        except Exception as error:
            # Of the driver's making, and no fault of the process: another one would not help.
            ended = "failed", f"in the driver: {one_line(error)}"
        if ended is None:
            return True
        self.close()
        self._writer.finish()
        self._change(*ended, ended_at=datetime.now(UTC))
        self.state = ended[0]
        self._observer.trial_ended(self._planned, *ended)
        return False

    def _replay(self) -> End | None:
        """Ask the rule about the rounds that are stored; it may find that they are enough."""
        samples = self._writer.stored_samples()
        if samples is None or not self._record.metrics:  # a driver that died before the record was written has left no round either
            return None
        self._judge = judge_samples(samples, self._record.metrics, self._trial.task.kind)
        for result in self._writer.stored_rounds():
            decision = self._decide(result)
            if decision.check is not None and not self._extends:
                self._checks.append(dict(decision.check))
            self._next = result.round.column("round")[0].as_py() + 1
            if decision.stop:
                self._record = self._record.model_copy(update={"stopping": self._stopping(decision.reason)})
                return "done", None
        return None

    def _prepare(self) -> End | None:
        if self._stop.is_set():
            return self._interrupted()
        measurement = self._trial.measurement
        limit_s = measurement.round_timeout_s * (measurement.warmup_rounds + PREPARE_ROUNDS)
        self._session = self._executor.open(self._trial, self.trial_id, self._process)
        found = self._await(self._session.identify(), limit_s)
        if found is None:
            return self._let_go()
        process = Process(
            process=self._process, pid=found.pid, host=found.host, boot_id=found.boot_id, created_s=found.created_s,
            started_at=datetime.now(UTC),
        )  # fmt: skip
        # On disk before anything is timed: whoever goes on after us must know which process to wait for.
        self._change("running", None, processes=(*self._record.processes, process))
        self._process += 1
        if not self._take_turn(limit_s):
            return self._interrupted()
        prepared = self._await(self._session.prepare(), limit_s)
        if prepared is None:
            return self._let_go()
        self._raised = {}
        self._store_prepared(prepared)
        one_by_one = self._alternating or self._session.shares_machine
        self._calls = RoundCalls(self._session, measurement, self._next, one_by_one)
        self._observer.trial_prepared(self._planned, prepared)
        return None

    def _await(self, job: Job[Answer], limit_s: float) -> Answer | None:
        """Wait for a long call before anything is timed, and now and then look whether its host is still there.

        Returns None where the user has stopped meanwhile: a model may load for minutes, and there is no round to finish. Raises what
        `Job.result` does.
        """
        assert self._session is not None
        began = looked = time.monotonic()
        round_timeout_s = self._trial.measurement.round_timeout_s
        while True:
            try:
                return job.result(timeout=min(STOPPED_EVERY_S, round_timeout_s))
            except TimeoutError:
                if self._stop.is_set():
                    return None
                now = time.monotonic()
                if now - began >= limit_s:
                    raise TimeoutError(f"no answer within {limit_s:g} s") from None
                if now - looked >= round_timeout_s:
                    looked = now
                    if not self._session.host_answers():
                        raise SessionLost("the host does not answer", cause="machine") from None

    def _let_go(self) -> End:
        """End a process that is in the midst of getting ready."""
        session, self._session = self._session, None
        if session is not None:
            session.abandon()
        return self._interrupted()

    def _take_turn(self, limit_s: float) -> bool:
        """Wait until no other campaign measures on the machine. Return False where the user has stopped meanwhile."""
        assert self._session is not None
        told = None
        while (holder := self._session.take_turn().result(timeout=limit_s)) is not None:
            if holder != told:
                self._observer.turn_awaited(self._planned, holder)
            told = holder
            if self._stop.wait(TURN_EVERY_S):
                return False
        return True

    def _take_rounds(self) -> End | None:
        assert self._session is not None
        assert self._calls is not None
        if not self._stop.is_set():
            self._calls.ask_ahead(self._round_s)
        if not self._calls:
            return self._interrupted()
        self._at = self._next
        results = self._calls.take()
        decisions: list[Decision] = []
        for result in results:
            # Rounds of one call beyond the one that the rule stops at are kept, and it is not asked again.
            stopped = any(decision.stop for decision in decisions)
            decisions.append(Decision(False, None, None) if stopped else self._decide(result))
        stopping = next((decision for decision in decisions if decision.stop), None)
        if stopping is None and not self._stop.is_set() and not (self._alternating or self._session.shares_machine):
            self._calls.ask_ahead(self._round_s)
        for result, decision in zip(results, decisions, strict=True):
            self._store_round(result, decision)
        self._observer.round_done(
            self._planned, RoundDone(self._next, self._round_s, p99_ns(clocks(results[-1].timings)[1])), decisions[-1]
        )
        if stopping is not None:
            reason = "extended" if self._extends else stopping.reason
            looks = (*self._record.looks, self._next) if self._extends else ()
            self._record = self._record.model_copy(update={"stopping": self._stopping(reason), "looks": looks, "extension": None})
            self._conclude()
            return "done", None
        self._fail_beyond_max_errors(results)
        return None

    def _recover(self, error: Exception) -> End | None:
        """Name a fault, keep what the process left, and go on in a fresh one; after another fault the trial has failed."""
        session, self._session, calls, self._calls = self._session, None, self._calls, None
        answers = session is None or session.host_answers()
        lost = not answers or (isinstance(error, SessionLost) and error.cause == "machine")
        name, message = ("host lost", one_line(error)) if lost else (_fault_name(error), str(error) or type(error).__name__)
        fault = Fault.model_validate(
            {"name": name, "message": message, "process": max(0, self._process - 1), "round": self._at if calls is not None else None}
        )
        if session is not None and not answers:
            session.forget()
        elif session is not None:
            left = session.abandon()
            # A process that told of its fault itself was killed by us, in the midst of a round that it was asked for ahead.
            ours = isinstance(error, TrialFailed)
            if left is not None and calls is not None and not lost and not ours and left.round >= self._next and not left.finished:
                assert self._judge is not None
                outcome = "timeout" if name == "hang" else "error"
                result = incomplete_round(self._trial, left, self._next, self._judge.samples.num_rows, self._process - 1, outcome, message)
                self._store_round(result, self._decide(result))
        self._faults += 1
        self._change("running", None, faults=(*self._record.faults, fault))
        self._observer.fault_seen(self._planned, fault)
        if self._faults > FAULTS_FORGIVEN or not answers:
            return "failed", f"{name}: {message}" if lost else message
        return None

    def _interrupted(self) -> End:
        return "interrupted", f"stopped by the user after {self._next} rounds"

    def _decide(self, result: RoundResult) -> Decision:
        assert self._judge is not None
        judge = self._judge
        self._round_s = result.round.column("duration_ns")[0].as_py() / 1e9
        inference_ns, total_ns = clocks(result.timings)
        number = result.round.column("round")[0].as_py()
        observation = RoundObservation(
            number, inference_ns, total_ns, lambda threshold_ns: judge.quality(total_ns, threshold_ns), judge.ideal
        )
        return self._rule.update(observation, self._clock.tick(result.round))

    def _conclude(self) -> None:
        """Ask the process what it has to say at the end: whether the machine's speed has changed meanwhile."""
        assert self._session is not None
        after_ns = self._session.kernel_ns().result(timeout=KERNEL_TIMEOUT_S)
        kernel = {**self._record.environment["kernel"], "after_ns": after_ns}
        flags = (*self._record.flags, *kernel_flags(kernel["before_ns"], after_ns))
        environment = {**self._record.environment, "kernel": kernel}
        self._record = self._record.model_copy(update={"environment": environment, "flags": tuple(dict.fromkeys(flags))})

    def _store_prepared(self, prepared: Prepared) -> None:
        """Store what the process says of itself. The answers that count are those of the trial's first process."""
        flags = list(self._record.flags)
        if self._judge is None:
            self._judge = judge_samples(prepared.samples, prepared.metrics, self._trial.task.kind)
            self._writer.write_samples(self._judge.samples)
        else:
            self._refuse_changed(prepared.digests)
            first, now = (table.column("prediction").to_pylist() for table in (self._judge.samples, prepared.samples))
            if different := sum(one != other for one, other in zip(first, now, strict=True)):
                flags.append(f"a later process answers {different} samples otherwise")
        self._writer.write_warmup(prepared.warmup)
        flags += [*flags_of(prepared.facts), *placement_flags(self._trial), *quality_flags(self._judge.ideal)]
        self._change(
            "running",
            None,
            placement=dict(prepared.placement),
            stack=dict(prepared.stack),
            environment=dict(prepared.environment),
            digests=dict(prepared.digests),
            cold_start=dict(prepared.cold_start),
            facts=dict(prepared.facts),
            flags=tuple(dict.fromkeys(flags)),
            metrics=tuple(prepared.metrics),
            ideal=self._judge.ideals,
        )

    def _refuse_changed(self, digests: Mapping[str, Any]) -> None:
        for name, digest in self._record.digests.items():
            if digests.get(name) != digest and not self._record.changes:
                raise InputError(f"the {name} of {self.trial_id} has changed since its first rounds were measured; measure a new campaign")

    def _store_round(self, result: RoundResult, decision: Decision) -> None:
        if decision.check is not None:
            self._checks.append(dict(decision.check))
        self._errors.extend(TrialError(message=message, round=self._next, sample=sample) for sample, message in result.errors.items())
        if result.answers is not None:
            self._writer.write_answers(self._next, result.answers)
        self._writer.append(result.timings, result.round)
        self._next += 1

    def _fail_beyond_max_errors(self, results: Sequence[RoundResult]) -> None:
        """Raise TrialFailed where this process has failed on more samples than may fail."""
        allowed = self._trial.measurement.max_errors
        for result in results:
            for sample, message in result.errors.items():
                self._raised.setdefault(sample, (result.round.column("round")[0].as_py(), message))
        if len(self._raised) > allowed:
            sample, (number, message) = next(iter(self._raised.items()))
            self._at = number
            raise TrialFailed(
                f"the model raised on {len(self._raised)} samples (measurement.max_errors={allowed}), first on sample {sample} in "
                f"round {number}: {message}",
                fault_of(message, "too many errors"),
            )

    def _stopping(self, reason: str | None) -> Stopping:
        return Stopping(rule=self._trial.measurement.rule, reason=reason, checks=tuple(self._checks))

    def _change(self, state: State, reason: str | None, **values: Any) -> None:
        """Store the trial's record, then its state in the campaign."""
        update: dict[str, Any] = {"state": state, "reason": reason, "errors": tuple(self._errors), **values}
        if self._checks and (self._record.stopping is None or self._record.stopping.reason is None):
            update["stopping"] = self._stopping(None)
        self._record = self._record.model_copy(update=update)
        self._writer.write_record(self._record)
        self._campaign.set_state(self.trial_id, state, reason)


def _fault_name(error: Exception) -> str:
    """Return what kind of fault of the model's process an exception is."""
    if isinstance(error, TrialFailed):
        return error.fault
    if isinstance(error, TimeoutError):
        return "hang"
    return fault_of(str(error), "process killed")


def p99_ns(times_ns: NDArray[np.float64]) -> float:
    """Return the 99th percentile of one round's times."""
    return float(np.percentile(times_ns, 99, method="inverted_cdf"))


def clocks(timings: pa.RecordBatch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return inference and total time of each sample in ns; +inf where the outcome is not ``ok``."""
    late = pc.is_null(timings.column("inference_ns")).to_numpy(zero_copy_only=False)
    stages = [
        timings.column(name).fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
        for name in ("preprocess_ns", "inference_ns", "postprocess_ns")
    ]
    return np.where(late, np.inf, stages[1]), np.where(late, np.inf, stages[0] + stages[1] + stages[2])
