"""Which rates come next in the searches of a campaign, and how many streams each may have of the time that is left."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from orchestrator.analysis.capacity import Search
from orchestrator.analysis.capacity_expected import expected_of
from orchestrator.analysis.evidence_span import spans_ns
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats.arrivals import SECOND_NS
from orchestrator.stats.capacity_streams import affordable, least_streams, probes_to_come, streams_within
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage.records import CapacityQuestion, TrialRecord
from orchestrator.subject.schedule import Length, length_of_stream

ENDING_S = 15.0
"""Of a budget, for ending the executor and the program."""
LEAST_REPORT_S = 5.0
"""Processor time of a report, whatever is in it."""
REPORTS_PER_READING = 12.0
"""What is in it takes a report so much longer than reading and judging it: 8 to 10 times where that is mAP, which takes longest."""
USUAL_PACE = 1.1
"""Measuring takes so much longer than what is stored of it, until that is seen."""
LONGEST_S = 10**6
"""Of a budget that is looked for."""
BETWEEN_S = 2.0
"""Between two trials, for choosing a rate and the rest of what nobody counts."""


@dataclass(frozen=True)
class Choice:
    """A rate in samples a second to measure next, its streams at most, and for how long, in s; None where there is no budget."""

    rate_per_s: float
    most_streams: int
    most_s: float | None = None


@dataclass(frozen=True)
class Standing:
    """How the searches of a campaign stand.

    guesses
        where each is expected to end, in samples a second; None where nothing tells.
    rates
        what each measures next, in samples a second; None where it is over.
    reading_s, slowdown
        how long it took to read and judge what is stored, and how many times as long as it kept a processor busy.
    """

    searches: tuple[Search, ...]
    guesses: tuple[float | None, ...]
    rates: tuple[float | None, ...]
    reading_s: float
    slowdown: float = 1.0

    @property
    def report_s(self) -> float:
        """How long it may take to report and to end."""
        return ENDING_S + LEAST_REPORT_S * self.slowdown + REPORTS_PER_READING * self.reading_s

    @property
    def wide(self) -> int:
        """How many would go on, had they time."""
        return sum(rate is not None for rate in self.rates)


def standing_of(
    searches: Sequence[Search], question: CapacityQuestion, deadline: Threshold, reading_s: float, slowdown: float = 1.0
) -> Standing:
    """Return how searches stand, of which what is stored was read in so many s."""
    guesses = tuple(expected_of(search, deadline, question.keep) for search in searches)
    rates = tuple(search.next_rate(guess) for search, guess in zip(searches, guesses, strict=True))
    return Standing(tuple(searches), guesses, rates, reading_s, slowdown)


def seconds_spent(searches: Sequence[Search]) -> float:
    """Return how long measuring has taken by what is stored, in s; what others' campaigns kept it waiting is left out."""
    return sum(_loading_s(data.record) + _measured_s(data) for data in _trials(searches))


def pace_of(took_s: float, stored_s: float) -> float:
    """Return how much longer measuring took than what is stored of it."""
    return max(1.0, took_s / stored_s) if stored_s > 0 else USUAL_PACE


def seconds_left(minutes: float | None, spent_s: float, report_s: float, pace: float = USUAL_PACE) -> float | None:
    """Return how much may be measured yet, in s that are stored, so that the report is there in time; None where there is no budget.

    Examples
    --------
    >>> seconds_left(5, 120, 30.0, pace=2.0)
    75.0
    """
    return None if minutes is None else (60 * minutes - spent_s - report_s) / pace


def _trials(searches: Iterable[Search]) -> Iterator[TrialData]:
    for search in searches:
        yield from [search.closed] if search.closed is not None else []
        yield from (measured.data for measured in search.probes)


def _loading_s(record: TrialRecord) -> float:
    """Return what a trial took before its first round, in s, but for its turn on a machine that others measured on."""
    cold = [record.cold_start, *(record.cold_start.get("earlier") or ())]
    loaded_ns = sum(sum([one.get("load_ns") or 0, one.get("first_total_ns") or 0, *(one.get("warmup_rounds_ns") or ())]) for one in cold)
    started_s = 0.0
    if record.started_at is not None and record.processes:
        started_s = (record.processes[0].started_at - record.started_at).total_seconds()
    return BETWEEN_S + max(0.0, started_s) + loaded_ns / SECOND_NS


def _measured_s(data: TrialData) -> float:
    """Return how long rounds and ramps of a trial took, in s."""
    return float(np.nansum(spans_ns(data.evidence))) / SECOND_NS


def choices(standing: Standing, question: CapacityQuestion, left_s: float | None) -> list[Choice | None]:
    """Return what to measure next of each search; None where it is over, or too little time is left to decide anything.

    What is left of a budget is shared evenly by the searches that go on; without one a rate may take ``question.max_seconds``.
    """
    loads = [_loading_s(search.closed.record) for search in standing.searches if search.closed is not None]
    share_s = None if left_s is None or not standing.wide else left_s / standing.wide - sum(loads) / max(1, len(loads))
    return [
        None if rate is None else _choice(search, rate, guess, question, share_s)
        for search, rate, guess in zip(standing.searches, standing.rates, standing.guesses, strict=True)
    ]


def least_s(standing: Standing, question: CapacityQuestion) -> int:
    """Return how much must be left, in s that are stored, for any search to measure another rate."""
    return bisect_left(range(LONGEST_S), True, key=lambda left_s: any(choices(standing, question, left_s)))


def minutes_needed(standing: Standing, question: CapacityQuestion) -> float | None:
    """Return about which budget a campaign needs whose searches measure one rate more; None without a budget, or where it was enough."""
    if question.minutes is None or not standing.wide:
        return None
    takes_s = seconds_spent(standing.searches) + standing.report_s + USUAL_PACE * least_s(standing, question)
    return float(math.ceil(1.1 * takes_s / 60)) if takes_s > 60 * question.minutes else None


def _choice(search: Search, rate_per_s: float, guess: float | None, question: CapacityQuestion, share_s: float | None) -> Choice | None:
    if share_s is None:
        return Choice(rate_per_s, _streams_without_budget(search, question, rate_per_s))
    refutes = rate_per_s > (guess or math.inf)
    bracket, span = search.bracket, search.span
    assert span is not None
    lowest = rate_per_s if refutes else bracket.certified or span.lowest
    found = affordable(rate_per_s, lowest, partial(_streams_within, search, question, share_s, refutes))
    return None if found is None else Choice(*found, share_s)


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
    slower = max(1.0, rate_per_s / (search.closed_per_s or math.inf))  # what more comes than is served, is waited for at the end
    return length, samples * min(closed.judged(closed.metric).ideal(), 1.0), slower * length.arrivals(samples) / rate_per_s
