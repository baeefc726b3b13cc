"""What tail quality would be if samples arrived by a schedule, from closed-loop times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.held_answers import Answered, answered_under_load, held_mean
from orchestrator.analysis.load import (
    ENOUGH_STREAMS,
    FEW_STREAMS,
    OVERLOADED,
    found_idle,
    inferences_of,
    served_streams,
)
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
from orchestrator.analysis.replay_streams import (
    Arrivals,
    Floats,
    Played,
    Rule,
    play,
    schedule_of,
    services_of,
    streams_of,
    under_load,
)
from orchestrator.analysis.tail_quality import Figure
from orchestrator.analysis.trial_data import TrialData
from orchestrator.metrics import Answers, Judged
from orchestrator.stats.latency import percentile_inverted_cdf, percentiles_inverted_cdf
from orchestrator.stats.queueing import SECOND_NS, backlog_grows
from orchestrator.stats.slow_rounds import late_in_windows, silences, staleness
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.storage.stored_form import finite
from orchestrator.storage.typed_rows import Int32, Int64, Labels, Parameters
from orchestrator.subject.schedule import refuse_cut_groups


class Kept(Labels):
    """What was asked of a trial, and what it keeps of its quality."""

    metric: Annotated[str, "the primary metric"]
    law: Annotated[str, "of arrivals: `periodic`, `poisson`, `gamma` or `trace`"]
    group: Annotated[Int32, "samples that arrive at once"]
    burstiness: Annotated[float | None, "shape of the gamma law; null of others"]
    rate_per_s: Annotated[float, "samples a second"]
    policy: Annotated[str, "what is served next: `queue`, `newest` or `skip_late`"]
    queue_limit: Annotated[
        Int32 | None, "an arrival that finds so many waiting is dropped; null for no limit"
    ]
    seed: Annotated[Int64, "of the arrivals and of the order of samples"]
    utilisation: Annotated[float, "rate x mean total time of the trial, closed loop"]
    threshold: Annotated[str, "label of the deadline"]
    threshold_ns: Annotated[
        Int64, "an answer is on time when its response, from arrival to answer, is at most this"
    ]
    threshold_origin: Annotated[str, "`absolute` or `reference`"]
    threshold_reference: Annotated[
        str | None, "the trial whose percentile it is, where the origin is `reference`"
    ]
    ideal: Annotated[float, "quality without a threshold"]
    closed_mean: Annotated[
        float,
        "tail quality of the same rounds in the closed loop they were measured in, on the total clock",
    ]
    mean: Annotated[
        float,
        "tail quality on the response clock, late answers counted as failed: a mean over streams",
    ]
    interval_low: Annotated[float, "lower limit of its 95 % interval over streams"]
    interval_high: Annotated[float, "upper limit"]
    interval_method: Annotated[
        str, "how it was found, over streams; see [statistics.md](statistics.md)"
    ]
    interval_parameters: Annotated[
        Parameters, "what the method was given and estimated, numbers by name"
    ]
    fallback: Annotated[
        str | None, "the trial that answers where this one is late; null where there is none"
    ]
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
    mean_wait_ns: Annotated[
        float | None, "from arrival to start, of those that were; null where all were dropped"
    ]
    response_p50_ns: Annotated[
        float | None, "from arrival to answer; null where that many answers never came"
    ]
    response_p99_ns: Annotated[float | None, "the same"]
    staleness_mean: Annotated[
        float,
        "age of the last answer on time, in arrivals, when an answer is due: 0 where that one is on time",
    ]
    staleness_p99: Annotated[Int64, "the same"]
    longest_streak: Annotated[Int64, "most late answers in a row"]
    window_late: Annotated[Int32 | None, "k of the k-of-n rule; null where none was asked for"]
    window_length: Annotated[Int32 | None, "its n"]
    windows_broken: Annotated[
        float | None, "share of the windows of n consecutive answers of which at least k are late"
    ]
    warnings: Annotated[Int64, "stretches of late answers, one alone included"]
    errors: Annotated[
        Int64 | None,
        "those that lasted longer than `error_after_ns`; null where none was asked for",
    ]
    error_after_ns: Annotated[Int64 | None, "how long there may be no answer"]
    longest_silence_ns: Annotated[
        Int64,
        "from when the first late answer was due to the next one on time, or to the stream's end",
    ]


class Beside(TypedDict):
    """What the same trial kept when it was measured under this load."""

    measured: Annotated[
        str | None, "the same trial as it was measured under this load; null where it was not"
    ]
    measured_mean: Annotated[
        float | None,
        "its tail quality on the response clock, as its report has it: a mean over rounds",
    ]
    measured_low: Annotated[float | None, "lower limit of its 95 % interval of rounds to come"]
    measured_high: Annotated[float | None, "upper limit"]
    service_change: Annotated[
        float | None, "its mean total time over that of the closed loop, less 1"
    ]
    idle_penalty: Annotated[
        float | None,
        "the penalty of idling: median total time of its samples that found the server idle, over the closed loop's, less 1",
    ]
    held_mean: Annotated[
        float | None,
        "replayed quality if the last answer on time is kept until the next; null if nothing was measured",
    ]
    measured_held: Annotated[
        float | None,
        "the same of what was measured; both null of a metric that is no mean over samples",
    ]


class ReplayRow(Kept, Lateness, Beside):
    """One row per trial and rate."""

    flags: Annotated[list[str], "what a reader must know of the figures"]


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
    window: tuple[int, int] | None = None
    error_after_ns: int | None = None


@dataclass(frozen=True)
class _Streams:
    """All streams at one rate, and the fallback's under the same arrivals."""

    played: Sequence[Played]
    beside: Sequence[Played]

    def means(self, gains: Floats) -> Floats:
        """Return the mean over the rounds of each stream, [T], of what each round gains, [r]."""
        sizes = np.array([one.schedule.rounds for one in self.played])
        found: Floats = np.add.reduceat(gains, np.cumsum(sizes) - sizes) / sizes
        return found


def replay_rows(
    data: TrialData,
    question: Question,
    deadline: Threshold,
    flags: Sequence[str],
    others: Sequence[TrialData] = (),
) -> Iterator[dict[str, Any]]:
    """Yield one row per rate; none where no round is complete, or nothing can be right.

    Where one of ``others`` is the same trial under the same load, what it measured stands beside.
    """
    rounds, judged = streams_of(data), data.judged(data.metric)
    law, rule, fallback = question.law, question.rule, question.fallback
    if not rounds or math.isnan(judged.ideal()):
        return
    total = data.times[PRIMARY_CLOCK][np.concatenate(rounds)]
    timed = total[np.isfinite(total)]
    service_ns = float(timed.mean()) if timed.size else 1.0
    closed = float(judged.curve(total, [deadline.ns])[0].mean())
    at_rates = [_at(data, rounds, question, rate, deadline.ns) for rate in question.rates_per_s]
    gains = [judged.curve(_responses(at.played), [deadline.ns])[0] for at in at_rates]
    alone = _figures(data, judged, at_rates, gains)
    together: list[dict[str, Any]] = [{} for _ in at_rates]
    if fallback is not None:
        either = better_of_each(judged, fallback.judged(data.metric))
        gains = [_gains_together(data, fallback, at, deadline.ns) for at in at_rates]
        together = _figures(data, either, at_rates, gains)
    for rate, at, own, both in zip(question.rates_per_s, at_rates, alone, together, strict=True):
        grows = rule.queue_limit is None and rule.policy == "queue"
        if grows and rate * service_ns < SECOND_NS:
            after = [(one, one.after_ramp) for one in at.played]
            waits = [(one.schedule.moments_ns[kept], one.wait_ns[kept]) for one, kept in after]
            grows = backlog_grows(waits, service_ns)
        measured = under_load(data, law, rule, rate, deadline, others)
        few = [FEW_STREAMS] * (len(rounds) < ENOUGH_STREAMS)
        yield {
            **data.record.labels(),
            "metric": data.metric,
            "law": law.law,
            "group": law.group,
            "burstiness": law.burstiness if law.law == "gamma" else None,
            "rate_per_s": rate,
            "policy": rule.policy,
            "queue_limit": rule.queue_limit,
            "seed": law.seed,
            "utilisation": rate * service_ns / SECOND_NS,
            **deadline.columns(),
            "ideal": ideal_quality(judged),
            "closed_mean": float(scale_of(judged).shown(closed)),
            **own,
            "fallback": None if fallback is None else fallback.trial_id,
            "fallback_mean": both.get("mean"),
            "fallback_low": both.get("interval_low"),
            "fallback_high": both.get("interval_high"),
            "streams": len(rounds),
            "rounds": total.shape[0],
            **_lateness(at.played, question, deadline.ns),
            **_beside(data, measured, at.played, deadline),
            "flags": [*flags, *few, *[OVERLOADED] * grows],
        }


def _figures(
    data: TrialData, judged: Judged, at_rates: Sequence[_Streams], gains: Sequence[Floats]
) -> list[dict[str, Any]]:
    """Return per rate the mean over streams, with its interval, of what each round gains, [r]."""
    scale, sizes = scale_of(judged), [one.schedule.rounds for one in at_rates[0].played]
    means = np.array([at.means(gain) for at, gain in zip(at_rates, gains, strict=True)])
    at_stake = data.answers_at_stake(judged) * float(np.mean(sizes))
    rows = []
    for mean, found in zip(means, intervals(judged, means, at_stake), strict=True):
        low, high = scale.shown_limits(found.low, found.high)
        rows.append(
            {
                "mean": float(scale.shown(float(mean.mean()))),
                "interval_low": low,
                "interval_high": high,
                "interval_method": found.method,
                "interval_parameters": {"confidence": found.confidence, **found.parameters},
            }
        )
    return rows


def _at(
    data: TrialData,
    rounds: Sequence[NDArray[np.intp]],
    question: Question,
    rate_per_s: float,
    deadline_ns: int,
) -> _Streams:
    """Return the streams of a trial at one rate, and of the fallback under the same arrivals."""
    law, rule, other = question.law, question.rule, question.fallback
    samples, services = len(data.references), services_of(data)
    schedules = [
        schedule_of(law, rate_per_s, own.size, samples, number) for number, own in enumerate(rounds)
    ]
    refuse_cut_groups(law.group, min(one.moments_ns.size for one in schedules), "--group")
    played = [
        play(data, services, own, schedule, rule, deadline_ns)
        for own, schedule in zip(rounds, schedules, strict=True)
    ]
    if other is None:
        return _Streams(played, ())
    of_other, whole = services_of(other), np.concatenate(streams_of(other))
    numbers = np.split(np.arange(sum(map(len, rounds))), np.cumsum([*map(len, rounds)])[:-1])
    beside = [
        play(other, of_other, np.take(whole, own, mode="wrap"), schedule, rule, deadline_ns)
        for own, schedule in zip(numbers, schedules, strict=True)
    ]
    return _Streams(played, beside)


def _responses(played: Sequence[Played]) -> Floats:
    """Return the responses of all streams by round and sample, [r, S]."""
    return np.concatenate([one.by_round() for one in played])


def _gains_together(data: TrialData, other: TrialData, at: _Streams, deadline_ns: int) -> Floats:
    """Return what each round gains, [r], if the fallback's answers on time count where late.

    A metric that is no mean judges the answers of both together.
    """
    own, beside = _responses(at.played), _responses(at.beside)
    late = own > deadline_ns
    judged, theirs = data.judged(data.metric), other.judged(data.metric)
    means, scale = JudgedMean | JudgedSignedMean, scale_of(judged)
    if isinstance(judged, means) and isinstance(theirs, means) and scale == scale_of(theirs):
        filled = theirs.curve(np.where(late, beside, np.inf), [deadline_ns])[0]
        return np.asarray(judged.curve(own, [deadline_ns])[0] + filled)
    gains = np.zeros(len(late))
    times = np.where(late & (beside > deadline_ns), np.inf, 1.0)
    for place, of_round in enumerate(late):
        answers = zip(of_round, data.predictions, other.predictions, strict=True)
        mixed = [second if is_late else first for is_late, first, second in answers]
        with suppress(NothingToKeep):
            both = judge(data.metric, Answers(mixed, data.references, data.slices))
            found = float(both.curve(times[[place]], [1.0])[0, 0])
            gains[place] = scale.gained(scale_of(both).shown(found))
    return gains


def _lateness(played: Sequence[Played], question: Question, deadline_ns: int) -> dict[str, Any]:
    waits = np.concatenate([one.wait_ns[one.after_ramp] for one in played])
    responses = np.concatenate([one.response_ns[one.after_ramp] for one in played])
    started, limit, (k, n) = waits >= 0, question.error_after_ns, question.window or (None, None)
    p50, p99 = map(finite, percentiles_inverted_cdf(responses, [50, 99]))
    ages, streaks, lasted, windows = [], [], [], [np.zeros(0)]
    for one in played:
        late, kept, moments = one.response_ns > deadline_ns, one.after_ramp, one.schedule.moments_ns
        answered = moments + np.where(late, 0, one.response_ns).astype(np.int64)
        quiet = silences(late[kept], (moments + deadline_ns)[kept], answered[kept])
        ages.append(staleness(late)[kept])
        streaks.append(quiet.answers)
        lasted.append(quiet.lasted_ns)
        if n is not None:
            windows.append(late_in_windows(late[kept], n))
    age, streak, silent, of_window = map(np.concatenate, (ages, streaks, lasted, windows))
    return {
        "arrivals": responses.size,
        "late": float((responses > deadline_ns).mean()),
        "dropped": float((~started).mean()),
        "mean_wait_ns": float(waits[started].mean()) if started.any() else None,
        "response_p50_ns": p50,
        "response_p99_ns": p99,
        "staleness_mean": float(age.mean()),
        "staleness_p99": int(percentile_inverted_cdf(age, 99)),
        "longest_streak": int(streak.max(initial=0)),
        "window_late": k,
        "window_length": n,
        "windows_broken": float((of_window >= k).mean()) if of_window.size else None,
        "warnings": streak.size,
        "errors": None if limit is None else int((silent > limit).sum()),
        "error_after_ns": limit,
        "longest_silence_ns": int(silent.max(initial=0)),
    }


def _beside(
    data: TrialData, measured: TrialData | None, played: Sequence[Played], deadline: Threshold
) -> dict[str, Any]:
    """Return what a trial under load kept and what became of its times, against the closed loop."""
    found: dict[str, Any] = dict.fromkeys(Beside.__annotations__)
    if measured is None:
        return found
    found["measured"] = measured.trial_id
    everything = np.ones(len(measured.references), dtype=np.bool_)
    figure = Figure(measured, measured.metric, "all", everything)
    if not figure.defined:
        return found
    [kept] = figure.rows({Clock.RESPONSE: (deadline,)}, 0, ())
    of_both = (one.times[PRIMARY_CLOCK] for one in (data, measured))
    closed, services = (times[np.isfinite(times)] for times in of_both)
    idle = services_after_idling(measured)
    if services.size and closed.size:
        found["service_change"] = float(services.mean() / closed.mean() - 1)
    if idle.size and closed.size:
        found["idle_penalty"] = float(np.median(idle) / np.median(closed) - 1)
    held = (
        Answered(one.schedule.samples, one.response_ns > deadline.ns, one.after_ramp)
        for one in played
    )
    return found | {
        "measured_mean": kept["mean"],
        "measured_low": kept["interval_low"],
        "measured_high": kept["interval_high"],
        "held_mean": held_mean(data, held),
        "measured_held": held_mean(measured, answered_under_load(measured, deadline.ns)),
    }


def services_after_idling(data: TrialData) -> Floats:
    """Return total times, ns, of samples that found the server idle, without a ramp's first."""
    streams, server = served_streams(data)
    inferences = [inferences_of(one, server) for one in streams]
    services = ((one.end - one.start)[found_idle(one)] for one in inferences)
    return np.concatenate([np.zeros(0), *services])
