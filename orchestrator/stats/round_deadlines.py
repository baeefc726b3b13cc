"""The deadline of every round: the shortest time bound from which on its quality keeps a floor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.constants import ROUNDING
from orchestrator.stats.tail_quality import check_curve
from orchestrator.stats.times import Times, checked_times

Curve: TypeAlias = Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]
"""Tail quality, [M, R], of times [R, S] at time bounds [M]; it may depend on times only by which of them are on time."""

FIRST_BLOCK, LARGEST_BLOCK = 4, 512
"""Time bounds looked at in one step: few at first, for a metric may be slow; then twice as many each time."""


def round_deadlines(curve: Curve, times: ArrayLike, floor: float) -> NDArray[np.float64]:
    """Return for every round the smallest time bound from which on its quality keeps the floor.

    T_r = min {theta : Q(theta', r) >= floor for every theta' >= theta}. Between two neighbouring times of a round nothing
    changes, so T_r is one of its own times, and exact. Quality need not rise with the time bound (F1 and mAP may dip): bounds are
    looked at from the longest time downwards until quality first falls below the floor, all rounds at once, so that a metric is
    evaluated about as often as samples may be late.

    Rounds are made comparable by replacing times by their ranks from the longest, which leaves the same samples on time.

    Parameters
    ----------
    curve
        tail quality by times and time bounds, such as ``Judged.curve``; 0 where all samples are late.
    times : [R, S]
        times in ns, +inf for a sample whose outcome was not ``ok``.
    floor
        smallest quality that will do, positive: a share of reference quality. Differences of 1e-12 of it are the rounding of sums.

    Returns
    -------
    [R] deadlines in ns; +inf where a round misses the floor even without a time bound.

    Raises
    ------
    InputError
        if a time is NaN or not positive, or the floor is not a positive finite number.

    Examples
    --------
    >>> from functools import partial
    >>> from orchestrator.stats.tail_quality import quality_curve
    >>> all_right = partial(quality_curve, [1, 1, 1, 1])
    >>> round_deadlines(all_right, [[10, 20, 30, 40], [40, 10, 99, 10], [1, 2, np.inf, np.inf]], floor=0.75)
    array([30., 40., inf])
    """
    checked = checked_times(times)
    if checked.ndim != 2:
        raise ValueError(f"times of shape {checked.shape}: the shape must be [rounds, samples]")
    _check_floors([floor])
    ranks = _ranks(checked)
    lowest = _lowest_rank(curve, ranks, floor * (1 - ROUNDING))
    at_bound = np.where(ranks == lowest[:, None], checked, np.inf)
    return np.asarray(at_bound.min(axis=1, initial=np.inf), dtype=np.float64)


def mean_deadlines(scores: ArrayLike, times: ArrayLike, floors: Sequence[float]) -> NDArray[np.float64]:
    """Return what `round_deadlines` does at several floors, for a metric that is a mean of scores which are not negative.

    Such a metric never falls as the time bound rises, so that the scores of a round summed in order of time show its deadline.

    Parameters
    ----------
    scores : [S]
        score of each sample when it is on time.
    times : [R, S]
        times in ns, +inf for a sample whose outcome was not ``ok``.
    floors : [F]
        smallest qualities that will do.

    Returns
    -------
    [F, R] deadlines in ns; +inf where a round misses the floor even without a time bound.

    Raises
    ------
    InputError
        as `round_deadlines` and `tail_quality.quality_curve` do.

    Examples
    --------
    >>> mean_deadlines([1, 1, 1, 1], [[10, 20, 30, 40], [1, 2, np.inf, np.inf]], [0.75, 0.5])
    array([[30., inf],
           [20.,  2.]])
    """
    score, checked = np.asarray(scores, dtype=np.float64), checked_times(times)
    check_curve(score, checked, np.empty(0))
    _check_floors(floors)
    if np.isin(score, (0, 1)).all():
        return _of_right_answers(checked[:, score == 1], score.size, floors)
    order = np.argsort(checked, axis=1)
    ordered = np.take_along_axis(checked, order, axis=1)
    reached = np.cumsum(score[order], axis=1) / score.size
    first = np.array([(reached < floor * (1 - ROUNDING)).sum(axis=1) for floor in floors], dtype=np.int64)
    padded = np.column_stack([ordered, np.full(len(checked), np.inf)])
    return np.asarray(padded[np.arange(len(checked)), first.reshape(len(floors), len(checked))], dtype=np.float64)


def _of_right_answers(times: Times, samples: int, floors: Sequence[float]) -> NDArray[np.float64]:
    """Return the deadlines of rounds of so many samples, [F, R], from the times of right answers, [R, N]: the last one that is needed."""
    reached = np.arange(1, times.shape[1] + 1) / samples
    needed = [int((reached < floor * (1 - ROUNDING)).sum()) for floor in floors]
    places = sorted({place for place in needed if place < reached.size})
    ordered = np.partition(times, places, axis=1) if places else times
    found = [ordered[:, place] if place < reached.size else np.full(len(times), np.inf) for place in needed]
    return np.array(found, dtype=np.float64).reshape(len(floors), len(times))


def _check_floors(floors: Sequence[float]) -> None:
    for floor in floors:
        if not 0 < floor < math.inf:
            raise InputError(f"quality floor {floor}: must be a positive finite number; any deadline keeps a floor of 0")


def _ranks(times: Times) -> NDArray[np.float64]:
    """Return times by rank within their round, [R, S]: the longest has S, equal ones share a rank, and inf stays."""
    order = np.argsort(times, axis=1)
    ordered = np.take_along_axis(times, order, axis=1)
    finite = np.isfinite(ordered)
    steps = np.zeros(times.shape, dtype=np.int64)
    steps[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]) & finite[:, 1:]
    rising = np.cumsum(steps, axis=1)
    from_longest = np.where(finite, rising - rising[:, -1:] + times.shape[1], np.inf)
    ranks = np.empty(times.shape)
    np.put_along_axis(ranks, order, from_longest, axis=1)
    return ranks


def _lowest_rank(curve: Curve, ranks: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Return the lowest rank of each round from which on its quality keeps the floor, [R]; +inf where there is none."""
    rounds, samples = ranks.shape
    lowest = np.full(rounds, np.inf)
    shortest = ranks.min(axis=1, initial=np.inf)
    undecided = np.flatnonzero(shortest < np.inf)
    top, block = samples, FIRST_BLOCK
    while undecided.size:
        bounds = np.arange(top, max(top - block, 0), -1)
        keeps = curve(ranks[undecided], bounds) >= floor
        kept = np.where(keeps.all(axis=0), bounds.size, keeps.argmin(axis=0))
        some = kept > 0
        lowest[undecided[some]] = np.maximum(top - kept[some] + 1, shortest[undecided[some]])
        undecided = undecided[(kept == bounds.size) & (lowest[undecided] > shortest[undecided])]
        top, block = top - block, min(2 * block, LARGEST_BLOCK)
    return lowest
