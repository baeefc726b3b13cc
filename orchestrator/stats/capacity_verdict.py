"""What a rate of arrivals has shown: whether tail quality keeps its share there, by its streams (pure).

A *probe* is a rate that is measured. Its *units* are streams: each begins with an empty queue and arrivals of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.stats.korn_graubard import korn_graubard

Verdict: TypeAlias = Literal["keeps", "fails", "undecided"]
Floats: TypeAlias = NDArray[np.float64]

FAMILY_ERROR = 0.05
"""How likely any verdict of one search is wrong, all its probes and looks together."""
MOST_PROBES = 12
FIRST_LOOK, ENOUGH_STREAMS = 6, 12
"""Streams after which a probe is looked at first, and before which it may fail but not keep."""
WAITED = 0.1
"""A sample has waited where its response exceeds its total time by more than this share of it; less is the loop's own."""
LONGEST_BUNCH = 20.0
"""Late answers in a row that are taken for one before streams show how they bunch."""


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
