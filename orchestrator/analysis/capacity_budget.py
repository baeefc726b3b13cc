"""How long the searches of a campaign take, and how long a stream may be so that they end in time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from orchestrator.analysis.capacity import Search, answers_of_round
from orchestrator.analysis.evidence_span import spans_ns
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.capacity import Estimate, answers_of_stream, ramp_of_stream, rates_to_certify
from orchestrator.stats.constants import ADVISED_LOST, FEWEST_LOST, PILOT_AROUND, PILOT_SHARES, PILOT_STREAMS_AROUND, STREAMS
from orchestrator.stats.queueing import SECOND_NS
from orchestrator.storage.records import CapacityQuestion, TrialRecord
from orchestrator.subject.schedule import Length

BETWEEN_S = 2.0
"""Between two trials, for choosing a rate and the rest of what nobody counts."""
REPORT_S = 20.0
"""Of a budget, for the report and for ending."""
SLACK = 1.1
"""Measuring takes so much longer than its streams."""


def length_of(search: Search, answers: int) -> Length:
    """Return a stream of at least so many answers, in whole rounds, with its ramp."""
    assert search.closed is not None
    assert search.asked is not None
    ramp = ramp_of_stream(answers, search.asked.deadline.ns / SECOND_NS, search.closed_per_s or 0.0)
    return Length(ramp, math.ceil(answers / _samples(search.closed)))


def seconds_of(search: Search, rates: Sequence[float], streams: int, answers: int, pause: float = 0.0) -> float:
    """Return how long so many streams of each rate take, with a process for each rate, in s.

    ``pause`` stands between two streams, in streams: that of a trial with which no other takes turns.
    """
    assert search.closed is not None
    arrivals = length_of(search, answers).arrivals(_samples(search.closed))
    served = search.closed_per_s or math.inf
    return sum(_loading_s(search.closed.record) + SLACK * (1 + pause) * streams * arrivals / min(rate, served) for rate in rates)


def next_seconds(search: Search, answers: int, alone: bool) -> float:
    """Return how long the next rates of a search take, in s; 0 where it is over. ``alone``: no other takes turns with it."""
    rates, streams, certify = search.next_rates()
    return seconds_of(search, rates, streams, answers, _pause(search) if alone and certify else 0.0)


def seconds_to_come(search: Search, answers: int, alone: bool) -> tuple[float, float]:
    """Return about how long the pilot takes and what follows it, in s: what of both was not measured yet."""
    rates, streams, certify = search.next_rates()
    if not rates:
        return 0.0, 0.0
    crossing = search.estimate.rate_per_s if search.estimate is not None else 0.0
    throughput = search.closed_per_s or 0.0
    if not 0 < crossing < math.inf:
        crossing = throughput * _likely_share(search, throughput)
    around = [share * crossing for share in PILOT_AROUND]
    pilot_s = 0.0 if certify else seconds_of(search, rates, streams, answers)
    if not search.pilot:
        pilot_s += seconds_of(search, around, PILOT_STREAMS_AROUND, answers)
    ladder = [rate for rate in rates_to_certify(Estimate(crossing, crossing, crossing), crossing) if not certify or rate >= rates[0]]
    return pilot_s, seconds_of(search, ladder, STREAMS, answers, _pause(search) if alone else 0.0)


def _pause(search: Search) -> float:
    return search.like.measurement.pause


def _likely_share(search: Search, throughput: float) -> float:
    """Return at which share of the throughput the mean is likely to cross what is asked.

    Waits in heavy traffic are exponential (Kingman, Proceedings of the Cambridge Philosophical Society 57, 1961): of a wait of x constant
    services, P(W > x) = exp(-2 (1 - rho) x).
    """
    assert search.asked is not None
    waits = max(search.asked.deadline.ns / SECOND_NS * throughput - 1, 1e-9)
    return min(max(1 + math.log(1 - search.asked.keep) / (2 * waits), PILOT_SHARES[0]), 1.0)


def all_seconds(searches: Sequence[Search], answers: Sequence[int]) -> float:
    """Return about how long all searches take yet, in s."""
    alone = len(searches) == 1
    return sum(sum(seconds_to_come(search, number, alone)) for search, number in zip(searches, answers, strict=True))


def answers_of(search: Search, question: CapacityQuestion, lost: int = ADVISED_LOST) -> int:
    """Return of how many answers a stream is to be that may lose so many; as many as were asked for, where that is so."""
    if question.answers is not None or search.closed is None:
        return question.answers or 0
    return math.ceil(answers_of_stream(question.keep, lost) * _samples(search.closed) / answers_of_round(search.closed))


def answers_within(searches: Sequence[Search], question: CapacityQuestion, left_s: float) -> list[int]:
    """Return of how many answers the streams of each search are: advised, fewer where time is short, never less than the fewest.

    Streams of a search that has begun stay as long as they are.
    """
    if any(search.rates for search in searches):
        return [search.rates[0].answers if search.rates else answers_of(search, question) for search in searches]
    found: list[int] = []
    for lost in range(ADVISED_LOST, FEWEST_LOST - 1, -1):
        found = [answers_of(search, question, lost) for search in searches]
        if all_seconds(searches, found) <= left_s:
            break
    return found


def seconds_spent(searches: Sequence[Search]) -> float:
    """Return how long measuring has taken by what is stored, in s; what others' campaigns kept it waiting is left out."""
    trials = [data for search in searches for data in (search.closed, *(one.data for one in search.rates)) if data is not None]
    return sum(_loading_s(data.record) + float(np.nansum(spans_ns(data.evidence))) / SECOND_NS for data in trials)


def minutes(seconds: float) -> float:
    """Return a time in s as minutes that are promised: up to the next whole one."""
    return float(math.ceil(seconds / 60))


def _samples(closed: TrialData) -> int:
    return int(closed.times[closed.clock].shape[1])


def _loading_s(record: TrialRecord) -> float:
    """Return what a trial took before its first round, in s, but for its turn on a machine that others measured on."""
    cold = [record.cold_start, *(record.cold_start.get("earlier") or ())]
    loaded_ns = sum(sum([one.get("load_ns") or 0, one.get("first_total_ns") or 0, *(one.get("warmup_rounds_ns") or ())]) for one in cold)
    started_s = 0.0
    if record.started_at is not None and record.processes:
        started_s = (record.processes[0].started_at - record.started_at).total_seconds()
    return BETWEEN_S + max(0.0, started_s) + loaded_ns / SECOND_NS
