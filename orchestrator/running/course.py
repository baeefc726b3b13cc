"""The course of a trial: its rounds so far, its judge, and what its stopping rule makes of them."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

from orchestrator.analysis.quality import JudgedMean
from orchestrator.configuration.config import Trial
from orchestrator.configuration.environment_values import hidden
from orchestrator.contracts import InputError
from orchestrator.measurement.failures import Stamps, TrialFailed
from orchestrator.measurement.last_words import rounds_left
from orchestrator.metrics import ON_TIME
from orchestrator.running.book import TrialBook, refuse_changed
from orchestrator.running.trial_judge import TrialJudge, clocks, judge_samples, placement_flags, quality_flags
from orchestrator.stats.constants import PAUSE
from orchestrator.stats.stopping import Decision, RoundObservation, StoppingRule
from orchestrator.stats.times import primary_of
from orchestrator.storage.handover import Prepared, Rounds
from orchestrator.storage.records import Fault
from orchestrator.storage.schema import InFlight
from orchestrator.subject.samples import CONVERSATION, turns_of

MOST_UNASKED = 64  # So many calls wait at most until the rule is asked about their rounds, which are in memory


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
        self._unasked: list[Rounds] = []

    def replay(self, trial_id: str) -> bool:
        """Ask the rule about the rounds that are stored. Return whether they are enough.

        Raises InputError for impossible stored data: no other process would mend that.
        """
        stored = self.book.stored()
        if stored is None:
            return False
        samples, rounds = stored
        try:
            self._judge = judge_samples(samples, self.book.record.metrics, self._trial)
            if rounds is None:
                return False
            self.take(rounds)
            decision = self.decide(kept=self.book.extends)
        except TrialFailed as error:
            raise InputError(f"{trial_id}, as it is stored: {error}; measure the campaign again", "damaged") from error
        visit = rounds.rows.column("visit")[-1].as_py()
        self.visit = self.visit if visit is None else visit
        if decision.stop:
            self.book.note(stopping=self.book.stopped(decision.reason))
        return decision.stop

    def prepared(self, prepared: Prepared) -> None:
        """Store what a process says of itself. The answers that count are those of the trial's first process."""
        record, flags = self.book.record, list(self.book.record.flags)
        if self._judge is None:
            self._judge = judge_samples(prepared.samples, prepared.metrics, self._trial)
            self.book.store_prepared(self._judge.samples, prepared.warmup)
        else:
            refuse_changed(record, prepared.digests)
            first, now = (table.column("prediction").to_pylist() for table in (self._judge.samples, prepared.samples))
            if different := sum(one != other for one, other in zip(first, now, strict=True)):
                flags.append(f"a later process answers {different} samples otherwise")
            self.book.store_prepared(None, prepared.warmup)
        flags += placement_flags(self._trial, record.placement, prepared.placement)
        flags += ["no quality"] * (prepared.metrics[0] == ON_TIME)
        flags += quality_flags(prepared.facts, self._judge.primary.ideal(), self._judge.other_categories)
        self.book.change(
            "running",
            None,
            placement=dict(prepared.placement),
            stack=dict(prepared.stack),
            environment=dict(prepared.environment),
            digests=dict(prepared.digests),
            cold_start=with_earlier(record.cold_start, prepared.cold_start),
            facts=hidden(self._trial, dict(prepared.facts)),
            flags=tuple(dict.fromkeys(flags)),
            metrics=tuple(prepared.metrics),
            ideal=self._judge.ideals,
            late=self._judge.lates,
        )

    def take(self, rounds: Rounds) -> None:
        """Take in the next rounds. The rule is asked about them by `decide`."""
        self._unasked.append(rounds)
        self.next_round = rounds.rows.column("round")[-1].as_py() + 1
        self.round_s = rounds.rows.column("duration_ns")[-1].as_py() / 1e9

    def _observed(self, rounds: Rounds) -> Iterator[tuple[RoundObservation, float]]:
        """Yield each round as the rule sees it, and the seconds passed at its end."""
        judge, rows = self._judge, rounds.rows.select(["round", "process", "visit", "started_monotonic_ns", "duration_ns"]).to_pylist()
        assert judge is not None
        of_samples, times = clocks(self._trial, rounds)
        primary, ideal = primary_of(times), judge.primary.ideal()
        for place, row in enumerate(rows):
            elapsed_s = self._clock.tick(row["process"], row["visit"], row["started_monotonic_ns"], row["duration_ns"])
            observation = RoundObservation(
                row["round"],
                {clock: found[place] for clock, found in times.items()},
                partial(judge.gained, of_samples[primary][place]),
                ideal,
                row["visit"] if self._visits_are_units else None,
                judge.answers,
                isinstance(judge.primary, JudgedMean),
                self._clock.round_s,
            )
            yield observation, elapsed_s

    @property
    def turns(self) -> list[int] | None:
        """How many turns each conversation of the trial has; None where its task has none."""
        samples, name = None if self._judge is None else self._judge.samples, f"slice_{CONVERSATION}"
        return None if samples is None or name not in samples.column_names else turns_of(samples.column(name).to_pylist())

    @property
    def may_stop_at(self) -> int:
        """The fewest rounds, of those to come, after which the rule may stop."""
        return int(getattr(self._rule, "may_stop_at", 0))

    @property
    def is_due(self) -> bool:
        """Whether the rule must be asked now, since it may stop, or since many rounds wait for it."""
        return bool(self._unasked) and (self.next_round >= self.may_stop_at or len(self._unasked) >= MOST_UNASKED)

    def decide(self, kept: bool = False) -> Decision:
        """Ask the rule about the rounds since it was asked last, and return what it says of the one that it stops at, else of the last.

        Rounds beyond the one that it stops at count, and it is not asked about them. ``kept`` says that its checks of these rounds are kept
        already. It takes milliseconds: where no rule can stop, this can wait for a pause.
        """
        decision = Decision(False)
        for observation, elapsed_s in chain.from_iterable(map(self._observed, self._unasked)):
            decision = self._rule.update(observation, elapsed_s)
            if decision.check is not None and not kept:
                check = dict(decision.check)
                if self._judge is not None and isinstance(mean := check.get("quality_mean"), float):
                    check["quality_mean"] = self._judge.primary.shown(mean)
                self.book.checks.append(check)
            if decision.stop:
                break
        self._unasked.clear()
        return decision

    def store_left(self, left: Stamps, fault: Fault) -> None:
        """Store the round in flight of a process that has died, or the rounds of its stream, as far as it came."""
        assert self._judge is not None
        outcome: InFlight = "timeout" if fault.name == "hang" else "error"
        samples = self._judge.samples
        told = self._trial, left, self.next_round, samples.num_rows, fault.process, outcome, fault.message, self.visit
        rounds = rounds_left(*told, self.turns)
        self.take(rounds)
        self.book.store_rounds(rounds)

    def stop(self, reason: str | None) -> None:
        """Record why the trial stops."""
        self.decide()
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

    def tick(self, process: int, visit: int | None, began_ns: int, duration_ns: int) -> float:
        """Take in one round and return the seconds passed at its end."""
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
