"""The search for the highest rate of arrivals at which tail quality keeps its share: what a rate has shown, and which one is next (pure).

A *probe* is a rate that is measured. Its *units* are streams: each begins with an empty queue and arrivals of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.korn_graubard import korn_graubard

Verdict: TypeAlias = Literal["keeps", "fails", "undecided"]
Floats: TypeAlias = NDArray[np.float64]

FAMILY_ERROR = 0.05
"""How likely any verdict of one search is wrong, all its probes and looks together."""
MOST_PROBES = 12
LOWEST, HIGHEST = 0.05, 1.05
"""Where the search begins and ends, in shares of the closed-loop throughput."""
WIDTH = 1.1
"""A bracket of this ratio is narrow enough. Five halvings of the logarithm lead from 1.05 / 0.05 = 21 to 21^(1/32) = 1.0998."""
LEAST_STEP = math.sqrt(WIDTH)
"""Beside a rate that stays undecided the search goes on until the next decided one is so near."""
FIRST_LOOK, ENOUGH_STREAMS = 6, 12
"""Streams after which a probe is looked at first, and before which it may fail but not keep."""
STEP = 1.2
"""How far beside the rate that is expected a search begins: half-way between its rates thus found lie two 10 % apart."""
HALVINGS = 14
"""Of the span, for a rate that is expected: to 0.02 %."""
WAITED = 0.1
"""A sample has waited where its response exceeds its total time by more than this share of it; less is the loop's own."""
LONGEST_BUNCH = 20.0
"""Late answers in a row that are taken for one before streams show how they bunch."""
USUAL_LOOKS = 4
DIGITS = 6
"""Of a rate: it stands in the ids of trials."""


@dataclass(frozen=True)
class Requirement:
    """What a rate must keep.

    keep
        the share of ideal quality that mean tail quality must not fall below; below 1, which no sample can show.
    most_streams
        after so many a probe is undecided.
    error
        how likely its verdict may be wrong, all looks together: its part of the family's.
    """

    keep: float = 0.99
    most_streams: int = ENOUGH_STREAMS
    error: float = FAMILY_ERROR / MOST_PROBES

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of streams at which a probe is looked at: 6, 12, then twice as many each time, and at last ``most_streams``.

        Examples
        --------
        >>> Requirement(most_streams=40).looks
        (6, 12, 24, 40)
        """
        found = [FIRST_LOOK]
        while found[-1] < self.most_streams:
            found.append(min(2 * found[-1], self.most_streams))
        return tuple(found)

    @property
    def sound(self) -> bool:
        """Whether all its numbers can be."""
        return 0 < self.keep < 1 and self.most_streams > 0 and 0 < self.error < 1

    @property
    def confidence(self) -> float:
        """Of the two-sided interval of one look: looks share the error evenly, and of either side only one can be in error."""
        return 1 - 2 * self.error / len(self.looks)


@dataclass(frozen=True)
class Judgement:
    """What the streams of a probe have shown.

    streams
        how many it rests on: later ones were not needed.
    mean, low, high
        mean quality over them with its interval at ``confidence``; nothing is known of fewer than two.
    """

    verdict: Verdict
    streams: int
    mean: float
    low: float
    high: float
    confidence: float


def stream_means(qualities: ArrayLike, streams: ArrayLike, incomplete: ArrayLike = False) -> Floats:
    """Return the mean quality of each whole stream, in order, [V].

    Parameters
    ----------
    qualities : [R]
        of each round.
    streams : [R]
        the stream of each round. One with fewer rounds than the longest was cut short, and is left out.
    incomplete : [R], or one for all
        whether a round ended before all its samples: then its stream is left out too.

    Examples
    --------
    >>> stream_means([1.0, 0.5, 0.0, 1.0, 1.0], [0, 0, 1, 2, 2])
    array([0.75, 1.  ])
    """
    values, of = np.asarray(qualities, dtype=np.float64), np.asarray(streams)
    if not values.size:
        return np.zeros(0)
    numbers, place, counts = np.unique(of, return_inverse=True, return_counts=True)
    cut = np.bincount(place, weights=np.broadcast_to(np.asarray(incomplete, dtype=np.float64), values.shape), minlength=numbers.size) > 0
    sums = np.asarray(np.bincount(place, weights=values, minlength=numbers.size), dtype=np.float64)
    whole = (counts == counts.max()) & ~cut
    return np.asarray(sums[whole] / counts[whole], dtype=np.float64)


def judged(qualities: Floats, answers: Floats, ideal: float, requirement: Requirement) -> Judgement:
    """Return what a probe has shown: the verdict of the first look that has one, else that of the last.

    Mean quality of streams has a Korn-Graubard interval with streams as units (`korn_graubard.korn_graubard`). The rate keeps the
    requirement where its lower limit is at least ``keep`` x ideal, and fails it where its upper limit is below.

    Parameters
    ----------
    qualities : [V]
        mean quality of each stream, in order.
    answers : [V]
        how many each stream can lose by themselves, see `answers_at_stake`.
    ideal
        quality without a threshold; where there is nothing to keep, nothing is decided.

    Examples
    --------
    >>> judged(np.full(12, 0.9), np.full(12, 900.0), 0.9, Requirement(0.99)).verdict
    'keeps'
    >>> judged(np.full(6, 0.1), np.full(6, 900.0), 0.9, Requirement(0.99)).verdict
    'fails'
    """
    seen = [look for look in requirement.looks if look <= qualities.size]
    found = _look(qualities, answers, ideal, requirement) if not seen else None
    for streams in seen:
        found = _look(qualities[:streams], answers[:streams], ideal, requirement)
        if found.verdict != "undecided":
            return found
    assert found is not None
    return found


def _look(qualities: Floats, answers: Floats, ideal: float, requirement: Requirement) -> Judgement:
    streams, confidence = int(qualities.size), requirement.confidence
    mean = float(qualities.mean()) if streams else 0.0
    if streams < 2 or not ideal > 0:
        return Judgement("undecided", streams, mean, min(0.0, mean), max(ideal, mean), confidence)
    interval = korn_graubard(ideal - qualities, ideal, max(1.0, float(answers.mean())), confidence)
    low, high = min(interval.low, mean), max(interval.high, mean)  # the mean of an mAP may lie above ideal quality
    floor = requirement.keep * ideal
    verdict: Verdict = "undecided"
    if streams >= FIRST_LOOK and high < floor:
        verdict = "fails"
    elif streams >= ENOUGH_STREAMS and low >= floor:
        verdict = "keeps"
    return Judgement(verdict, streams, mean, low, high, confidence)


def waited(responses: ArrayLike, totals: ArrayLike) -> NDArray[np.bool_]:
    """Return which samples found others before them, of any shape: dropped ones, and those that waited; times in ns, +inf for none."""
    response, total = np.asarray(responses, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    return np.asarray(np.isinf(response) | (response > (1 + WAITED) * total))


def answers_at_stake(samples: int, waiting: ArrayLike, ideal: float) -> Floats:
    """Return how many answers each stream of so many samples can lose by themselves, [V].

    Where no score exceeds 1, (sum w)^2 / sum w^2 >= sum w, which is ideal x samples. Late answers of a queue come in bunches, and where
    few are late, nothing shows how long these are. They are taken to be as long as a busy period, 1 / (1 - utilisation) samples and 20 at
    most; the share of samples that find others before them, ``waiting`` [V], is the utilisation where arrivals are Poisson (Wolff,
    Operations Research 30, 1982).
    """
    return np.asarray(samples * min(ideal, 1.0) * np.maximum(1 - np.asarray(waiting, dtype=np.float64), 1 / LONGEST_BUNCH))


def least_streams(answers: float, keep: float, utilisation: float = 0.0, error: float = FAMILY_ERROR / MOST_PROBES) -> int:
    """Return how many streams of so many answers it takes to certify a rate at which none of them is late: keep^n <= error of one look.

    Answers that wait count for less, see `answers_at_stake`; ``utilisation`` is the share that is expected to.

    Examples
    --------
    >>> least_streams(32.0, 0.99), least_streams(1000.0, 0.99), least_streams(32.0, 0.99, 0.5)
    (22, 12, 43)
    """
    needed = math.log(error / USUAL_LOOKS) / math.log(keep)
    counted = answers * max(1 - utilisation, 1 / LONGEST_BUNCH)
    return max(ENOUGH_STREAMS, math.ceil(needed / max(counted, 1.0)))


@dataclass(frozen=True)
class Probe:
    """A rate in samples a second that was measured, and what it has shown."""

    rate_per_s: float
    verdict: Verdict


@dataclass(frozen=True)
class Span:
    """Rates between which a search goes, in samples a second."""

    lowest: float
    highest: float


def span_of(throughput_per_s: float) -> Span:
    """Return where a search goes, from the closed-loop throughput in samples a second. Raises InputError for none."""
    if not (math.isfinite(throughput_per_s) and throughput_per_s > 0):
        raise InputError(f"a closed-loop throughput of {throughput_per_s} samples a second: it must be positive")
    return Span(_rounded(LOWEST * throughput_per_s), _rounded(HIGHEST * throughput_per_s))


def _rounded(rate_per_s: float) -> float:
    return float(f"{rate_per_s:.{DIGITS}g}")


@dataclass(frozen=True)
class Bracket:
    """Certified up to one rate, refuted from another; None where there is none."""

    certified: float | None
    refuted: float | None

    @property
    def narrow(self) -> bool:
        """Whether both are known and at most 10 % apart."""
        return self.certified is not None and self.refuted is not None and self.refuted <= WIDTH * self.certified


def bracket_of(probes: Iterable[Probe]) -> Bracket:
    """Return the lowest rate that fails, and the highest below it that keeps.

    Examples
    --------
    >>> bracket_of([Probe(10, "keeps"), Probe(40, "fails"), Probe(20, "undecided")])
    Bracket(certified=10, refuted=40)
    """
    known = list(probes)
    refuted = min((probe.rate_per_s for probe in known if probe.verdict == "fails"), default=None)
    below = (probe.rate_per_s for probe in known if probe.verdict == "keeps" and (refuted is None or probe.rate_per_s < refuted))
    return Bracket(max(below, default=None), refuted)


def next_rate(probes: Sequence[Probe], span: Span, expected: float | None = None) -> float | None:
    """Return the rate to measure next, in samples a second; None where the search is over.

    Bisection on the logarithm of the rate. Where a rate stays undecided the search goes on above and below it, the wider gap first. The
    ends of the span are measured where nothing between them has kept, or has failed.

    Parameters
    ----------
    expected
        the rate at which quality is expected to fall below what is required, where there is such a guess. It is itself never measured,
        since it would stay undecided: the search begins a step below and a step above it, steps that do not find what they look for
        double, those that stay undecided take turns with the other side, and what lies between is halved on either side of it.

    Examples
    --------
    >>> next_rate([], Span(5, 105)), next_rate([Probe(22.913, "keeps")], Span(5, 105))
    (22.9129, 49.0496)
    >>> next_rate([], Span(5, 105), 60), next_rate([Probe(50, "keeps")], Span(5, 105), 60)
    (50.0, 72.0)
    >>> next_rate([Probe(50, "undecided")], Span(5, 105), 60)
    72.0
    """
    bracket = bracket_of(probes)
    if len(probes) >= MOST_PROBES or bracket.narrow:
        return None
    measured = {probe.rate_per_s for probe in probes}
    low = span.lowest if bracket.certified is None else bracket.certified
    high = span.highest if bracket.refuted is None else bracket.refuted
    doubtful = [probe.rate_per_s for probe in probes if probe.verdict == "undecided" and low <= probe.rate_per_s <= high]
    guesses: list[float] = []
    if expected is not None:
        guess = _rounded(min(max(expected, span.lowest), span.highest))
        guesses = [guess] if low < guess < high else []
        steps = list(_steps(bracket, [*doubtful, *guesses], span, guess))
        below = sum(rate < guess for rate in doubtful)
        for rate in reversed(steps) if 2 * below > len(doubtful) else steps:  # the other side, where one stays undecided
            if rate not in measured:
                return rate
    for inside in ([*doubtful, *guesses], doubtful):  # beside rates that stay undecided, the guess may leave a gap of its own
        gaps = [(low, min(inside)), (max(inside), high)] if inside else [(low, high)]
        bottom, top = max(gaps, key=lambda gap: gap[1] / gap[0])
        if top / bottom > (LEAST_STEP if inside else WIDTH):
            return _rounded(math.sqrt(bottom * top))
    if bracket.certified is None and span.lowest not in measured:
        return span.lowest
    if bracket.refuted is None and span.highest not in measured:
        return span.highest
    return None


def _steps(bracket: Bracket, doubtful: Sequence[float], span: Span, guess: float) -> Iterator[float]:
    """Yield the rates a step below and above all that are known, where none is certified, or refuted."""
    if bracket.certified is None:
        top = min(doubtful, default=bracket.refuted or guess)
        yield _rounded(max(span.lowest, top / (STEP * max(1.0, guess / top))))
    if bracket.refuted is None:
        bottom = max(doubtful, default=bracket.certified or guess)
        yield _rounded(min(span.highest, bottom * STEP * max(1.0, bottom / guess)))


def expected_rate(on_time: Callable[[float], float], keep: float, span: Span) -> float:
    """Return the highest rate at which a share of ``keep`` is on time, in samples a second; an end of the span where that lies beyond.

    Parameters
    ----------
    on_time
        the share of answers on time at a rate, as it is foretold; falls with the rate.

    Examples
    --------
    >>> round(expected_rate(lambda rate: 1 - rate / 100, 0.5, Span(5, 105)), 1)
    50.0
    """
    low, high = math.log(span.lowest), math.log(span.highest)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if on_time(math.exp(middle)) >= keep else (low, middle)
    return _rounded(math.exp((low + high) / 2))


def probes_to_come(bracket: Bracket) -> int:
    """Return how many rates a search is likely to need yet: both ends of a bracket, and two that narrow it, one if it is nearly so.

    Examples
    --------
    >>> probes_to_come(Bracket(None, None)), probes_to_come(Bracket(50, None)), probes_to_come(Bracket(50, 58))
    (4, 3, 1)
    """
    ends = (bracket.certified is None) + (bracket.refuted is None)
    if ends:
        return 2 + ends
    assert bracket.certified is not None
    assert bracket.refuted is not None
    return 1 if bracket.refuted <= WIDTH**2 * bracket.certified else 2


def streams_within(seconds: float, share_s: float, stream_s: float, least: int, refutes: bool) -> int | None:
    """Return how many streams a rate may have; None where these could decide nothing.

    Parameters
    ----------
    seconds
        what this rate is to take.
    share_s
        all that is left to its search.
    least
        streams without which nothing is certified.
    refutes
        whether the rate is looked at to be refuted, for which `FIRST_LOOK` streams may do.

    Examples
    --------
    >>> streams_within(60, 200, 3, 12, False), streams_within(10, 200, 3, 12, False), streams_within(10, 30, 3, 12, False)
    (20, 12, None)
    >>> streams_within(10, 30, 3, 12, True)
    10
    """
    most = int(share_s / stream_s)
    if most < (FIRST_LOOK if refutes else least):
        return None
    return min(most, max(least, int(seconds / stream_s)))


def affordable(rate_per_s: float, lowest: float, streams_of: Callable[[float], int | None]) -> tuple[float, int] | None:
    """Return a rate, or the first of those steps below it down to ``lowest``, that streams enough are left for, and how many; else None.

    Examples
    --------
    >>> affordable(72.0, 10.0, lambda rate: 15 if rate < 55 else None)
    (50.0, 15)
    """
    rate = rate_per_s
    while rate >= lowest:
        if (streams := streams_of(rate)) is not None:
            return rate, streams
        rate = _rounded(rate / STEP)
    return None
