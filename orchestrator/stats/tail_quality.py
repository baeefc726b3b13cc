from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
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
