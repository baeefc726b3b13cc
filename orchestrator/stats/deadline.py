from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

from orchestrator.contracts import InputError
from orchestrator.stats.intervals import ROUNDING
from orchestrator.stats.tail_quality import check_curve
from orchestrator.stats.times import Times, checked_times

Curve: TypeAlias = Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]
"""Tail quality, [M, R], of times [R, S] at time bounds [M]; it may depend on times only by which of them are on time."""

FIRST_BLOCK, LARGEST_BLOCK = 4, 512
"""Time bounds looked at in one step: few at first, for a metric may be slow; then twice as many each time."""


@dataclass(frozen=True)
class Deadline:
    """The deadline a system can promise, or why there is none.

    ns
        the deadline; None where none is certified.
    rank
        it is the time of this rank (from 1) among the rounds' own deadlines; None where the look could certify nothing.
    rounds, look
        number of rounds looked at, and which look that was, from 1; both 0 before the first look.
    allowed_error
        probability of a false certificate that this look may risk; 0 before the first look.
    more_rounds
        how many further rounds the next look needs that can certify; 0 where it is not rounds that are missing.
    reason
        why there is no deadline; None where there is one.
    """

    ns: float | None
    rank: int | None
    rounds: int
    look: int
    allowed_error: float
    more_rounds: int
    reason: str | None


@dataclass(frozen=True)
class _Look:
    """One look at a number of rounds: what it may risk, and the smallest rank that risks no more."""

    rounds: int
    allowed_error: float
    rank: int | None


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
    order = np.argsort(checked, axis=1)
    ordered = np.take_along_axis(checked, order, axis=1)
    reached = np.cumsum(score[order], axis=1) / score.size
    first = np.array([(reached < floor * (1 - ROUNDING)).sum(axis=1) for floor in floors], dtype=np.int64)
    padded = np.column_stack([ordered, np.full(len(checked), np.inf)])
    return np.asarray(padded[np.arange(len(checked)), first.reshape(len(floors), len(checked))], dtype=np.float64)


def certify_deadline(deadlines_ns: ArrayLike, looks: Sequence[int], *, late_share: float = 0.10, confidence: float = 0.95) -> Deadline:
    """Return a deadline that at least 1 - ``late_share`` of all rounds keep, with a confidence that holds over all looks together.

    T_(k) of R rounds with the smallest k such that P(Bin(R, 1 - alpha) <= k - 1) >= 1 - e: were T_(k) below the quantile of
    1 - alpha, k rounds or more would lie below it. No distribution is assumed (Conover, *Practical Nonparametric Statistics*,
    section 3.2, one-sided). Rounds must be exchangeable, and the numbers of rounds fixed beforehand.

    The first look that can certify may risk e = 1 - ``confidence``, each further one half of what is left. Such a look spends what
    its rank risks, P(Bin(R, alpha) <= R - k), and one with too few rounds spends nothing; so all looks together risk at most
    1 - ``confidence`` (Bonferroni's inequality).

    Parameters
    ----------
    deadlines_ns : [R]
        each round's own deadline in ns in order of round, +inf where it has none; see `round_deadlines`.
    looks
        numbers of rounds at which the trial is looked at, rising. The last one reached counts, and the first so many rounds.
    late_share
        alpha, share of rounds that may miss the deadline.
    confidence
        gamma, as a fraction.

    Raises
    ------
    InputError
        if a parameter is out of range, or a deadline is NaN or not positive.

    Examples
    --------
    >>> certify_deadline(range(1, 60), looks=(59,), late_share=0.05)
    Deadline(ns=59.0, rank=59, rounds=59, look=1, allowed_error=0.05, more_rounds=0, reason=None)
    >>> certify_deadline(range(1, 25), looks=(29,)).more_rounds
    5
    """
    deadlines = np.asarray(checked_times(deadlines_ns), dtype=np.float64)
    _check(deadlines, looks, late_share, confidence)
    error = float(1 - Fraction(str(confidence)))
    planned, left = _spend(looks, late_share, error)
    reached = [look for look in planned if look.rounds <= deadlines.size]
    last = reached[-1] if reached else _Look(0, 0.0, None)
    ns = None if last.rank is None else float(np.partition(deadlines[: last.rounds], last.rank - 1)[last.rank - 1])
    more, reason = 0, None
    if ns == math.inf:
        ns, reason = None, "too many rounds never keep the quality"
    elif ns is None:
        needed = _next_look(planned[len(reached) :], looks[-1], left, error, late_share)
        more = 0 if needed is None else max(0, needed - deadlines.size)
        if needed is None:
            reason = "earlier looks risked all the error allowed"
        elif not more:
            reason = f"no look was taken at the rounds after the first {looks[-1]}"
        else:
            reason = f"{more} more {'round' if more == 1 else 'rounds'} needed"
    return Deadline(ns, last.rank, last.rounds, len(reached), last.allowed_error, more, reason)


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


def _spend(looks: Sequence[int], late_share: float, error: float) -> tuple[list[_Look], float]:
    """Return what each look may risk and the rank that follows, and what is left of the error after the last."""
    planned: list[_Look] = []
    left = error
    for rounds in looks:
        allowed = left / 2 if left < error else left
        possible = _possible_ranks(rounds, late_share, allowed * (1 + ROUNDING))
        planned.append(_Look(rounds, allowed, rounds - possible + 1 if possible else None))
        left = max(left - float(bdtr(possible - 1, rounds, late_share)), 0.0) if possible else left
    return planned, left


def _possible_ranks(rounds: int, late_share: float, allowed: float) -> int:
    """Return of how many ranks, from the highest down, each risks no more than is allowed: the risk of R, R - 1, ... rises."""
    fewest, most = 0, rounds
    while fewest < most:
        middle = (fewest + most) // 2
        if bdtr(middle, rounds, late_share) <= allowed:
            fewest = middle + 1
        else:
            most = middle
    return fewest


def _next_look(planned: Sequence[_Look], last: int, left: float, error: float, late_share: float) -> int | None:
    """Return the rounds of the next look that can certify: a planned one, else the earliest with what it may risk, if any."""
    for look in planned:
        if look.rank is not None:
            return look.rounds
    if left == 0:
        return None
    allowed = left / 2 if left < error else left
    enough = math.ceil(math.log(allowed) / math.log1p(-late_share) * (1 - ROUNDING))
    return max(last + 1, enough)


def _check(deadlines: NDArray[np.float64], looks: Sequence[int], late_share: float, confidence: float) -> None:
    if deadlines.ndim != 1:
        raise ValueError(f"deadlines of shape {deadlines.shape}: the shape must be [rounds]")
    rising = all(before < after for before, after in zip((0, *looks), looks, strict=False))
    if not looks or not rising:
        raise InputError(f"looks at {', '.join(map(str, looks)) or 'no'} rounds: give at least one number of rounds, rising, each above 0")
    if not 0 < late_share < 1:
        raise InputError(f"late_share {late_share}: must lie between 0 and 1, such as 0.1")
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence}: must lie between 0 and 1, such as 0.95")
