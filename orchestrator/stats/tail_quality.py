"""Tail quality at time bounds, and the deadline of every round: the shortest bound from which on its quality keeps a floor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.constants import ROUNDING
from orchestrator.stats.latency import MIN_BEYOND, percentile_inverted_cdf, percentile_rank
from orchestrator.stats.times import Times, checked_times

BLOCK = 2**15
"""Samples looked at in one step: enough to spare Python's overhead, few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class RoundPercentile:
    """A percentile of tail quality over rounds, and how many rounds lie below it."""

    percentile: float
    quality: float
    rounds_below: int

    @property
    def certified(self) -> bool:
        """Whether enough rounds lie below the percentile for it to be reported."""
        return self.rounds_below >= MIN_BEYOND


@dataclass(frozen=True)
class TailQuality:
    """Tail quality at one threshold over the rounds of a trial.

    ideal
        quality without a threshold.
    mean, worst, sd
        over rounds; ``sd`` divides by rounds - 1 and is NaN for a single round.
    lower
        lower percentiles over rounds, as asked for.
    rounds
        how many there are.
    """

    ideal: float
    mean: float
    worst: float
    sd: float
    lower: tuple[RoundPercentile, ...]
    rounds: int


def quality_curve(scores: ArrayLike, times: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Return tail quality of every threshold and round for a metric that is a mean over samples.

    Q(theta, r) = (1/S) sum of s_i over the samples on time, t[r, i] <= theta: a late sample scores 0 and stays in the
    denominator (Yang et al., "Quality at the Tail of Machine Learning Inference", arXiv 2212.13925v3, section 3). A sample
    without a time is late at every threshold, infinity included.

    Each time is sorted into the gap between two thresholds, the scores in a gap are summed, and the sums are accumulated over
    the thresholds: R S log M steps.

    Parameters
    ----------
    scores : [S]
        score of each sample when it is on time, finite and not negative.
    times : [R, S]
        times in ns, +inf for a sample whose outcome was not ``ok``.
    thresholds : [M]
        time bounds in ns, in any order; +inf is allowed.

    Returns
    -------
    [M, R] tail quality.

    Raises
    ------
    InputError
        if a time is NaN or not positive, a score is negative or not finite, a threshold is NaN, or there are no samples.

    Examples
    --------
    >>> quality_curve([1, 0, 1], [[10, 20, 30], [10, 20, 99]], [9, 10, 50])
    array([[0.        , 0.        ],
           [0.33333333, 0.33333333],
           [0.66666667, 0.33333333]])
    """
    score, time, bound = np.asarray(scores, dtype=np.float64), checked_times(times), np.asarray(thresholds)
    check_curve(score, time, bound)
    rounds, samples = time.shape
    gaps = bound.size + 1
    order = np.argsort(bound, kind="stable")
    ordered = comparable_bounds(bound[order], time)
    in_gap = np.empty((rounds, gaps))
    step = max(1, BLOCK // samples)
    for start in range(0, rounds, step):
        gap = np.searchsorted(ordered, time[start : start + step])
        count = len(gap)
        gap += gaps * np.arange(count)[:, None]
        sums = np.bincount(gap.ravel(), weights=np.tile(score, count), minlength=gaps * count)
        in_gap[start : start + step] = sums.reshape(count, gaps)
    curve = np.empty((bound.size, rounds))
    curve[order] = np.cumsum(in_gap[:, :-1], axis=1).T / samples
    return curve


def summarize(qualities: ArrayLike, ideal: float, percentiles: Sequence[float] = (10, 5, 1)) -> TailQuality:
    """Return what is reported of tail quality at one threshold.

    Parameters
    ----------
    qualities : [R]
        tail quality of each round.
    ideal
        quality without a threshold.
    percentiles
        in percent, over rounds, as the inverted distribution function: p1 of 30 rounds is the worst round.

    Raises
    ------
    InputError
        if there are no rounds, or a quality is not finite.

    Examples
    --------
    >>> summarize([0.8, 0.6, 0.7], ideal=0.9).worst
    0.6
    """
    quality = np.asarray(qualities, dtype=np.float64)
    if not quality.size or not np.isfinite(quality).all():
        raise InputError(f"tail quality of {quality.size} rounds: at least one round is needed, and finite numbers")
    rounds = quality.size
    return TailQuality(
        ideal=ideal,
        mean=float(quality.mean()),
        worst=float(quality.min()),
        sd=float(quality.std(ddof=1)) if rounds > 1 else float("nan"),
        lower=tuple(
            RoundPercentile(percentile, percentile_inverted_cdf(quality, percentile), percentile_rank(rounds, percentile) - 1)
            for percentile in percentiles
        ),
        rounds=rounds,
    )


def check_curve(scores: NDArray[np.float64], times: Times, thresholds: NDArray[np.generic]) -> None:
    """Refuse what no curve can be made of; parameters and errors are those of `quality_curve`."""
    if scores.ndim != 1 or times.ndim != 2 or thresholds.ndim != 1 or times.shape[1] != scores.size:
        raise ValueError(
            f"scores of shape {scores.shape}, times of shape {times.shape}, thresholds of shape {thresholds.shape}: "
            "the shapes must be [S], [R, S] and [M]"
        )
    if not scores.size:
        raise InputError("tail quality of no samples: at least one sample is needed")
    if not np.isfinite(scores).all() or scores.min() < 0:
        raise InputError("scores must be finite and not negative: a late sample scores 0, which nothing may undercut")
    if thresholds.dtype.kind not in "iuf" or np.isnan(thresholds.astype(np.float64)).any():
        raise InputError("thresholds must be numbers of ns: NaN bounds nothing")


def comparable_bounds(thresholds: NDArray[np.generic], times: Times) -> Times:
    """Return thresholds in the type of the times, so that no comparison rounds, and finite, so that inf is late at them all."""
    if times.dtype == np.float64:
        return np.minimum(thresholds.astype(np.float64), np.finfo(np.float64).max)
    if thresholds.dtype.kind != "f":
        return thresholds.astype(np.int64, copy=False)
    largest = 2.0**63 - 1024  # the largest float64 that int64 can hold
    return np.floor(np.clip(thresholds.astype(np.float64), 0, largest)).astype(np.int64)


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
