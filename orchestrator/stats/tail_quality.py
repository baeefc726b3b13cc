"""Tail quality at time bounds, and the deadline of every round at a floor of quality."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.constants import ROUNDING
from orchestrator.stats.latency import MIN_BEYOND, percentile_inverted_cdf, percentile_rank
from orchestrator.stats.times import Times, checked_times
from orchestrator.stats.units import Floats, ranks

# Samples looked at in one step: enough to spare Python's overhead, few enough to stay in the
# processor's cache.
BLOCK = 2**15
# Time bounds looked at in one step: few at first, for a metric may be slow; then twice as many.
FIRST_BLOCK, LARGEST_BLOCK = 4, 512
TIMES_AT_ONCE = 2**21
# Tolerances of equal probability that stand for a law without points, where quality is no mean.
DRAWN_TOLERANCES = 100
# Tail quality, [M, R], of times [R, S] at time bounds [M]; it may depend on times only by which of
# them are on time.
Curve: TypeAlias = Callable[[ArrayLike, ArrayLike], Floats]


def quality_curve(scores: ArrayLike, times: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Return tail quality of every threshold and round, [M, R], of a mean over samples.

    Q(theta, r) = (1/S) sum of s_i over the samples on time, t[r, i] <= theta: a late sample scores
    0 and stays in the denominator (Yang et al., "Quality at the Tail of Machine Learning
    Inference", arXiv 2212.13925v3, section 3). A sample without a time is late at every threshold,
    infinity included.

    Each time is sorted into the gap between two thresholds, the scores in a gap are summed, and the
    sums are accumulated over the thresholds: R S log M steps.

    Scores, [S], are finite and not negative. Times, [R, S], and thresholds, [M] in any order, are
    in ns; +inf is a sample without a time, or no bound.

    Raises InputError if a time is NaN or not positive, a score is negative or not finite, a
    threshold is NaN, or there are no samples.

    >>> quality_curve([1, 0, 1], [[10, 20, 30], [10, 20, 99]], [9, 10, 50])
    array([[0.        , 0.        ],
           [0.33333333, 0.33333333],
           [0.66666667, 0.33333333]])
    """
    score, time = np.asarray(scores, dtype=np.float64), checked_times(times)
    bound = np.asarray(thresholds)
    check_curve(score, time, bound)
    rounds, samples = time.shape
    gaps, order = bound.size + 1, np.argsort(bound, kind="stable")
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


def lower_percentile(qualities: Floats, percentile: float) -> float | None:
    """Return a percentile of the quality of rounds, [R]; None where too few rounds lie below it."""
    few = percentile_rank(qualities.size, percentile) <= MIN_BEYOND
    return None if few else percentile_inverted_cdf(qualities, percentile)


def check_curve(scores: Floats, times: Times, thresholds: NDArray[np.generic]) -> None:
    """Refuse what no curve can be made of; see `quality_curve`."""
    if times.ndim != 2 or times.shape[1] != scores.size:
        raise ValueError(f"shapes of times {times.shape} and scores: must be [R, S] and [S]")
    if not scores.size or not np.isfinite(scores).all() or scores.min() < 0:
        raise InputError("scores must be finite and not negative, and not of no samples: late is 0")
    if np.isnan(thresholds.astype(np.float64)).any():
        raise InputError("thresholds must be numbers of ns: NaN bounds nothing")


def comparable_bounds(thresholds: NDArray[np.generic], times: Times) -> Times:
    """Return thresholds in the type of the times, so that no comparison rounds, and finite."""
    if times.dtype == np.float64:
        return np.minimum(thresholds.astype(np.float64), np.finfo(np.float64).max)
    if thresholds.dtype.kind != "f":
        return thresholds.astype(np.int64, copy=False)
    largest = 2.0**63 - 1024  # the largest float64 that int64 can hold
    return np.floor(np.clip(thresholds.astype(np.float64), 0, largest)).astype(np.int64)


def round_deadlines(curve: Curve, times: ArrayLike, floor: float) -> Floats:
    """Return the smallest time bound from which on the quality of each round keeps a floor, [R].

    T_r = min {theta : Q(theta', r) >= floor for every theta' >= theta}. Between two neighbouring
    times of a round nothing changes, so T_r is one of its own times, and exact; +inf where a round
    misses the floor even without a time bound. Quality need not rise with the time bound (F1 and
    mAP may dip): bounds are looked at from the longest time downwards until quality first falls
    below the floor, all rounds at once, so that a metric is evaluated about as often as samples may
    be late. Rounds are made comparable by replacing times by their ranks from the longest, which
    leaves the same samples on time.

    Times, [R, S], are in ns, +inf for a sample without one. The floor lies above 0; differences of
    1e-12 of it are the rounding of sums.

    Raises InputError if a time is NaN or not positive.

    >>> from functools import partial
    >>> all_right = partial(quality_curve, [1, 1, 1, 1])
    >>> times = [[10, 20, 30, 40], [40, 10, 99, 10], [1, 2, np.inf, np.inf]]
    >>> round_deadlines(all_right, times, floor=0.75)
    array([30., 40., inf])
    """
    checked = checked_times(times)
    # The rank of each time in its round: the longest has S, equal ones are alike.
    rising = ranks(np.where(np.isfinite(checked), checked, np.nan), "dense")
    longest = np.nan_to_num(rising).max(axis=1, keepdims=True, initial=0)
    ranked = np.nan_to_num(rising - longest + checked.shape[1], nan=np.inf)
    lowest = _lowest_rank(curve, ranked, floor * (1 - ROUNDING))
    at_bound = np.where(ranked == lowest[:, None], checked, np.inf)
    return np.asarray(at_bound.min(axis=1, initial=np.inf), dtype=np.float64)


def mean_deadlines(scores: ArrayLike, times: ArrayLike, floors: Sequence[float]) -> Floats:
    """Return the same at several floors, [F, R], of a mean of scores [S] that are not negative.

    Such a metric never falls as the time bound rises, so that the scores of a round summed in order
    of time show its deadline.

    >>> mean_deadlines([1, 1, 1, 1], [[10, 20, 30, 40], [1, 2, np.inf, np.inf]], [0.75, 0.5])
    array([[30., inf],
           [20.,  2.]])
    """
    score, checked = np.asarray(scores, dtype=np.float64), checked_times(times)
    check_curve(score, checked, np.empty(0))
    rounds, samples = checked.shape
    order = np.argsort(checked, axis=1)
    ordered = np.take_along_axis(checked, order, axis=1)
    padded = np.column_stack([ordered, np.full(rounds, np.inf)])
    reached = np.cumsum(score[order], axis=1) / samples
    needed = [(reached < floor * (1 - ROUNDING)).sum(axis=1) for floor in floors]
    found = [padded[np.arange(rounds), place] for place in needed]
    return np.array(found, dtype=np.float64).reshape(len(floors), rounds)


def _lowest_rank(curve: Curve, ranked: Floats, floor: float) -> Floats:
    """Return the lowest rank of each round from which on quality keeps the floor, [R], or inf."""
    lowest, shortest = np.full(len(ranked), np.inf), ranked.min(axis=1, initial=np.inf)
    undecided = np.flatnonzero(shortest < np.inf)
    top, block = ranked.shape[1], FIRST_BLOCK
    while undecided.size:
        bounds = np.arange(top, max(top - block, 0), -1)
        keeps = curve(ranked[undecided], bounds) >= floor
        kept = np.where(keeps.all(axis=0), bounds.size, keeps.argmin(axis=0))
        some = undecided[kept > 0]
        lowest[some] = np.maximum(top - kept[kept > 0] + 1, shortest[some])
        undecided = undecided[(kept == bounds.size) & (lowest[undecided] > shortest[undecided])]
        top, block = top - block, min(2 * block, LARGEST_BLOCK)
    return lowest


@dataclass(frozen=True)
class LognormalTolerance:
    """The logarithm of users' tolerance is normal, with ``sigma`` around that of the median."""

    median_ns: float
    sigma: float

    def waits(self, times: ArrayLike) -> Floats:
        """Return the share of users waiting so long: Phi((log median - log t) / sigma)."""
        logs = np.log(checked_times(times).astype(np.float64))
        return np.asarray(scipy.special.ndtr((np.log(self.median_ns) - logs) / self.sigma))

    def points(self) -> tuple[Floats, Floats]:
        """Return the middles of 100 classes of equal probability, in ns, and their shares."""
        middles = (np.arange(DRAWN_TOLERANCES) + 0.5) / DRAWN_TOLERANCES
        places = self.median_ns * np.exp(self.sigma * scipy.special.ndtri(middles))
        return places, np.full(DRAWN_TOLERANCES, 1 / DRAWN_TOLERANCES)


@dataclass(frozen=True)
class TolerancePoints:
    """Users of given tolerances, [K] in ns, so many of each in any unit, [K]."""

    points_ns: tuple[float, ...]
    weights: tuple[float, ...]

    def waits(self, times: ArrayLike) -> Floats:
        """Return the share of users whose tolerance is at least each time, 0 for +inf."""
        places, shares = self.points()
        from_here = np.append(np.cumsum(shares[::-1])[::-1], 0.0)
        return np.asarray(from_here[np.searchsorted(places, checked_times(times))])

    def points(self) -> tuple[Floats, Floats]:
        """Return the tolerances, rising, and their shares, those of equal tolerance together."""
        places, of = np.unique(np.array(self.points_ns, dtype=np.float64), return_inverse=True)
        sums = np.bincount(of, weights=self.weights)
        return places, sums / sums.sum()


# How long users wait.
Tolerance: TypeAlias = LognormalTolerance | TolerancePoints


def lognormal_from_p95(median_ns: float, p95_ns: float) -> LognormalTolerance:
    """Return the lognormal law with this median and this 95th percentile.

    Raises InputError unless the percentile lies above the median.

    >>> round(lognormal_from_p95(100.0, 300.0).sigma, 3)
    0.668
    """
    if not p95_ns > median_ns > 0:
        raise InputError(
            f"tolerance with median {median_ns:g} ns and p95 {p95_ns:g} ns: "
            "p95 must lie above a positive median"
        )
    sigma = float(np.log(p95_ns / median_ns) / scipy.special.ndtri(0.95))
    return LognormalTolerance(median_ns, sigma)


def quality_over_tolerance(scores: ArrayLike, times: ArrayLike, tolerance: Tolerance) -> Floats:
    """Return the tail quality of each round averaged over users' tolerance, [R], of a mean.

    A user of tolerance T counts the answers that took at most T, so that the mean over users of
    Q(T, r) = (1/S) sum of s_i [t_ri <= T] is (1/S) sum of s_i P(T >= t_ri): the integral of the
    step curve of quality against the law of tolerance, without a grid (after Yang, "From tail
    quality to landscape", TBench 2025). Scores, [S], and times, [R, S], are those of
    `quality_curve`, and so are the errors.

    >>> quality_over_tolerance([1, 1], [[10, 20], [10, 99]], TolerancePoints((15, 30), (1, 1)))
    array([0.75, 0.5 ])
    """
    score, time = np.asarray(scores, dtype=np.float64), checked_times(times)
    check_curve(score, time, np.empty(0))
    step = max(1, TIMES_AT_ONCE // score.size)
    starts = range(0, len(time), step)
    blocks = [tolerance.waits(time[at : at + step]) @ score / score.size for at in starts]
    return np.concatenate([np.empty(0), *blocks])


def curve_over_tolerance(curve: Curve, times: ArrayLike, tolerance: Tolerance) -> Floats:
    """Return the same for any metric, from its quality at the law's points: exact for points."""
    places, shares = tolerance.points()
    return np.asarray(shares @ curve(checked_times(times), places))
