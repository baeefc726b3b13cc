"""One trial from its fresh process to its final state."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean, judge
from orchestrator.config import MeasurementConfig, Trial
from orchestrator.contracts import InputError
from orchestrator.execution.executor import Executor, Job, Session, SessionLost
from orchestrator.measurement.results import Prepared, RoundResult, TrialFailed
from orchestrator.measurement.timing import one_line
from orchestrator.metrics import Answers
from orchestrator.observer import Observer, RoundDone
from orchestrator.stats.stopping import Decision, RoundObservation, make_rule
from orchestrator.storage.records import PlannedTrial, Process, State, Stopping, TrialError, TrialRecord
from orchestrator.storage.writer import CampaignWriter

DIFFERS = "answers beyond tolerance of eager PyTorch's"
NEVER_RIGHT = "no answer is right even without a threshold"
SHARED = "machine shared with other trials"
LARGEST_CHANGE = 0.1
"""A fixed piece of work may take so much longer or shorter after the rounds before it is told, as a share."""
CALL_S, MOST_AT_ONCE = 0.05, 20
"""Rounds that take less than this together may be asked for in one call, and how many at most."""
KERNEL_TIMEOUT_S = 60.0
PREPARE_ROUNDS = 5
"""Loading may take as long as this many rounds are allowed to, besides the warm-up."""


class TrialRun:
    """Runs one trial, one step at a time; see `orchestrator.pipeline.run_trials` for the parameters.

    ``alternating`` says that rounds of other trials of the same machine come between its own. ``state`` is how it ended.
    """

    def __init__(
        self,
        planned: PlannedTrial,
        executor: Executor,
        writer: CampaignWriter,
        observer: Observer,
        stop: threading.Event,
        primary: str | None = None,
        now_s: Callable[[], float] = time.monotonic,
        alternating: bool = False,
    ) -> None:
        self.state: State | None = None
        self._alternating = alternating
        self._session: Session | None = None
        self._asked: deque[Job[Sequence[RoundResult]]] = deque()
        self._asked_until = 0
        self._next = 0
        self._round_s = 1.0
        self._timed_s = 0.0
        self._planned = planned
        self._trial = planned.trial
        self._executor = executor
        self._campaign = writer
        self._writer = writer.trial(planned.trial_id)
        self._observer = observer
        self._stop = stop
        self._now_s = now_s
        self._record = TrialRecord.from_plan(planned)
        self._checks: list[dict[str, Any]] = []
        self._errors: list[TrialError] = []
        measurement = self._trial.measurement
        self._rule = make_rule(
            measurement.rule,
            min_rounds=measurement.min_rounds,
            max_rounds=measurement.max_rounds,
            max_seconds=measurement.max_seconds,
            half_width=measurement.half_width,
            primary=primary,
        )

    @property
    def trial_id(self) -> str:
        """The trial's id."""
        return self._planned.trial_id

    def start(self) -> bool:
        """Open a session and prepare it. Return whether rounds may follow; a trial's own failure is a state, not an exception."""
        self._change("running", None, started_at=datetime.now(UTC))
        self._observer.trial_started(self._planned)
        return self._attempt(self._prepare)

    def step(self) -> bool:
        """Run a round, or a few short ones, store them and check the rule. Return whether more are to follow."""
        return self._attempt(self._call)

    def close(self) -> None:
        """End the session, where it has not ended yet. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _attempt(self, action: Callable[[], tuple[State, str | None] | None]) -> bool:
        """Do one step, which returns how the trial has ended or None; return whether it goes on."""
        try:
            ended = action()
        except (InputError, TrialFailed, SessionLost, TimeoutError) as error:
            ended = "failed", str(error) or type(error).__name__
        except (OSError, pa.ArrowException):
            raise
        except Exception as error:
            ended = "failed", one_line(error)
        if ended is None:
            return True
        self.close()
        self._end(*ended)
        return False

    def _end(self, state: State, reason: str | None) -> None:
        self._writer.finish()
        self._change(state, reason, ended_at=datetime.now(UTC))
        self.state = state
        self._observer.trial_ended(self._planned, state, reason)

    def _prepare(self) -> None:
        measurement = self._trial.measurement
        limit_s = measurement.round_timeout_s * (measurement.warmup_rounds + PREPARE_ROUNDS)
        self._session = self._executor.open(self._trial, self._planned.trial_id, process=0)
        prepared = self._session.prepare().result(timeout=limit_s)
        self._quality, self._ideal = self._store_prepared(prepared)
        self._observer.trial_prepared(self._planned, prepared)

    def _call(self) -> tuple[State, str | None] | None:
        """Take in one round, or a few short ones of one call, after asking for those that are to follow."""
        assert self._session is not None
        alone = self._alternating or self._session.shares_machine
        self._ask_ahead(1 if alone else 2)
        if not self._asked:
            return "interrupted", f"stopped by the user after {self._next} rounds"
        results = self._asked.popleft().result(timeout=self._trial.measurement.round_timeout_s)
        decisions = self._decide(results)
        stopping = next((decision for decision in decisions if decision.stop), None)
        if stopping is None and not alone:
            self._ask_ahead(2)
        for result, decision in zip(results, decisions, strict=True):
            self._store_round(self._next, result, decision)
            self._next += 1
        total_ns = clocks(results[-1].timings)[1]
        self._observer.round_done(self._planned, RoundDone(self._next, self._round_s, p99_ns(total_ns)), decisions[-1])
        if stopping is not None:
            self._record = self._record.model_copy(update={"stopping": self._stopping(stopping.reason)})
            self._conclude()
            return "done", None
        if self._stop.is_set() and not self._asked:
            return "interrupted", f"stopped by the user after {self._next} rounds"
        self._fail_beyond_max_errors()
        return None

    def _ask_ahead(self, calls: int) -> None:
        """Have so many calls under way, so that a remote process never waits for us."""
        measurement = self._trial.measurement
        while not self._stop.is_set() and len(self._asked) < calls:
            # Before min_rounds no rule can stop; after that, the next call waits for the rule's answer to the last one.
            if self._asked and self._asked_until >= measurement.min_rounds:
                return
            assert self._session is not None
            count = 1 if calls == 1 else rounds_at_once(self._asked_until, self._round_s, measurement)
            self._asked.append(self._session.run_rounds(self._asked_until, count))
            self._asked_until += count

    def _decide(self, results: Sequence[RoundResult]) -> list[Decision]:
        """Ask the rule about each round in turn. Those measured beyond the one it stops at are kept, and it is not asked again."""
        decisions: list[Decision] = []
        for number, result in enumerate(results, self._next):
            self._round_s = result.round.column("duration_ns")[0].as_py() / 1e9
            self._timed_s += self._round_s
            if any(decision.stop for decision in decisions):
                decisions.append(Decision(False, None, None))
                continue
            # While rounds of other trials come in between, only its own count.
            now_s = self._timed_s if self._alternating else self._now_s()
            decisions.append(self._rule.update(self._observation(number, result), now_s))
        return decisions

    def _observation(self, number: int, result: RoundResult) -> RoundObservation:
        inference_ns, total_ns = clocks(result.timings)
        return RoundObservation(number, inference_ns, total_ns, lambda threshold_ns: self._quality(total_ns, threshold_ns), self._ideal)

    def _conclude(self) -> None:
        """Ask the process what it has to say at the end: whether the machine's speed has changed meanwhile."""
        assert self._session is not None
        after_ns = self._session.kernel_ns().result(timeout=KERNEL_TIMEOUT_S)
        kernel = {**self._record.environment["kernel"], "after_ns": after_ns}
        flags = (*self._record.flags, *kernel_flags(kernel["before_ns"], after_ns))
        environment = {**self._record.environment, "kernel": kernel}
        self._record = self._record.model_copy(update={"environment": environment, "flags": flags})

    def _store_prepared(self, prepared: Prepared) -> tuple[Callable[[NDArray[np.float64], float], float], float]:
        """Store what the process says of itself; return the primary metric as a function of times and threshold, and its ideal."""
        columns = {name: prepared.samples.column(name) for name in prepared.samples.column_names}
        slices = {name.removeprefix("slice_"): groups.to_pylist() for name, groups in columns.items() if name.startswith("slice_")}
        answers = Answers(columns["prediction"].to_pylist(), columns["reference"].to_pylist(), slices)
        try:
            judged = {name: judge(name, answers) for name in prepared.metrics}
            ideal = {name: found for name, metric in judged.items() if not math.isnan(found := metric.ideal())}
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            kind = self._trial.task.kind
            raise TrialFailed(
                f"metrics {', '.join(prepared.metrics)} cannot judge these answers of kind {kind} ({one_line(error)}); docs/tasks.md shows "
                "their form"
            ) from error
        if prepared.metrics[0] not in ideal:
            raise TrialFailed(f"metric {prepared.metrics[0]} is undefined: the task has nothing it could be right about")
        samples = prepared.samples
        for name, metric in judged.items():
            if isinstance(metric, JudgedMean):
                samples = samples.append_column(f"score_{name}", pa.array(metric.scores, pa.float64()))
        self._writer.write_samples(samples)
        self._writer.write_warmup(prepared.warmup)
        placement = prepared.placement
        process = Process(
            process=placement["process"],
            pid=placement["pid"],
            host=placement["host"],
            started_at=datetime.now(UTC),
            boot_id=placement["boot_id"],
        )
        self._change(
            "running",
            None,
            placement=dict(placement),
            stack=dict(prepared.stack),
            environment=dict(prepared.environment),
            digests=dict(prepared.digests),
            cold_start=dict(prepared.cold_start),
            facts=dict(prepared.facts),
            flags=(*flags_of(prepared.facts), *placement_flags(self._trial), *quality_flags(ideal[prepared.metrics[0]])),
            metrics=prepared.metrics,
            ideal=ideal,
            processes=(process,),
        )
        primary = judged[prepared.metrics[0]]

        def quality(times_ns: NDArray[np.float64], threshold_ns: float) -> float:
            return float(primary.curve(times_ns[np.newaxis], np.array([threshold_ns]))[0, 0])

        return quality, ideal[prepared.metrics[0]]

    def _store_round(self, number: int, result: RoundResult, decision: Decision) -> None:
        if decision.check is not None:
            self._checks.append(dict(decision.check))
        self._errors.extend(TrialError(message=message, round=number, sample=sample) for sample, message in result.errors.items())
        if result.answers is not None:
            self._writer.write_answers(number, result.answers)
        self._writer.append(result.timings, result.round)

    def _fail_beyond_max_errors(self) -> None:
        allowed = self._trial.measurement.max_errors
        raised = {error.sample for error in self._errors}
        if len(raised) > allowed:
            first = self._errors[0]
            raise TrialFailed(
                f"the model raised on {len(raised)} samples (measurement.max_errors={allowed}), first on sample {first.sample} in "
                f"round {first.round}: {first.message}"
            )

    def _stopping(self, reason: str | None) -> Stopping:
        return Stopping(rule=self._trial.measurement.rule, reason=reason, checks=tuple(self._checks))

    def _change(self, state: State, reason: str | None, **values: Any) -> None:
        """Store the trial's record, then its state in the campaign."""
        update: Mapping[str, Any] = {"state": state, "reason": reason, "errors": tuple(self._errors), **values}
        if "stopping" not in update and self._record.stopping is None and self._checks:
            update = {**update, "stopping": self._stopping(None)}
        self._record = self._record.model_copy(update=dict(update))
        self._writer.write_record(self._record)
        self._campaign.set_state(self._planned.trial_id, state, reason)


def flags_of(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a reader must know of a model as it was loaded."""
    difference, tolerance = facts.get("largest_difference"), facts.get("tolerance")
    differs = difference is not None and tolerance is not None and difference > tolerance
    return (DIFFERS,) if differs else ()


def quality_flags(ideal: float) -> tuple[str, ...]:
    """Return what a reader must know of a model that is never right: perhaps its classes are not the task's."""
    return (NEVER_RIGHT,) if ideal == 0 else ()


def placement_flags(trial: Trial) -> tuple[str, ...]:
    """Return what a reader must know of where a trial ran."""
    return () if trial.system.exclusive else (SHARED,)


def rounds_at_once(first: int, round_s: float, measurement: MeasurementConfig) -> int:
    """Return how many rounds to ask a remote process for in one call: short ones would cost more to send than to measure.

    Parameters
    ----------
    first
        number of the next round. A call never goes beyond ``min_rounds`` before it has reached them, nor beyond ``max_rounds``.
    round_s
        duration of the last round, s.
    """
    bound = measurement.min_rounds if first < measurement.min_rounds else measurement.max_rounds
    return max(1, min(int(CALL_S / max(round_s, 1e-9)), MOST_AT_ONCE, bound - first))


def kernel_flags(before_ns: int, after_ns: int) -> tuple[str, ...]:
    """Return a flag where a fixed piece of work took another time after the rounds than before them."""
    change = after_ns / before_ns - 1
    return (f"machine {'slower' if change > 0 else 'faster'} at the end",) if abs(change) > LARGEST_CHANGE else ()


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
