"""What a share of rounds must keep: deadlines, few late answers one after another, answers that stay as they are."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.tables.deadline import rounds_of_certificate
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.kinds import Asked, Kind, Need, Outcome, Prospect, error_of, judged_part, say, worst_share
from orchestrator.assessment.subjects import NotShown, Subject
from orchestrator.assessment.values import Count, Float, Metric, Positive, Share, Threshold, Time
from orchestrator.configuration.analysis import ClockName
from orchestrator.report.text import milliseconds
from orchestrator.stats.requirements import rounds_keep
from orchestrator.stats.slow_rounds import silences, streak_of_each, worst_window_of_each
from orchestrator.stats.tail_quality import mean_deadlines, round_deadlines
from orchestrator.stats.times import PRIMARY_CLOCK, Clock

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class Deadline(Kind):
    """A certified deadline: at least a share of rounds keeps a share of ideal quality from ``within`` on."""

    kind: Literal["deadline"] = "deadline"
    within: Time
    keep: Annotated[Float, Field(gt=0, le=1)] = 0.99
    metric: Metric | None = None
    clock: ClockName | None = None
    share_of_rounds: Share = 0.9

    def judge(self, system: Subject, error: float) -> Outcome:
        asked: Asked = (self.metric, "all", self.keep, "ideal")
        return keeps_quality(system, error, system.clock(self.clock), self.within, self.share_of_rounds, asked)

    def need(self, plan: Prospect) -> Need:
        return plan.share_of_rounds(self.share_of_rounds)


def keeps_quality(system: Subject, error: float, clock: Clock, within_ns: int, share: float, asked: Asked) -> Outcome:
    """Return whether a share of rounds keeps quality at a time bound and all longer ones; ``asked`` is what `judged_part` takes."""
    _, slice_name, at_least, of = asked

    def deadlines(data: TrialData) -> Floats:
        members, judged, floor = judged_part(data, asked)
        times = data.times[clock] if members.all() else data.times[clock][:, members]
        if isinstance(judged, JudgedMean):
            return np.asarray(mean_deadlines(judged.scores, times, [floor])[0])
        return round_deadlines(judged.curve, times, floor)

    kept = f"{at_least:.6g} of ideal quality" if of == "ideal" else f"a quality of {at_least:.6g}"
    part = "" if slice_name == "all" else f" of {slice_name}"
    return _finding(system, error, f"keep {kept}{part} ({clock})", deadlines, float(within_ns), share, milliseconds)


@dataclass(frozen=True)
class Stretch:
    """Answers that followed one another without a pause, n of them, in order.

    times, arrivals
        of each answer, ns; +inf where it never came. When it was asked for, ns from the start of the stretch: in a closed loop when the
        one before was done.
    rows
        the place of the round that each belongs to.
    """

    times: Floats
    arrivals: Floats
    rows: NDArray[np.intp]


class LateAnswers(Kind):
    """Late answers one after another, in a share of rounds: one of four forms.

    longest_streak
        most late answers in a row.
    at_most, out_of
        most late answers in any so many consecutive ones.
    ``warnings``
        most stretches of late answers in a round; each is a warning.
    ``errors``, ``error_after``
        most stretches in a round that last longer than ``error_after`` from when the first answer was due until one is on time.

    A streak goes on from round to round of one visit, or of one stream under load, and it counts, in its whole length, in every round it
    reaches; so does a window of n answers, and a stretch that is a warning or an error. Where no answer of a whole visit is on time,
    nothing tells how long that would have gone on: its rounds keep no bound.
    """

    kind: Literal["late_answers"] = "late_answers"
    threshold: Threshold
    clock: ClockName | None = None
    longest_streak: Count | None = None
    at_most: Count | None = None
    out_of: Positive | None = None
    warnings: Count | None = None
    errors: Count | None = None
    error_after: Time | None = None
    share_of_rounds: Share = 0.9

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = [
            name for name in ("longest_streak", "at_most", "out_of", "warnings", "errors", "error_after") if getattr(self, name) is not None
        ]
        if given not in (["longest_streak"], ["at_most", "out_of"], ["warnings"], ["errors", "error_after"]):
            raise ValueError("exactly one of longest_streak, at_most with out_of, warnings, errors with error_after must be given")
        if self.out_of is not None and self.most >= self.out_of:
            raise ValueError(f"at_most={self.at_most} of out_of={self.out_of} allows everything; lower at_most")
        return self

    @property
    def most(self) -> int:
        return next(most for most in (self.longest_streak, self.at_most, self.warnings, self.errors) if most is not None)

    def judge(self, system: Subject, error: float) -> Outcome:
        clock = system.clock(self.clock)
        threshold = system.threshold(self.threshold, clock)
        name, read = self._form()
        collect = np.maximum.at if self._in_a_row else np.add.at

        def values(data: TrialData) -> Floats:
            stretches = list(_stretches(data, clock))
            self._check_room(data.inferences[clock].shape[1], max(stretch.times.size for stretch in stretches))
            found = np.zeros(len(data.times[clock]))
            for stretch in stretches:
                late = stretch.times > threshold.ns
                collect(found, stretch.rows, read(stretch, late, threshold.ns))
                if late.all():
                    found[stretch.rows] = np.inf
            return found

        return _of_counts(system, error, f"{name} at {threshold.label} ({clock})", values, self.most, self.share_of_rounds, "any number")

    def need(self, plan: Prospect) -> Need:
        if plan.samples:
            answers = math.ceil(plan.answers)
            self._check_room(answers, None if plan.per_visit is None else plan.per_visit * answers)
        # A streak or window that reaches into the next round breaks both together.
        reach = (self.longest_streak or 0) + 2 * (self.out_of or 0)
        return plan.share_of_rounds(self.share_of_rounds, 1 + reach * plan.trial.fixed_batch / max(plan.samples, 1))

    @property
    def _in_a_row(self) -> bool:
        return self.longest_streak is not None or self.out_of is not None

    def _check_room(self, answers: int, longest: int | None) -> None:
        """Raise NotShown where answers are too few to have more late ones one after another than are allowed.

        ``answers`` are those of a round, ``longest`` how many follow one another at most, None where that is not known.
        """
        if self._in_a_row and longest is not None and longest <= self.most:
            raise NotShown(
                f"a visit or stream has {longest} answers, and {self.most} late ones are allowed: ask for less, or measure longer visits "
                "(measurement.visit_rounds) or streams (load.stream_s)"
            )
        if not self._in_a_row and (room := -(-answers // 2)) <= self.most:
            raise NotShown(f"a round has room for {room} stretches of late answers, and {self.most} are allowed: ask for less")

    def _form(self) -> tuple[str, Callable[[Stretch, NDArray[np.bool_], int], Counts]]:
        """Return how a form is called, and what counts at each answer of a stretch, given which are late and the threshold in ns."""
        if self.longest_streak is not None:
            return "late answers in a row", lambda _, late, __: streak_of_each(late)
        if self.out_of is not None:
            length = self.out_of
            return f"late answers in {length} one after another", lambda _, late, __: worst_window_of_each(late, length)
        if self.error_after is None:
            return "stretches of late answers in a round", lambda stretch, late, _: _reached(stretch, late)
        return f"stretches without an answer for {milliseconds(self.error_after)} in a round", partial(_errors, longest_ns=self.error_after)


class Answers(Kind):
    """Samples whose answer changes: from a process's first round to later ones, or from one system of a model to another."""

    kind: Literal["answers"] = "answers"
    between: Literal["rounds", "systems"]
    at_most: Count = 0
    share_of_rounds: Share = 0.9

    def judge(self, system: Subject, error: float) -> Outcome:
        if self.between == "systems":
            return self._between_systems(system)

        def changed(data: TrialData) -> Floats:
            column = data.evidence.get("different_answers", np.full(len(data.times[data.clock]), np.nan))
            if unknown := int(np.isnan(column).sum()):
                rounds = "no round says" if unknown == column.size else f"{unknown} of {column.size} rounds do not say"
                raise system.lacks(f"{rounds} how many of its answers changed", "measure again, with this version")
            return column

        return _of_counts(system, error, "samples answered otherwise than in the first round", changed, self.at_most, self.share_of_rounds)

    def _between_systems(self, system: Subject) -> Outcome:
        """Return the finding on a count that is exact: it speaks of these samples and of the answers stored for them."""
        counts, compared = [], 0
        for each in system.measured:
            if each.data is None or each.group is None:
                continue
            model = each.record.trial.model.name
            others = {data.record.match_key for data in each.group.trials if data.record.trial.model.name == model}
            compared += len(others - {each.record.match_key})
            counts += [found.samples for found in each.group.disagreements if found.other == each.record.trial_id]
        if not compared:
            raise NotShown("no other system of this model and data was measured in the same campaign: measure at least two")
        most, samples = max(counts, default=0), len(system.trials[0].references)
        return Outcome(
            "met" if most <= self.at_most else "not met",
            f"answers other than the first system's: {most} of {samples} samples, exactly, asked: at most {self.at_most}",
            figure=float(most),
            low=float(most),
            high=float(most),
            asked=float(self.at_most),
            unit="samples",
            method="count",
        )

    def need(self, plan: Prospect) -> Need:
        if self.between == "rounds":
            return plan.share_of_rounds(self.share_of_rounds)
        model = plan.trial.model.name
        if len({other.match_key for other in plan.trials if other.trial.model.name == model}) < 2:
            raise NotShown(f"{model} is planned on one system alone: plan another to compare with")
        return Need()


def _of_counts(
    system: Subject, error: float, name: str, counts: Callable[[TrialData], Floats], most: int, share: float, endless: str = "any time"
) -> Outcome:
    """Return the finding on counts of each round, which are from 0 on: a certificate takes what is positive."""
    return _finding(system, error, name, lambda data: counts(data) + 1, most + 1.0, share, lambda value: f"{value - 1:.0f}", endless)


def _finding(
    system: Subject,
    error: float,
    name: str,
    values: Callable[[TrialData], Floats],
    bound: float,
    share: float,
    words: Callable[[float], str],
    endless: str = "any time",
) -> Outcome:
    """Return the finding on what a share of rounds must keep: of each a value, [R], positive and at most ``bound``.

    ``words`` writes a value, ``endless`` is what one without end is called.
    """
    found = []
    for data in system.trials:
        rounds = rounds_of_certificate(data)
        own_error = error_of(data, error, data.record.trial.measurement.certify_rounds, rounds - 1)
        of_rounds = values(data)
        found.append((rounds_keep(of_rounds, bound, data.visits, rounds, late_share=round(1 - share, 12), error=own_error), of_rounds))
    kept, of_kept = worst_share(found)
    observed = float(np.sort(of_kept[: kept.units])[math.ceil(share * kept.units - 1e-9) - 1])
    seen = words(observed) if math.isfinite(observed) else endless
    certified = words(kept.certified) if kept.certified is not None and math.isfinite(kept.certified) else ""
    return Outcome(
        kept.verdict,
        say("rounds", name=name, seen=seen, share=share, kept=kept, certified=certified, bound=words(bound), processes=len(found)),
        say("missing", kept=kept, unit="round", fixed=max(map(rounds_of_certificate, system.trials))),
        figure=kept.figure,
        low=kept.low,
        high=kept.high,
        asked=1 - share,
        unit="share of rounds that break it",
        more_rounds=kept.more,
        method="certificate",
    )


def _stretches(data: TrialData, clock: Clock) -> Iterator[Stretch]:
    """Yield what followed one another: the streams of a trial under load, the visits of one in a closed loop, else single rounds."""
    if data.arrivals is not None and data.streams is not None:
        for stream in np.unique(data.streams):
            rows = np.flatnonzero(data.streams == stream)
            arrivals = data.arrivals[rows].ravel()
            order = np.argsort(arrivals, kind="stable")[: np.count_nonzero(np.isfinite(arrivals))]  # imported rounds may lack samples
            of_row = np.repeat(rows, data.arrivals.shape[1])
            yield Stretch(data.times[clock][rows].ravel()[order], arrivals[order], of_row[order])
        return
    every = np.arange(len(data.times[clock]))
    stored = data.evidence.get("visit")
    visits = every if stored is None or not np.isfinite(stored).all() else stored
    processes = data.evidence.get("process", np.zeros(every.size))
    begins = np.flatnonzero(np.append(True, (np.diff(visits) != 0) | (np.diff(processes) != 0)))
    runs = {of: [data.as_run(of, row) for row in range(every.size)] for of in {clock, PRIMARY_CLOCK}}
    for rows in np.split(every, begins[1:]):
        times, whole = (np.concatenate(runs[of][rows[0] : rows[-1] + 1]) for of in (clock, PRIMARY_CLOCK))
        # The next answer was asked for when this one was done, whatever the clock that is judged counts.
        took = np.where(np.isfinite(whole), whole, 0.0)
        arrivals = np.cumsum(took) - took
        yield Stretch(times, arrivals, np.repeat(rows, times.size // rows.size))


def _reached(stretch: Stretch, late: NDArray[np.bool_]) -> Counts:
    """Return 1 at the first answer that a stretch of late answers has in each round that it reaches, else 0, [n]."""
    first_of_round = np.concatenate([[True], np.diff(stretch.rows) != 0])
    goes_on = np.concatenate([[False], late[:-1]]) & ~first_of_round
    return np.asarray(late & ~goes_on, dtype=np.int64)


def _errors(stretch: Stretch, late: NDArray[np.bool_], threshold_ns: int, longest_ns: int) -> Counts:
    """Return 1 as `_reached` does where a stretch of late answers lasts longer than a system can bear, else 0, [n].

    An answer that never came took an unknown time, so that its stretch counts as too long.
    """
    due = (stretch.arrivals + threshold_ns).astype(np.int64)
    answered = (stretch.arrivals + np.where(late, 0.0, stretch.times)).astype(np.int64)
    begins = np.diff(np.concatenate([[False], late]).astype(np.int64)) == 1
    places = np.flatnonzero(begins)
    streaks, lasted_ns = silences(late, due, answered)
    never = [bool(np.isinf(stretch.times[at : at + answers]).any()) for at, answers in zip(places, streaks, strict=True)]
    too_long = np.concatenate([[False], (lasted_ns > longest_ns) | np.array(never, dtype=np.bool_)])
    return _reached(stretch, late & too_long[np.cumsum(begins)])
