"""What tail quality would be if samples arrived by a schedule, from closed-loop times."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.load import (
    OVERLOADED,
    found_idle,
    inferences_of,
    served_streams,
)
from orchestrator.analysis.quality import Judgement, better_of_each, ideal_quality, intervals
from orchestrator.analysis.replay_streams import (
    Answered,
    Arrivals,
    Played,
    Rule,
    answered_under_load,
    held_mean,
    play,
    schedule_of,
    services_of,
    streams_of,
    under_load,
)
from orchestrator.analysis.standing import fresher, gains_of_sets
from orchestrator.analysis.tables.tail_quality import figure_of
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.units import FEW_STREAMS
from orchestrator.stats.constants import FEWEST_UNITS
from orchestrator.stats.latency import percentile_inverted_cdf, percentiles_inverted_cdf
from orchestrator.stats.queueing import SECOND_NS, backlog_grows
from orchestrator.stats.slow_rounds import late_in_windows, silences, staleness
from orchestrator.stats.thresholds import Threshold
from orchestrator.stats.times import PRIMARY_CLOCK, Clock
from orchestrator.stats.units import Floats
from orchestrator.storage.stored_form import finite
from orchestrator.subject.schedule import refuse_cut_groups

LIMITS = ("interval_low", "interval_high")
# Columns of what was measured under the same load.
BESIDE = (
    *("measured", "measured_mean", "measured_low", "measured_high"),
    *("service_change", "idle_penalty", "measured_held"),
)


@dataclass(frozen=True)
class Question:
    """What is asked of stored times, at each of some rates in samples a second.

    A fallback answers beside, on a machine of its own, where the big model is late. The window has
    k and n of the k-of-n rule. For so long there may be no answer before it is an error.
    """

    law: Arrivals
    rates_per_s: Sequence[float]
    rule: Rule
    fallback: TrialData | None = None
    window: tuple[int, int] | None = None
    error_after_ns: int | None = None


# All streams at one rate, and the fallback's under the same arrivals.
_Streams: TypeAlias = tuple[Sequence[Played], Sequence[Played]]


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
    at_rates = [_at(data, rounds, question, rate, deadline.ns) for rate in question.rates_per_s]
    gains = [judged.curve(_responses(played), [deadline.ns])[0] for played, _ in at_rates]
    alone, together = _figures(data, judged, at_rates, gains), [dict[str, Any]()] * len(at_rates)
    if fallback is not None:
        either = better_of_each(judged, fallback.judged(data.metric))
        numbers = np.arange(total.shape[1])
        stands = [
            [np.where(_responses(played) <= deadline.ns, numbers, -1) for played in at]
            for at in at_rates
        ]
        gains = [
            gains_of_sets([data, fallback], fresher(own, theirs, numbers.size))
            for own, theirs in stands
        ]
        together = _figures(data, either, at_rates, gains)
    rows = zip(question.rates_per_s, at_rates, alone, together, strict=True)
    for rate, (played, _), own, both in rows:
        grows = rule.queue_limit is None and rule.policy == "queue"
        if grows and rate * service_ns < SECOND_NS:
            after = [(one, one.after_ramp) for one in played]
            waits = [(one.schedule.moments_ns[kept], one.wait_ns[kept]) for one, kept in after]
            grows = backlog_grows(waits, service_ns)
        held = [
            Answered(of.schedule.samples, of.schedule.moments_ns, of.response_ns, of.after_ramp)
            for of in played
        ]
        measured = under_load(data, law, rule, rate, deadline, others)
        few = [FEW_STREAMS] * (len(rounds) < FEWEST_UNITS)
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
            "closed_mean": judged.shown(float(judged.curve(total, [deadline.ns])[0].mean())),
            **own,
            "fallback": None if fallback is None else fallback.trial_id,
            "fallback_mean": both.get("mean"),
            "fallback_low": both.get("interval_low"),
            "fallback_high": both.get("interval_high"),
            "streams": len(rounds),
            "rounds": total.shape[0],
            **_lateness(played, question, deadline.ns),
            "held_mean": held_mean(data, held, deadline.ns),
            **_beside(data, measured, deadline),
            "flags": [*flags, *few, *[OVERLOADED] * grows],
        }


def _figures(
    data: TrialData, judged: Judgement, at_rates: Sequence[_Streams], gains: Sequence[Floats]
) -> list[dict[str, Any]]:
    """Return per rate the mean over streams, with its interval, of what each round gains, [r]."""
    sizes = np.array([one.schedule.rounds for one in at_rates[0][0]])
    means = np.add.reduceat(np.array(gains), np.cumsum(sizes) - sizes, axis=1) / sizes
    at_stake = data.answers_at_stake(judged) * float(sizes.mean())
    return [
        {
            "mean": judged.shown(float(mean.mean())),
            **dict(zip(LIMITS, judged.shown_limits(found.low, found.high), strict=True)),
            "interval_method": found.method,
            "interval_parameters": {"confidence": found.confidence, **found.parameters},
        }
        for mean, found in zip(means, intervals(judged, means, at_stake), strict=True)
    ]


def _at(
    data: TrialData,
    rounds: Sequence[NDArray[np.intp]],
    question: Question,
    rate_per_s: float,
    deadline_ns: int,
) -> _Streams:
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
        return played, ()
    of_other, whole = services_of(other), np.concatenate(streams_of(other))
    numbers = np.split(np.arange(sum(map(len, rounds))), np.cumsum([*map(len, rounds)])[:-1])
    beside = [
        play(other, of_other, np.take(whole, own, mode="wrap"), schedule, rule, deadline_ns)
        for own, schedule in zip(numbers, schedules, strict=True)
    ]
    return played, beside


def _responses(played: Sequence[Played]) -> Floats:
    return np.concatenate([one.by_round() for one in played])


def _lateness(played: Sequence[Played], question: Question, deadline_ns: int) -> dict[str, Any]:
    waits = np.concatenate([one.wait_ns[one.after_ramp] for one in played])
    responses = np.concatenate([one.response_ns[one.after_ramp] for one in played])
    started, limit, window = waits >= 0, question.error_after_ns, question.window
    p50, p99 = map(finite, percentiles_inverted_cdf(responses, [50, 99]))
    found = []
    for one in played:
        late, kept, moments = one.response_ns > deadline_ns, one.after_ramp, one.schedule.moments_ns
        answered = moments + np.where(late, 0, one.response_ns).astype(np.int64)
        streaks, lasted_ns = silences(late[kept], (moments + deadline_ns)[kept], answered[kept])
        of_windows = late_in_windows(late[kept], window[1]) if window else np.zeros(0)
        found.append((staleness(late)[kept], streaks, lasted_ns, of_windows))
    age, streak, silent, of_window = map(np.concatenate, zip(*found, strict=True))
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
        "window_late": window and window[0],
        "window_length": window and window[1],
        "windows_broken": (
            float((of_window >= window[0]).mean()) if window and of_window.size else None
        ),
        "warnings": streak.size,
        "errors": None if limit is None else int((silent > limit).sum()),
        "error_after_ns": limit,
        "longest_silence_ns": int(silent.max(initial=0)),
    }


def _beside(data: TrialData, measured: TrialData | None, deadline: Threshold) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(BESIDE)
    if measured is None:
        return found
    found["measured"], figure = measured.trial_id, figure_of(measured, measured.metric)
    if figure is None:
        return found
    [kept] = figure.rows({Clock.RESPONSE: (deadline,)}, ())
    of_both = (one.times[PRIMARY_CLOCK] for one in (data, measured))
    closed, services = (times[np.isfinite(times)] for times in of_both)
    idle = services_after_idling(measured)
    if services.size and closed.size:
        found["service_change"] = float(services.mean() / closed.mean() - 1)
    if idle.size and closed.size:
        found["idle_penalty"] = float(np.median(idle) / np.median(closed) - 1)
    return {
        **found,
        "measured_mean": kept["mean"],
        "measured_low": kept["interval_low"],
        "measured_high": kept["interval_high"],
        "measured_held": held_mean(measured, answered_under_load(measured), deadline.ns),
    }


def services_after_idling(data: TrialData) -> Floats:
    """Return total times, ns, of samples that found the server idle, without a ramp's first."""
    streams, server = served_streams(data)
    inferences = [inferences_of(one, server) for one in streams]
    return np.concatenate(
        [np.zeros(0), *((one.end - one.start)[found_idle(one)] for one in inferences)]
    )
