"""Which rates come next in the searches of a campaign, and how many streams each may have of the time that is left."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from orchestrator.analysis.capacity import Search
from orchestrator.analysis.capacity_expected import expected_of
from orchestrator.stats.capacity import affordable, least_streams, probes_to_come, streams_within
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage.records import CapacityQuestion, TrialRecord
from orchestrator.subject.schedule import Length, length_of_stream

REPORT_S = 20.0
"""Of a budget, for what comes before and after measuring."""
LEAST_LOADING_S = 2.0


@dataclass(frozen=True)
class Choice:
    """A rate in samples a second to measure next, and its streams at most."""

    rate_per_s: float
    most_streams: int


def seconds_left(question: CapacityQuestion, spent_s: float) -> float | None:
    """Return how long may be measured yet, in s; None where there is no budget."""
    return None if question.minutes is None else 60 * question.minutes - REPORT_S - spent_s


def spent_on(records: Iterable[TrialRecord]) -> float:
    """Return how long trials were under way, in s; times that overlap count once."""
    spans = sorted((one.started_at, one.ended_at) for one in records if one.started_at is not None and one.ended_at is not None)
    spent_s, until = 0.0, None
    for start, end in spans:
        begin = start if until is None else max(start, until)
        spent_s += max(0.0, (end - begin).total_seconds())
        until = end if until is None else max(until, end)
    return spent_s


def choices(searches: Sequence[Search], question: CapacityQuestion, deadline: Threshold, left_s: float | None) -> list[Choice | None]:
    """Return what to measure next of each search; None where it is over, or too little time is left to decide anything.

    Parameters
    ----------
    left_s
        for all searches together, which share it evenly; None: a rate may take ``question.max_seconds``.
    """
    guesses = [expected_of(search, deadline, question.keep) for search in searches]
    rates = [search.next_rate(guess) for search, guess in zip(searches, guesses, strict=True)]
    going = sum(rate is not None for rate in rates)
    share_s = None if left_s is None or not going else left_s / going - _loading_s(searches)
    return [
        None if rate is None else _choice(search, rate, guess, question, share_s)
        for search, rate, guess in zip(searches, rates, guesses, strict=True)
    ]


def _choice(search: Search, rate_per_s: float, guess: float | None, question: CapacityQuestion, share_s: float | None) -> Choice | None:
    if share_s is None:
        return Choice(rate_per_s, _streams_without_budget(search, question, rate_per_s))
    refutes = rate_per_s > (guess or math.inf)
    bracket, span = search.bracket, search.span
    assert span is not None
    lowest = rate_per_s if refutes else bracket.certified or span.lowest
    found = affordable(rate_per_s, lowest, partial(_streams_within, search, question, share_s, refutes))
    return None if found is None else Choice(*found)


def _streams_without_budget(search: Search, question: CapacityQuestion, rate_per_s: float) -> int:
    length, answers, stream_s = _stream(search, rate_per_s)
    return max(least_streams(length.rounds * answers, question.keep), int(question.max_seconds / stream_s))


def _streams_within(search: Search, question: CapacityQuestion, share_s: float, refutes: bool, rate_per_s: float) -> int | None:
    length, answers, stream_s = _stream(search, rate_per_s)
    utilisation = min(1.0, rate_per_s / (search.closed_per_s or math.inf))
    least = least_streams(length.rounds * answers, question.keep, utilisation)
    seconds = min(question.max_seconds, share_s / probes_to_come(search.bracket))
    return streams_within(seconds, share_s, stream_s, least, refutes)


def _stream(search: Search, rate_per_s: float) -> tuple[Length, float, float]:
    """Return how long a stream is, what each round of it can lose, in answers, and its seconds."""
    closed = search.closed
    assert closed is not None
    samples = closed.times[closed.clock].shape[1]
    length = length_of_stream(search.like.load, rate_per_s, samples)
    return length, samples * min(closed.judged(closed.metric).ideal(), 1.0), length.arrivals(samples) / rate_per_s


def _loading_s(searches: Sequence[Search]) -> float:
    """Return what it takes to load a trial, in s, as the closed loops have shown."""
    closed = [search.closed for search in searches if search.closed is not None]
    if not closed:
        return LEAST_LOADING_S
    measured_s = sum(float(data.evidence["duration_ns"].sum()) / 1e9 for data in closed)
    return max(LEAST_LOADING_S, (spent_on(data.record for data in closed) - measured_s) / len(closed))
