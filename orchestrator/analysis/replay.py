"""What tail quality would be if samples arrived by a schedule: the answer of stored closed-loop times, with rules for late answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.held_answers import Answered, held_mean
from orchestrator.analysis.load import ENOUGH_STREAMS, FEW_STREAMS, OVERLOADED
from orchestrator.analysis.quality import (
    JudgedMean,
    JudgedSignedMean,
    NothingToKeep,
    better_of_each,
    ideal_quality,
    intervals,
    judge,
    scale_of,
)
from orchestrator.analysis.replay_beside import NOTHING, Beside, beside, under_load
from orchestrator.analysis.replay_streams import Arrivals, Played, Rule, play, schedule_of, services_of, streams_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.metrics import Answers, Judged
from orchestrator.stats.latency import percentile_inverted_cdf, percentiles_inverted_cdf
from orchestrator.stats.queueing import SECOND_NS, backlog_grows
from orchestrator.stats.slow_rounds import late_in_windows, silences, staleness
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK
from orchestrator.storage.stored_form import finite
from orchestrator.storage.typed_rows import Int32, Int64, Labels, Parameters, bridged
from orchestrator.subject.schedule import refuse_cut_groups

Floats = NDArray[np.float64]
Window = tuple[int, int]


class Kept(Labels):
    """What was asked of a trial, and what it keeps of its quality."""

    metric: Annotated[str, "the primary metric"]
    law: Annotated[str, "of arrivals: `periodic`, `poisson`, `gamma` or `trace`"]
    group: Annotated[Int32, "samples that arrive at once"]
    burstiness: Annotated[float | None, "shape of the gamma law; null of others"]
    rate_per_s: Annotated[float, "samples a second"]
    policy: Annotated[str, "what is served next: `queue`, `newest` or `skip_late`"]
    queue_limit: Annotated[Int32 | None, "an arrival that finds so many waiting is dropped; null for no limit"]
    seed: Annotated[Int64, "of the arrivals and of the order of samples"]
    utilisation: Annotated[float, "rate x mean total time of the trial, closed loop"]
    threshold: Annotated[str, "label of the deadline"]
    threshold_ns: Annotated[Int64, "an answer is on time when its response, from arrival to answer, is at most this"]
    threshold_origin: Annotated[str, "`absolute` or `reference`"]
    threshold_reference: Annotated[str | None, "the trial whose percentile it is, where the origin is `reference`"]
    ideal: Annotated[float, "quality without a threshold"]
    closed_mean: Annotated[float, "tail quality of the same rounds in the closed loop they were measured in, on the total clock"]
    mean: Annotated[float, "tail quality on the response clock, late answers counted as failed: a mean over streams"]
    interval_low: Annotated[float, "lower limit of its 95 % interval over streams"]
    interval_high: Annotated[float, "upper limit"]
    interval_method: Annotated[str, "how it was found, over streams; see [statistics.md](statistics.md)"]
    interval_parameters: Annotated[Parameters, "what the method was given and estimated, numbers by name"]
    fallback: Annotated[str | None, "the trial that answers where this one is late; null where there is none"]
    fallback_mean: Annotated[float | None, "tail quality of both together"]
    fallback_low: Annotated[float | None, "lower limit of its 95 % interval over streams"]
    fallback_high: Annotated[float | None, "upper limit"]
    streams: Annotated[Int32, "how many; the unit of intervals"]
    rounds: Annotated[Int32, "stored rounds in them"]


class Lateness(TypedDict):
    """How late answers are, and how they follow each other."""

    arrivals: Annotated[Int64, "samples that arrived, ramps left out, as from all that follows"]
    late: Annotated[float, "share of answers that were late or never came"]
    dropped: Annotated[float, "share of samples that were never started"]
    mean_wait_ns: Annotated[float | None, "from arrival to start, of those that were; null where all were dropped"]
    response_p50_ns: Annotated[float | None, "from arrival to answer; null where that many answers never came"]
    response_p99_ns: Annotated[float | None, "the same"]
    staleness_mean: Annotated[float, "age of the last answer on time, in arrivals, when an answer is due: 0 where that one is on time"]
    staleness_p99: Annotated[Int64, "the same"]
    longest_streak: Annotated[Int64, "most late answers in a row"]
    window_late: Annotated[Int32 | None, "k of the k-of-n rule; null where none was asked for"]
    window_length: Annotated[Int32 | None, "its n"]
    windows_broken: Annotated[float | None, "share of the windows of n consecutive answers of which at least k are late"]
    warnings: Annotated[Int64, "stretches of late answers, one alone included"]
    errors: Annotated[Int64 | None, "those that lasted longer than `error_after_ns`; null where none was asked for"]
    error_after_ns: Annotated[Int64 | None, "how long there may be no answer"]
    longest_silence_ns: Annotated[Int64, "from when the first late answer was due to the next one on time, or to the stream's end"]


class ReplayRow(Kept, Lateness, Beside):
    """One row per trial and rate."""

    flags: Annotated[list[str], "what a reader must know of the figures"]


REPLAY = bridged(
    ReplayRow,
    ("interval_low", "mean", "interval_high"),
    ("fallback_low", "fallback_mean", "fallback_high"),
    ("measured_low", "measured_mean", "measured_high"),
)


@dataclass(frozen=True)
class Question:
    """What is asked of stored times.

    rates_per_s
        samples a second, one answer for each.
    fallback
        the trial that answers beside, on a machine of its own, where the big model is late.
    window
        k and n of the k-of-n rule.
    error_after_ns
        how long there may be no answer.
    """

    law: Arrivals
    rates_per_s: Sequence[float]
    rule: Rule
    fallback: TrialData | None = None
    window: Window | None = None
    error_after_ns: int | None = None


@dataclass(frozen=True)
class _Streams:
    """All streams at one rate, and which rounds of the fallback's stand beside them."""

    played: Sequence[Played]
    beside: Sequence[Played]
    rounds: NDArray[np.intp]

    def means(self, gains: Floats) -> Floats:
        """Return the mean over the rounds of each stream, [T], of what each round gains, [r]."""
        sizes = np.array([one.schedule.rounds for one in self.played])
        found: Floats = np.add.reduceat(gains, np.cumsum(sizes) - sizes) / sizes
        return found


def replay_rows(
    data: TrialData, question: Question, deadline: Threshold, flags: Sequence[str], others: Sequence[TrialData] = ()
) -> Iterator[ReplayRow]:
    """Yield one row per rate; none where no round is complete, or there is nothing to be right about.

    Where one of ``others`` is the same trial under the same load, what it has measured stands beside.
    """
    rounds, services, judged = streams_of(data), services_of(data), data.judged(data.metric)
    if not rounds or math.isnan(judged.ideal()):
        return
    scale = scale_of(judged)
    total = data.times[PRIMARY_CLOCK][np.concatenate(rounds)]
    timed = total[np.isfinite(total)]
    service_ns = float(timed.mean()) if timed.size else 1.0
    closed = float(judged.curve(total, [deadline.ns])[0].mean())
    at_rates = [_at(data, services, rounds, question, rate, deadline.ns) for rate in question.rates_per_s]
    alone = np.array([at.means(judged.curve(_responses(at.played), [deadline.ns])[0]) for at in at_rates])
    intervals_alone = intervals(judged, alone, _answers_at_stake(data, judged, rounds))
    together = intervals_together = None
    if question.fallback is not None:
        together = np.array([at.means(_gains_together(data, question.fallback, at, deadline.ns)) for at in at_rates])
        either = better_of_each(judged, question.fallback.judged(data.metric))
        intervals_together = intervals(either, together, _answers_at_stake(data, either, rounds))
    for number, (rate, at) in enumerate(zip(question.rates_per_s, at_rates, strict=True)):
        found = intervals_alone[number]
        low, high = scale.shown_limits(found.low, found.high)
        both_low, both_high = (
            (None, None)
            if intervals_together is None
            else scale.shown_limits(intervals_together[number].low, intervals_together[number].high)
        )
        never_drops = question.rule.queue_limit is None and question.rule.policy == "queue"
        grows = never_drops and (rate * service_ns >= SECOND_NS or _grows(at, service_ns))
        measured = under_load(data, question.law, question.rule, rate, deadline, others)
        own = [FEW_STREAMS] * (len(rounds) < ENOUGH_STREAMS) + [OVERLOADED] * grows
        yield {
            **data.record.labels(),
            "metric": data.metric,
            "law": question.law.law,
            "group": question.law.group,
            "burstiness": question.law.burstiness if question.law.law == "gamma" else None,
            "rate_per_s": rate,
            "policy": question.rule.policy,
            "queue_limit": question.rule.queue_limit,
            "seed": question.law.seed,
            "utilisation": rate * service_ns / SECOND_NS,
            **deadline.columns(),
            "ideal": ideal_quality(judged),
            "closed_mean": float(scale.shown(closed)),
            "mean": float(scale.shown(float(alone[number].mean()))),
            "interval_low": low,
            "interval_high": high,
            "interval_method": found.method,
            "interval_parameters": {"confidence": found.confidence, **found.parameters},
            "fallback": None if question.fallback is None else question.fallback.trial_id,
            "fallback_mean": None if together is None else float(scale.shown(float(together[number].mean()))),
            "fallback_low": both_low,
            "fallback_high": both_high,
            "streams": len(rounds),
            "rounds": int(at.rounds.size),
            **_lateness(at.played, question, deadline.ns),
            **(NOTHING if measured is None else beside(data, measured, deadline, _held(data, at.played, deadline.ns))),
            "flags": [*flags, *own],
        }


def _answers_at_stake(data: TrialData, judged: Judged, rounds: Sequence[NDArray[np.intp]]) -> float:
    """Return how many answers a stream of so many rounds can lose."""
    return data.answers_at_stake(judged) * float(np.mean([of_stream.size for of_stream in rounds]))


def _at(
    data: TrialData,
    services: NDArray[np.int64],
    rounds: Sequence[NDArray[np.intp]],
    question: Question,
    rate_per_s: float,
    deadline_ns: int,
) -> _Streams:
    """Return the streams of a trial at one rate, and of the fallback under the same arrivals."""
    samples = len(data.references)
    schedules = [schedule_of(question.law, rate_per_s, own.size, samples, number) for number, own in enumerate(rounds)]
    refuse_cut_groups(question.law.group, min(schedule.moments_ns.size for schedule in schedules), "--group")
    played = [play(data, services, own, schedule, question.rule, deadline_ns) for own, schedule in zip(rounds, schedules, strict=True)]
    other, beside = question.fallback, []
    if other is not None:
        of_other, whole = services_of(other), np.concatenate(streams_of(other))
        first = 0
        for schedule in schedules:
            own = np.take(whole, np.arange(first, first + schedule.rounds), mode="wrap")
            beside.append(play(other, of_other, own, schedule, question.rule, deadline_ns))
            first += schedule.rounds
    return _Streams(played, beside, np.concatenate(rounds))


def _responses(played: Sequence[Played]) -> Floats:
    """Return the responses of all streams by round and sample, [r, S]."""
    return np.concatenate([one.by_round() for one in played])


def _gains_together(data: TrialData, other: TrialData, at: _Streams, deadline_ns: int) -> Floats:
    """Return what each round gains, [r], where the fallback's answer counts for a sample that is late and which it answers on time."""
    own, beside = _responses(at.played), _responses(at.beside)
    late = own > deadline_ns
    judged, judged_other = data.judged(data.metric), other.judged(data.metric)
    means = JudgedMean | JudgedSignedMean
    if isinstance(judged, means) and isinstance(judged_other, means) and scale_of(judged) == scale_of(judged_other):
        filled = np.where(late, beside, np.inf)
        both: Floats = judged.curve(own, [deadline_ns])[0] + judged_other.curve(filled, [deadline_ns])[0]
        return both
    times = np.where(late & (beside > deadline_ns), np.inf, 1.0)
    return np.array([_gain_of_round(data, other, *one) for one in zip(late, times, strict=True)])


def _gain_of_round(data: TrialData, other: TrialData, late: NDArray[np.bool_], times: Floats) -> float:
    """Return what a round gains whose late answers are another trial's, [S]; by a metric that must see them all at once."""
    mixed = [theirs if is_late else own for is_late, own, theirs in zip(late, data.predictions, other.predictions, strict=True)]
    try:
        judged = judge(data.metric, Answers(mixed, data.references, data.slices))
    except NothingToKeep:
        return 0.0
    quality = scale_of(judged).shown(float(judged.curve(times[np.newaxis], [1.0])[0, 0]))
    return scale_of(data.judged(data.metric)).gained(quality)


def _grows(at: _Streams, service_ns: float) -> bool:
    """Return whether the backlog grows through the streams."""
    kept = [(one.schedule.moments_ns[one.after_ramp], one.wait_ns[one.after_ramp]) for one in at.played]
    return backlog_grows(kept, service_ns)


def _held(data: TrialData, played: Sequence[Played], deadline_ns: int) -> float | None:
    """Return quality with the last answer held, of streams as they would have run."""
    return held_mean(data, [Answered(one.schedule.samples, one.response_ns > deadline_ns, one.after_ramp) for one in played])


def _lateness(played: Sequence[Played], question: Question, deadline_ns: int) -> Lateness:
    waits = np.concatenate([one.wait_ns[one.after_ramp] for one in played])
    responses = np.concatenate([one.response_ns[one.after_ramp] for one in played])
    started = waits >= 0
    p50, p99 = map(finite, percentiles_inverted_cdf(responses, [50, 99]))
    ages, broken, windows, answers, lasted = [], 0, 0, [], []
    for one in played:
        late, kept = one.response_ns > deadline_ns, one.after_ramp
        due = one.schedule.moments_ns + deadline_ns
        answered = one.schedule.moments_ns + np.where(late, 0, one.response_ns).astype(np.int64)
        ages.append(staleness(late)[kept])
        quiet = silences(late[kept], due[kept], answered[kept])
        answers.append(quiet.answers)
        lasted.append(quiet.lasted_ns)
        if question.window is not None:
            late_of_each = late_in_windows(late[kept], question.window[1])
            broken += int((late_of_each >= question.window[0]).sum())
            windows += late_of_each.size
    age, streaks, silent = np.concatenate(ages), np.concatenate(answers), np.concatenate(lasted)
    limit = question.error_after_ns
    k, n = (None, None) if question.window is None else question.window
    return {
        "arrivals": responses.size,
        "late": float((responses > deadline_ns).mean()),
        "dropped": float((~started).mean()),
        "mean_wait_ns": float(waits[started].mean()) if started.any() else None,
        "response_p50_ns": p50,
        "response_p99_ns": p99,
        "staleness_mean": float(age.mean()),
        "staleness_p99": int(percentile_inverted_cdf(age, 99)),
        "longest_streak": int(streaks.max(initial=0)),
        "window_late": k,
        "window_length": n,
        "windows_broken": broken / windows if windows else None,
        "warnings": streaks.size,
        "errors": None if limit is None else int((silent > limit).sum()),
        "error_after_ns": limit,
        "longest_silence_ns": int(silent.max(initial=0)),
    }
