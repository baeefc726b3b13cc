"""The search for the highest rate of arrivals at which tail quality keeps its share: which rate is measured next (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.contracts import InputError
from orchestrator.stats.capacity_verdict import MOST_PROBES, Verdict

LOWEST, HIGHEST = 0.05, 1.05
"""Where the search begins and is expected to end, in shares of the closed-loop throughput."""
FARTHEST = 2.0
"""How far it goes at most, in shares of 1.05 x that throughput: where streams are served faster than the closed loop was."""
WIDTH = 1.1
"""A bracket of this ratio is narrow enough. Five halvings of the logarithm lead from 1.05 / 0.05 = 21 to 21^(1/32) = 1.0998."""
LEAST_STEP = math.sqrt(WIDTH)
"""Beside a rate that stays undecided the search goes on until the next decided one is so near."""
STEP = 1.2
"""How far beside the rate that is expected a search begins: half-way between its rates thus found lie two 10 % apart."""
HALVINGS = 14
"""Of the span, for a rate that is expected: to 0.02 %."""
DIGITS = 6
"""Of a rate: it stands in the ids of trials."""


@dataclass(frozen=True)
class Probe:
    """A rate in samples a second that was measured, and what it has shown."""

    rate_per_s: float
    verdict: Verdict


@dataclass(frozen=True)
class Span:
    """Rates between which a search is expected to end, in samples a second."""

    lowest: float
    highest: float


def span_of(throughput_per_s: float) -> Span:
    """Return where a search goes, from the closed-loop throughput in samples a second. Raises InputError for none."""
    if not (math.isfinite(throughput_per_s) and throughput_per_s > 0):
        raise InputError(f"a closed-loop throughput of {throughput_per_s} samples a second: it must be positive")
    return Span(rounded_rate(LOWEST * throughput_per_s), rounded_rate(HIGHEST * throughput_per_s))


def rounded_rate(rate_per_s: float) -> float:
    """Return a rate in samples a second with as many digits as count."""
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
    ends of the span are measured where nothing between them has kept, or has failed. Where its upper end keeps, the closed loop was slower
    than the streams: the search goes on upwards, step by step.

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
    >>> next_rate([Probe(105, "keeps")], Span(5, 105)), next_rate([Probe(105, "keeps"), Probe(126, "fails")], Span(5, 105))
    (126.0, 115.022)
    """
    bracket = bracket_of(probes)
    if len(probes) >= MOST_PROBES or bracket.narrow:
        return None
    measured = {probe.rate_per_s for probe in probes}
    low = span.lowest if bracket.certified is None else bracket.certified
    high = max(low, span.highest) if bracket.refuted is None else bracket.refuted
    doubtful = [probe.rate_per_s for probe in probes if probe.verdict == "undecided" and low <= probe.rate_per_s <= high]
    guesses: list[float] = []
    if expected is not None:
        guess = rounded_rate(min(max(expected, span.lowest), span.highest))
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
            return rounded_rate(math.sqrt(bottom * top))
    if bracket.certified is None and span.lowest not in measured:
        return span.lowest
    if bracket.refuted is None:
        return next((rate for rate in _upwards(span) if rate not in measured and rate > (bracket.certified or 0)), None)
    return None


def _upwards(span: Span) -> Iterator[float]:
    """Yield the upper end of a span and rates above it, a step apart."""
    rate_per_s = span.highest
    while rate_per_s <= FARTHEST * span.highest:
        yield rate_per_s
        rate_per_s = rounded_rate(STEP * rate_per_s)


def _steps(bracket: Bracket, doubtful: Sequence[float], span: Span, guess: float) -> Iterator[float]:
    """Yield the rates a step below and above all that are known, where none is certified, or refuted."""
    if bracket.certified is None:
        top = min(doubtful, default=bracket.refuted or guess)
        yield rounded_rate(max(span.lowest, top / (STEP * max(1.0, guess / top))))
    if bracket.refuted is None:
        bottom = max(doubtful, default=bracket.certified or guess)
        yield rounded_rate(min(span.highest, bottom * STEP * max(1.0, bottom / guess)))


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
    return rounded_rate(math.exp((low + high) / 2))
