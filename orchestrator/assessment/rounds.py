"""What a share of rounds must keep: deadlines, few late answers one after another, answers that stay as they are."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.tables.deadline import rounds_of_certificate
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.case import Case, NotShown
from orchestrator.assessment.judged import judged_part
from orchestrator.assessment.requirements import AnswersAsked, DeadlineAsked, LateAnswersAsked
from orchestrator.assessment.verdicts import Finding, worst
from orchestrator.configuration.fields import MOST_ROUNDS
from orchestrator.report.text import milliseconds
from orchestrator.stats.requirements import Shown, rounds_keep
from orchestrator.stats.slow_rounds import silences, streak_of_each, worst_window_of_each
from orchestrator.stats.tail_quality import mean_deadlines, round_deadlines
from orchestrator.stats.times import PRIMARY_CLOCK, Clock

Floats = NDArray[np.float64]
Reading = Callable[[TrialData], Floats]
"""What every round of a trial has, [R]; the smaller the better, and positive."""


def deadline(case: Case, asked: DeadlineAsked) -> Finding:
    """Return whether a share of rounds keeps a share of ideal quality from a time bound on."""
    return keeps_quality(
        case, case.clock(asked.clock), asked.within, asked.share_of_rounds, at_least=asked.keep, of="ideal", metric=asked.metric
    )


def keeps_quality(
    case: Case,
    clock: Clock,
    within_ns: int,
    share: float,
    *,
    at_least: float,
    of: Literal["ideal", "absolute"],
    metric: str | None = None,
    slice_name: str = "all",
) -> Finding:
    """Return whether a share of rounds keeps quality at a time bound and all longer ones; parameters as of `judged_part`."""

    def deadlines(data: TrialData) -> Floats:
        members, judged, floor = judged_part(data, metric, slice_name, at_least, of)
        times = data.times[clock] if members.all() else data.times[clock][:, members]
        if isinstance(judged, JudgedMean):
            return np.asarray(mean_deadlines(judged.scores, times, [floor])[0])
        return round_deadlines(judged.curve, times, floor)

    kept = f"{at_least:.6g} of ideal quality" if of == "ideal" else f"a quality of {at_least:.6g}"
    part = "" if slice_name == "all" else f" of {slice_name}"
    asks = Asks(f"keep {kept}{part} ({clock})", float(within_ns), milliseconds)
    return finding_of_rounds(case, deadlines, asks, share)


def late_answers(case: Case, asked: LateAnswersAsked) -> Finding:
    """Return whether a share of rounds has few enough late answers one after another.

    A streak goes on from round to round of one visit, or of one stream under load, and it counts, in its whole length, in every round it
    reaches; so does a window of n answers, and a stretch that is a warning or an error. Where no answer of a whole visit is on time,
    nothing tells how long that would have gone on: its rounds keep no bound.
    """
    clock = case.clock(asked.clock)
    threshold = case.threshold(asked.threshold, clock)
    name, most, read = _form(asked)
    in_a_row = asked.longest_streak is not None or asked.out_of is not None
    collect = np.maximum.at if in_a_row else np.add.at
    followed = {id(data): list(stretches(data, clock)) for data in case.trials}
    for data in case.trials:
        if why := too_little_room(asked, data.inferences[clock].shape[1], max(stretch.times.size for stretch in followed[id(data)])):
            raise NotShown(why)

    def values(data: TrialData) -> Floats:
        found = np.zeros(len(data.times[clock]))
        for stretch in followed[id(data)]:
            late = stretch.times > threshold.ns
            collect(found, stretch.rows, read(stretch, late, threshold.ns))
            if late.all():
                found[stretch.rows] = np.inf
        return found + 1

    asks = Asks(f"{name} at {threshold.label} ({clock})", most + 1.0, lambda value: f"{value - 1:.0f}", "any number")
    return finding_of_rounds(case, values, asks, asked.share_of_rounds)


def too_little_room(asked: LateAnswersAsked, answers: int, longest: int | None) -> str:
    """Return why answers are too few to have more late ones one after another than are allowed; empty where they are not.

    ``answers`` are those of a round, ``longest`` how many follow one another at most, None where that is not known.
    """
    most = _form(asked)[1]
    if asked.longest_streak is not None or asked.out_of is not None:
        if longest is not None and longest <= most:
            return (
                f"a visit or stream has {longest} answers, and {most:.0f} late ones are allowed: ask for less, or measure longer visits "
                "(measurement.visit_rounds) or streams (load.stream_s)"
            )
    elif (room := -(-answers // 2)) <= most:
        return f"a round has room for {room} stretches of late answers, and {most:.0f} are allowed: ask for less"
    return ""


def answers_between_rounds(case: Case, asked: AnswersAsked) -> Finding:
    """Return whether a share of rounds answers few enough samples otherwise than the first round does."""

    def changed(data: TrialData) -> Floats:
        column = data.evidence.get("different_answers", np.full(len(data.times[data.clock]), np.nan))
        if unknown := int(np.isnan(column).sum()):
            rounds = "no round says" if unknown == column.size else f"{unknown} of {column.size} rounds do not say"
            raise case.lacks(f"{rounds} how many of its answers changed", "measure again, with this version")
        return column + 1

    asks = Asks("samples answered otherwise than in the first round", asked.at_most + 1.0, lambda value: f"{value - 1:.0f}")
    return finding_of_rounds(case, changed, asks, asked.share_of_rounds)


@dataclass(frozen=True)
class Asks:
    """What rounds are held to.

    bound
        the largest value that keeps it.
    words
        writes a value.
    endless
        what a value without end is called.
    """

    name: str
    bound: float
    words: Callable[[float], str]
    endless: str = "any time"


def finding_of_rounds(case: Case, values: Reading, asks: Asks, share: float) -> Finding:
    """Return the finding on what a share of rounds must keep: every process alone must keep it, and the worst one speaks for all."""
    found = []
    for data in case.trials:
        rounds = rounds_of_certificate(data)
        error = error_of(data, case.error, data.record.trial.measurement.certify_rounds, rounds - 1)
        of_rounds = values(data)
        found.append((rounds_keep(of_rounds, asks.bound, data.visits, rounds, late_share=round(1 - share, 12), error=error), of_rounds))
    verdict = worst(kept.verdict for kept, _ in found)
    kept, of_kept = max((each for each in found if each[0].verdict == verdict), key=lambda each: each[0].figure)
    observed = float(np.sort(of_kept[: kept.units])[math.ceil(share * kept.units - 1e-9) - 1])
    many = f" in the worst of {len(found)} processes" if len(found) > 1 else ""
    certified = "" if kept.certified is None or kept.certified == math.inf else f", certified {asks.words(kept.certified)}"
    seen = asks.words(observed) if math.isfinite(observed) else asks.endless
    said = (
        f"{asks.name}: at most {seen} in {share:.6g} of {kept.units} rounds{many}{certified}; {broken(kept)} "
        f"{'round breaks' if broken(kept) == 1 else 'rounds break'} the bound, of rounds to come a share in [{kept.low:.3f}, "
        f"{kept.high:.3f}]; asked: at most {asks.words(asks.bound)} in at least {share:.6g} of rounds"
    )
    return Finding(
        kept.verdict,
        said,
        missing_rounds(kept),
        figure=kept.figure,
        low=kept.low,
        high=kept.high,
        asked=1 - share,
        unit="share of rounds that break it",
        more_rounds=kept.more,
        method="certificate",
    )


def broken(kept: Shown) -> int:
    """Return how many rounds, visits or processes break the bound."""
    return round(kept.figure * kept.units)


def missing_rounds(kept: Shown) -> str:
    """Return what is missing to a verdict, in words; empty where it was shown."""
    if kept.verdict != "not shown":
        return ""
    more = f": about {kept.more:,} more {'round' if kept.more == 1 else 'rounds'}" if kept.more else ": more of the same would not show it"
    return f"{kept.reason}{more}"


def error_of(data: TrialData, error: float, least: int = 0, most: int = MOST_ROUNDS) -> float:
    """Return the error that a verdict may risk: half for each look at so many rounds before the trial was extended."""
    looks = sum(least <= look <= most for look in data.record.looks)
    return float(error / 2**looks)


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


def stretches(data: TrialData, clock: Clock) -> Iterator[Stretch]:
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


Read = Callable[[Stretch, NDArray[np.bool_], int], NDArray[np.int64]]
"""From a stretch, which of its answers are late and their threshold in ns: what is counted at each of them, [n]."""


def _form(asked: LateAnswersAsked) -> tuple[str, float, Read]:
    """Return how a form is called, the most that it allows, and what reads it."""
    if asked.longest_streak is not None:
        return "late answers in a row", asked.longest_streak, lambda _, late, __: streak_of_each(late)
    if asked.out_of is not None:
        length = asked.out_of
        return f"late answers in {length} one after another", asked.at_most or 0, lambda _, late, __: worst_window_of_each(late, length)
    if asked.warnings is not None:
        return "stretches of late answers in a round", asked.warnings, lambda stretch, late, _: _reached(stretch, late)
    longest = asked.error_after or 0
    name = f"stretches without an answer for {milliseconds(longest)} in a round"
    return name, asked.errors or 0, lambda stretch, late, bound: _errors(stretch, late, bound, longest)


def _reached(stretch: Stretch, late: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return 1 at the first answer that a stretch of late answers has in each round that it reaches, else 0, [n]."""
    first_of_round = np.concatenate([[True], np.diff(stretch.rows) != 0])
    goes_on = np.concatenate([[False], late[:-1]]) & ~first_of_round
    return np.asarray(late & ~goes_on, dtype=np.int64)


def _errors(stretch: Stretch, late: NDArray[np.bool_], threshold_ns: int, longest_ns: int) -> NDArray[np.int64]:
    """Return 1 as `_reached` does where a stretch of late answers lasts longer than a system can bear, else 0, [n].

    An answer that never came took an unknown time, so that its stretch counts as too long.
    """
    due = (stretch.arrivals + threshold_ns).astype(np.int64)
    answered = (stretch.arrivals + np.where(late, 0.0, stretch.times)).astype(np.int64)
    begins = np.diff(np.concatenate([[False], late]).astype(np.int64)) == 1
    places = np.flatnonzero(begins)
    found = silences(late, due, answered)
    never = [bool(np.isinf(stretch.times[at : at + answers]).any()) for at, answers in zip(places, found.answers, strict=True)]
    too_long = np.concatenate([[False], (found.lasted_ns > longest_ns) | np.array(never, dtype=np.bool_)])
    return _reached(stretch, late & too_long[np.cumsum(begins)])
