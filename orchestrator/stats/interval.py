"""The interval of a mean: Korn and Graubard's, with the larger of two variances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.constants import CONFIDENCE, ROUNDING
from orchestrator.stats.laws import t_quantile
from orchestrator.stats.units import Floats, Units, spread, units_of

Method: TypeAlias = Literal["korn-graubard", "t", "clopper-pearson", "exact", "none"]


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval and how it was found.

    method
        ``none`` where a single round says nothing (the interval is then everything possible), ``exact`` where nothing can vary.

    ``parameters`` holds what the method was given and estimated, as plain numbers.
    """

    low: float
    high: float
    confidence: float
    method: Method
    parameters: Mapping[str, float] = field(default_factory=dict)


class Shares(NamedTuple):
    """Limits of shares, [M], and as how many independent answers each counts, [M]."""

    low: Floats
    high: Floats
    effective: Floats


def mean_intervals(
    qualities: ArrayLike,
    ideal: float,
    answers: float,
    units: Units | None = None,
    *,
    bounded: bool = True,
    confidence: float = CONFIDENCE,
) -> list[Interval]:
    """Return the interval of the long-run mean of quality at each threshold.

    Losses of a mean over samples lie between 0 and the ideal: theirs is `korn_graubard`. Other metrics (mAP, F1) may gain where
    a wrong answer comes late: theirs is Student's t with the same variance, which is at least that of one answer.

    Parameters
    ----------
    qualities : [M, R]
        quality of each round at each threshold.
    ideal
        quality without a threshold.
    answers
        answers that a round can lose: (sum of w)^2 / sum of w^2 of what each costs.
    units : [R]
        unit of each round, see `units`; without units, or with fewer than 12, rounds of one stretch are the units and the interval
        says nothing about later rounds.
    bounded
        whether quality is a mean of scores, so that no loss is negative.

    Raises
    ------
    InputError
        if there are no rounds, a quality is not finite, or no answer can be lost although the ideal is positive.

    Examples
    --------
    >>> [found] = mean_intervals([[0.9] * 59 + [0.8]], 0.9, 18.0, np.arange(60) // 2)
    >>> round(found.low, 3), round(found.high, 3), found.parameters["degrees"]
    (0.873, 0.9, 4)
    """
    curve = np.asarray(qualities, dtype=np.float64)
    if curve.ndim != 2 or not curve.shape[1] or not np.isfinite(curve).all():
        raise InputError(f"interval over rounds of shape {curve.shape[1:]}: finite qualities are needed, at least one")
    if not (math.isfinite(ideal) and (ideal <= 0 or answers > 0)):
        raise InputError(f"interval of an ideal quality of {ideal} with {answers} answers at stake: both must be positive")
    check_confidence(confidence)
    rounds = curve.shape[1]
    best, lowest = np.maximum(ideal, curve.max(axis=1)), float(curve.min(initial=0.0))
    if ideal <= 0 and best.max(initial=0) <= 0:
        return [Interval(0.0, 0.0, confidence, "exact")] * len(curve)
    if ideal <= 0 or rounds == 1:
        return [Interval(lowest, top, confidence, "none", {"rounds": rounds}) for top in best.tolist()]
    of = units_of(rounds, units)
    found, number = spread(curve, of), rounds * answers
    given = {"rounds": rounds, "units": found.units, "degrees": found.degrees, "n": number}
    mean = curve.mean(axis=1)
    if bounded:
        loss = ideal - mean
        share = np.clip(np.where(np.abs(loss) < ROUNDING * ideal, 0, loss) / ideal, 0, 1)
        shares = korn_graubard(share, number, found.variance / ideal**2, found.degrees, confidence)
        low, high = ideal * (1 - shares.high), np.maximum(ideal * (1 - shares.low), mean)
        own = [{"pi": one, "n_eff": worth} for one, worth in zip(share.tolist(), shares.effective.tolist(), strict=True)]
    else:
        error = np.sqrt(np.maximum(found.variance, (ideal / number) ** 2))
        half = float(t_quantile((1 + confidence) / 2, found.degrees)) * error
        low, high = np.maximum(mean - half, lowest), np.minimum(mean + half, np.maximum(best, 1.0))
        own = [{"se": one} for one in error.tolist()]
    method: Method = "korn-graubard" if bounded else "t"
    limits = zip(low.tolist(), high.tolist(), own, strict=True)
    return [Interval(least, most, confidence, method, given | more) for least, most, more in limits]


def korn_graubard(share: ArrayLike, n: float, variance: ArrayLike, degrees: float, confidence: float = CONFIDENCE) -> Shares:
    """Return the limits of shares of n answers whose variance is known with few degrees of freedom, [M].

    deff = max(1, variance/(pi (1 - pi)/n)); n_eff = (n/deff) (t_{n-1}/t_nu)^2; Clopper-Pearson with pi n_eff of n_eff. Korn and
    Graubard, "Confidence Intervals for Proportions with Small Expected Number of Positive Counts Estimated from Survey Data",
    Survey Methodology 24, 1998.

    Examples
    --------
    >>> found = korn_graubard([0.0, 0.1], 60, [0.0, 0.004], 4)
    >>> found.low.round(3), found.high.round(3), found.effective.round(1)
    (array([0.   , 0.004]), array([0.112, 0.411]), array([31.2, 11.7]))
    """
    pi = np.asarray(share, dtype=np.float64)
    effective = effective_number(pi, n, variance, degrees, (1 + confidence) / 2)
    return Shares(*clopper_pearson(pi * effective, effective, confidence), effective)


def effective_number(share: Floats, n: float, variance: ArrayLike, degrees: float, quantile: float) -> Floats:
    """Return as how many independent answers n answers count, [M]; see `korn_graubard`."""
    independent = share * (1 - share) / n
    deff = np.maximum(1.0, np.asarray(variance) / np.where(independent > 0, independent, np.inf))
    shrink = (t_quantile(quantile, n - 1) / t_quantile(quantile, degrees)) ** 2 if n - 1 > degrees else 1.0
    return np.asarray(n / deff * shrink, dtype=np.float64)


def clopper_pearson(successes: ArrayLike, n: ArrayLike, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Return the exact limits of proportions, [M], continued to counts that are no whole numbers.

    Clopper and Pearson, Biometrika 26, 1934, in beta form: B(a/2; x, n - x + 1) and B(1 - a/2; x + 1, n - x).

    Examples
    --------
    >>> [float(limit.round(4)) for limit in clopper_pearson(0, 30)]
    [0.0, 0.1157]
    """
    check_confidence(confidence)
    return binomial_limits(successes, n, (1 - confidence) / 2)


def binomial_limits(successes: ArrayLike, n: ArrayLike, error: float) -> tuple[Floats, Floats]:
    """Return the same limits, each of which may err with a probability of its own: one-sided, at the confidence 1 - ``error``."""
    x, of = np.broadcast_arrays(np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64))
    if not ((x >= 0) & (x <= of)).all():
        raise InputError(f"{x.max()} successes of {of.min()}: must lie between 0 and their number")
    some, not_all = x > 0, x < of
    low = np.where(some, scipy.special.betaincinv(np.where(some, x, 1.0), of - x + 1, error), 0.0)
    high = np.where(not_all, scipy.special.betaincinv(x + 1, np.where(not_all, of - x, 1.0), 1 - error), 1.0)
    return low, high


def sampling_interval(scores: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return an interval of ideal quality where the samples are a drawn subset: what other samples of the task would give.

    Clopper-Pearson for scores of 0 and 1, otherwise t on the scores, clipped to their range. The draw counts as simple and the task
    as large.

    Examples
    --------
    >>> round(sampling_interval([1, 1, 1, 1, 0]).low, 3)
    0.284
    """
    score = np.asarray(scores, dtype=np.float64)
    n = score.size
    check_confidence(confidence)
    if not n or not np.isfinite(score).all() or score.min() < 0:
        raise InputError(f"sampling interval of {n} scores: at least one is needed, finite and not negative")
    if np.isin(score, (0.0, 1.0)).all():
        low, high = (float(limit) for limit in clopper_pearson(score.sum(), n, confidence))
        return Interval(low, high, confidence, "clopper-pearson", {"samples": n})
    if n == 1:
        return Interval(0.0, math.inf, confidence, "none", {"samples": 1})
    half = float(t_quantile((1 + confidence) / 2, n - 1) * score.std(ddof=1) / math.sqrt(n))
    low, high = max(float(score.mean()) - half, float(score.min())), min(float(score.mean()) + half, float(score.max()))
    return Interval(low, high, confidence, "t", {"samples": n})


def check_confidence(confidence: float) -> None:
    """Raise InputError for a confidence that is no fraction between 0 and 1."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence}: must lie between 0 and 1, such as 0.95")
