"""The course of a trial: its rounds so far, its judge, and what its stopping rule makes of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from orchestrator.configuration.config import Trial
from orchestrator.configuration.environment_values import hidden
from orchestrator.contracts import InputError
from orchestrator.measurement.failures import Stamps, TrialFailed, refuse_short
from orchestrator.measurement.last_words import cut_stream, incomplete_round
from orchestrator.metrics.interface import Scale
from orchestrator.running.book import TrialBook, refuse_changed
from orchestrator.running.steps import step
from orchestrator.running.trial_judge import (
    TrialJudge,
    clocks,
    fact_flags,
    judge_samples,
    per_inference,
    placement_flags,
    process_flags,
    quality_flags,
)
from orchestrator.stats.constants import PAUSE
from orchestrator.stats.stopping import Decision, RoundObservation, StoppingRule
from orchestrator.stats.times import primary_of
from orchestrator.storage.handover import Prepared, RoundResult
from orchestrator.storage.records import Fault
from orchestrator.storage.schema import InFlight


class Course:
    """What a trial has come to, and what comes next.

    Parameters
    ----------
    book
        what is stored of it.
    rule
        says when to stop; it is asked about every round in order, stored ones included.
    among_others
        whether visits of other trials come between its own.

    Attributes
    ----------
    next_round
        the number of the round that is measured next.
    visit
        the number of the visit under way, or of the last one that is stored; -1 where there is none.
    round_s
        how long the last round took.
    """

    def __init__(self, trial: Trial, book: TrialBook, rule: StoppingRule, among_others: bool) -> None:
        self.book = book
        self._visits_are_units = visits_are_units(trial, among_others)
        self.next_round = 0
        self.visit = -1
        self.round_s = 1.0
        self._trial = trial
        self._rule = rule
        self._clock = RoundClock()
        self._judge: TrialJudge | None = None

    @property
    def judge(self) -> TrialJudge:
        """The judge of its answers, from the first process that has given any on."""
        if self._judge is None:
            raise RuntimeError("no process has given an answer yet")
        return self._judge

    def replay(self, trial_id: str) -> bool:
        """Ask the rule about the rounds that are stored. Return whether they are enough.

        Raises InputError for impossible stored data: no other process would mend that.
        """
        try:
            return self._replay()
        except TrialFailed as error:
            raise InputError(f"{trial_id}, as it is stored: {error}; measure the campaign again") from error

    def _replay(self) -> bool:
        samples = self.book.samples()
        if samples is None:
            return False
        with step("judging its answers"):
            self._judge = judge_samples(samples, self.book.record.metrics, self._trial)
        for result in self.book.rounds():
            refuse_short(result, self._trial.measurement.batch, self._trial.in_flight)
            decision = self.decide(result)
            if not self.book.extends:
                self.book.check(decision.check)
            self.next_round = result.round.column("round")[0].as_py() + 1
            visit = result.round.column("visit")[0].as_py()
            self.visit = self.visit if visit is None else visit
            if decision.stop:
                self.book.note(stopping=self.book.stopped(decision.reason))
                return True
        return False

    def prepared(self, prepared: Prepared) -> None:
        """Store what a process says of itself. The answers that count are those of the trial's first process."""
        flags = list(self.book.record.flags)
        if self._judge is None:
            with step("judging its answers"):
                self._judge = judge_samples(prepared.samples, prepared.metrics, self._trial)
            self.book.store_samples(self._judge.samples)
        else:
            with step("comparing its processes"):
                refuse_changed(self.book.record, prepared.digests)
                first, now = (table.column("prediction").to_pylist() for table in (self._judge.samples, prepared.samples))
                if different := sum(one != other for one, other in zip(first, now, strict=True)):
                    flags.append(f"a later process answers {different} samples otherwise")
        self.book.store_warmup(prepared.warmup)
        with step("reading what its process says"):
            flags += process_flags(self.book.record.placement, prepared.placement)
            flags += [
                *fact_flags(prepared.facts),
                *placement_flags(self._trial, prepared.placement),
                *quality_flags(self._judge.ideal, self._judge.other_categories),
            ]
        self.book.change(
            "running",
            None,
            placement=dict(prepared.placement),
            stack=dict(prepared.stack),
            environment=dict(prepared.environment),
            digests=dict(prepared.digests),
            cold_start=with_earlier(self.book.record.cold_start, prepared.cold_start),
            facts=hidden(self._trial, dict(prepared.facts)),
            flags=tuple(dict.fromkeys(flags)),
            metrics=tuple(prepared.metrics),
            ideal=self._judge.ideals,
            late=self._judge.lates,
        )

    def decide(self, result: RoundResult) -> Decision:
        """Ask the rule about the next round."""
        with step("asking its stopping rule"):
            judge, measured = self.judge, result.round
            self.round_s = measured.column("duration_ns")[0].as_py() / 1e9
            elapsed_s = self._clock.tick(measured)
            times = clocks(result.timings)
            of_samples = times[primary_of(times.keys())]
            observation = RoundObservation(
                measured.column("round")[0].as_py(),
                per_inference(self._trial, result),
                lambda threshold_ns: judge.gained(of_samples, threshold_ns),
                judge.ideal,
                measured.column("visit")[0].as_py() if self._visits_are_units else None,
                judge.answers,
                judge.bounded,
                self._clock.round_s,
            )
            decision = self._rule.update(observation, elapsed_s)
            return _shown(decision, judge.scale)

    def store(self, result: RoundResult, decision: Decision) -> None:
        """Store a round about which the rule has been asked."""
        self.book.check(decision.check)
        self.book.store_round(self.next_round, result)
        self.next_round += 1

    def store_left(self, left: Stamps, fault: Fault) -> None:
        """Store the round in flight of a process that has died, or the rounds of its stream, as far as it came."""
        with step("salvaging a round"):
            outcome: InFlight = "timeout" if fault.name == "hang" else "error"
            samples = self.judge.samples.num_rows
            known = (self._trial, left, self.next_round, samples, fault.process, outcome, fault.message, self.visit)
            results = cut_stream(*known) if self._trial.load.is_open else [incomplete_round(*known)]
        for result in results:
            self.store(result, self.decide(result))

    def stop(self, reason: str | None) -> None:
        """Record why the trial stops."""
        extends = self.book.extends
        looks = (*self.book.record.looks, self.next_round) if extends else ()
        self.book.note(stopping=self.book.stopped("extended" if extends else reason), looks=looks, extension=None)


def visits_are_units(trial: Trial, among_others: bool) -> bool:
    """Return whether other trials' visits, a pause as long as a visit, or a stream's own schedule keep visits apart."""
    in_visits = trial.measurement.rounds_per_visit is not None
    return trial.load.is_open or (in_visits and (among_others or trial.measurement.pause >= PAUSE))


def with_earlier(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cold start of a process, with those of the trial's processes ``before`` it under ``earlier``."""
    last = {name: value for name, value in before.items() if name != "earlier"}
    return {**now, "earlier": [*before.get("earlier", ()), last]} if last else dict(now)


def _shown(decision: Decision, scale: Scale) -> Decision:
    """Return a decision whose check has quality on the metric's scale."""
    check = decision.check
    if check is None or not isinstance(mean := check.get("quality_mean"), float):
        return decision
    return replace(decision, check={**check, "quality_mean": scale.shown(mean)})


class RoundClock:
    """Seconds that the visits of a trial have taken, kept in ns: pauses within a visit count, those between two do not.

    Rounds that were stored without visits count as one; between two of their processes the last pause counts again.

    Attributes
    ----------
    round_s
        seconds that a round of its process takes, with what lies between visits.
    """

    def __init__(self) -> None:
        self.round_s = 0.0
        self._at: tuple[int, int | None] | None = None
        self._ended_ns = 0
        self._pause_ns = 0
        self._elapsed_ns = 0
        self._rounds, self._began_ns = 0, 0

    def tick(self, row: pa.RecordBatch) -> float:
        """Take in one round, a row of ``schema.ROUNDS``, and return the seconds passed at its end."""
        began_ns, duration_ns = (int(row.column(name)[0].as_py()) for name in ("started_monotonic_ns", "duration_ns"))
        process, visit = (row.column(name)[0].as_py() for name in ("process", "visit"))
        if self._at is None or process != self._at[0]:
            self._rounds, self._began_ns = 0, began_ns
        if self._at is not None and visit == self._at[1]:
            if process == self._at[0]:
                self._pause_ns = began_ns - self._ended_ns
            self._elapsed_ns += self._pause_ns
        self._elapsed_ns += duration_ns
        self._rounds += 1
        self._at, self._ended_ns = (process, visit), began_ns + duration_ns
        self.round_s = (self._ended_ns - self._began_ns) / self._rounds / 1e9
        return self._elapsed_ns / 1e9
