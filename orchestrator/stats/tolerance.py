"""Tail quality averaged over users who do not all wait equally long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.times import checked_times

Floats: TypeAlias = NDArray[np.float64]
TIMES_AT_ONCE = 2**21
DRAWN_TOLERANCES = 100
"""Tolerances of equal probability that stand for a law without points, where quality is no mean over samples."""


class Tolerance(Protocol):
    """How long users wait."""

    def waits(self, times: ArrayLike) -> Floats:
        """Return the share of users who wait at least as long as each time in ns, of any shape; 0 for +inf."""

    def points(self) -> tuple[Floats, Floats]:
        """Return tolerances in ns, rising, and the share of users at each, summing to 1: exact for points, else of equal shares."""


@dataclass(frozen=True)
class LognormalTolerance:
    """The logarithm of users' tolerance is normal, with standard deviation ``sigma`` around that of ``median_ns``."""

    median_ns: float
    sigma: float

    def waits(self, times: ArrayLike) -> Floats:
        """Return P(tolerance >= time) = Phi((log median - log time) / sigma)."""
        logs = np.log(checked_times(times).astype(np.float64))
        return np.asarray(scipy.special.ndtr((np.log(self.median_ns) - logs) / self.sigma))

    def points(self) -> tuple[Floats, Floats]:
        """Return the middles of 100 classes of equal probability."""
        shares = (np.arange(DRAWN_TOLERANCES) + 0.5) / DRAWN_TOLERANCES
        return self.median_ns * np.exp(self.sigma * scipy.special.ndtri(shares)), np.full(DRAWN_TOLERANCES, 1 / DRAWN_TOLERANCES)


@dataclass(frozen=True)
class TolerancePoints:
    """Users of given tolerances.

    points_ns : [K]
        in ns.
    weights : [K]
        how many users have each, in any unit; they are divided by their sum.
    """

    points_ns: tuple[float, ...]
    weights: tuple[float, ...]

    def waits(self, times: ArrayLike) -> Floats:
        """Return the share of users whose tolerance is at least each time."""
        places, shares = self.points()
        from_here = np.append(np.cumsum(shares[::-1])[::-1], 0.0)
        return np.asarray(from_here[np.searchsorted(places, checked_times(times), side="left")])

    def points(self) -> tuple[Floats, Floats]:
        """Return the tolerances and their shares, those of equal tolerance together."""
        places, of = np.unique(np.asarray(self.points_ns, dtype=np.float64), return_inverse=True)
        sums = np.bincount(of, weights=np.asarray(self.weights, dtype=np.float64), minlength=places.size)
        return places, sums / sums.sum()


def lognormal_from_p95(median_ns: float, p95_ns: float) -> LognormalTolerance:
    """Return the lognormal law with this median and this 95th percentile.

    Raises
    ------
    InputError
        unless the percentile lies above the median.

    Examples
    --------
    >>> round(lognormal_from_p95(100.0, 300.0).sigma, 3)
    0.668
    """
    if not p95_ns > median_ns > 0:
        raise InputError(f"tolerance with median {median_ns:g} ns and p95 {p95_ns:g} ns: p95 must lie above a positive median")
    return LognormalTolerance(median_ns, float(np.log(p95_ns / median_ns) / scipy.special.ndtri(0.95)))


def quality_over_tolerance(scores: ArrayLike, times: ArrayLike, tolerance: Tolerance) -> Floats:
    """Return the tail quality of each round averaged over users' tolerance, [R], for a metric that is a mean over samples.

    A user of tolerance T counts the answers that took at most T, so that the mean over users of
    Q(T, r) = (1/S) sum of s_i [t_ri <= T] is (1/S) sum of s_i P(T >= t_ri): the integral of the step curve of quality against
    the law of tolerance, without a grid (after Yang, "From tail quality to landscape", TBench 2025).

    Parameters
    ----------
    scores : [S]
        score of each sample when it is on time; a late one scores 0.
    times : [R, S]
        times in ns, +inf for a sample without one.

    Raises
    ------
    InputError
        if a time is NaN, zero or negative, or there are no samples.

    Examples
    --------
    >>> quality_over_tolerance([1, 1], [[10, 20], [10, 99]], TolerancePoints((15, 30), (1, 1)))
    array([0.75, 0.5 ])
    """
    score, time = np.asarray(scores, dtype=np.float64), checked_times(times)
    if score.ndim != 1 or time.ndim != 2 or time.shape[1] != score.size:
        raise ValueError(f"scores of shape {score.shape} and times of shape {time.shape}: the shapes must be [S] and [R, S]")
    if not score.size:
        raise InputError("tail quality of no samples: at least one sample is needed")
    blocks = [tolerance.waits(time[rows]) @ score / score.size for rows in _blocks(*time.shape)]
    return np.concatenate([np.empty(0), *blocks])


def curve_over_tolerance(curve: Callable[[ArrayLike, ArrayLike], Floats], times: ArrayLike, tolerance: Tolerance) -> Floats:
    """Return the same, [R], for any metric, from its quality at the law's points: exact where the law has points.

    Parameters
    ----------
    curve
        tail quality [M, R] of times [R, S] at time bounds [M], both in ns.
    """
    places, shares = tolerance.points()
    return np.asarray(shares @ curve(checked_times(times), places))


def _blocks(rounds: int, samples: int) -> Iterator[slice]:
    step = max(1, TIMES_AT_ONCE // samples)
    return (slice(start, start + step) for start in range(0, rounds, step))
