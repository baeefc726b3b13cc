"""The interval of a mean: Korn and Graubard's, with the larger of two variances."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.constants import CONFIDENCE, ROUNDING
from orchestrator.stats.units import Floats, Units, spread, t_quantile, units_of

Method: TypeAlias = Literal["korn-graubard", "t", "clopper-pearson", "exact", "none"]


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval, and what its method was given and estimated.

    ``none`` is the method where a single round says nothing (the interval is everything possible),
    ``exact`` where nothing can vary.
    """

    low: float
    high: float
    confidence: float
    method: Method
    parameters: Mapping[str, float] = field(default_factory=dict)


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

    Losses of a mean over samples lie between 0 and the ideal: theirs is `korn_graubard`. Other
    metrics (mAP, F1) may gain where a wrong answer comes late: theirs is Student's t with the same
    variance, which is at least that of one answer.

    Qualities are [M, R]. A round can lose so many ``answers``: (sum of w)^2 / sum of w^2 of what
    each costs. Without units, [R], or with fewer than 12, rounds are the units and the interval
    says nothing about later rounds. Of a mean of scores (``bounded``) no loss is negative.

    Raises InputError if there are no rounds, a quality is not finite, or no answer can be lost
    although the ideal is positive.

    >>> [found] = mean_intervals([[0.9] * 59 + [0.8]], 0.9, 18.0, np.arange(60) // 2)
    >>> round(found.low, 3), round(found.high, 3), found.parameters["degrees"]
    (0.873, 0.9, 4)
    """
    curve = np.asarray(qualities, dtype=np.float64)
    rounds = curve.shape[-1]
    known = rounds and np.isfinite(curve).all() and math.isfinite(ideal)
    if not known or not (ideal <= 0 or answers > 0):
        raise InputError(
            f"interval over {rounds} rounds, ideal quality {ideal}, {answers} answers at stake: "
            "finite qualities are needed, at least one, and a positive number of answers"
        )
    best, lowest = np.maximum(ideal, curve.max(axis=1)), float(curve.min(initial=0.0))
    if ideal <= 0 and best.max(initial=0) <= 0:
        return [Interval(0.0, 0.0, confidence, "exact")] * len(curve)
    if ideal <= 0 or rounds == 1:
        return [
            Interval(lowest, top, confidence, "none", {"rounds": rounds}) for top in best.tolist()
        ]
    found, number = spread(curve, units_of(rounds, units)), rounds * answers
    given = {"rounds": rounds, "units": found.units, "degrees": found.degrees, "n": number}
    mean = curve.mean(axis=1)
    if bounded:
        loss = ideal - mean
        share = np.clip(np.where(np.abs(loss) < ROUNDING * ideal, 0, loss) / ideal, 0, 1)
        least, most, effective = korn_graubard(
            share, number, found.variance / ideal**2, found.degrees, confidence
        )
        low, high = ideal * (1 - most), np.maximum(ideal * (1 - least), mean)
        own = {"pi": share, "n_eff": effective}
    else:
        error = np.sqrt(np.maximum(found.variance, (ideal / number) ** 2))
        half = float(t_quantile((1 + confidence) / 2, found.degrees)) * error
        low = np.maximum(mean - half, lowest)
        high = np.minimum(mean + half, np.maximum(best, 1.0))
        own = {"se": error}
    method: Method = "korn-graubard" if bounded else "t"
    each = zip(low.tolist(), high.tolist(), *(one.tolist() for one in own.values()), strict=True)
    return [
        Interval(low, high, confidence, method, given | dict(zip(own, more, strict=True)))
        for low, high, *more in each
    ]


def korn_graubard(
    share: ArrayLike, n: float, variance: ArrayLike, degrees: float, confidence: float = CONFIDENCE
) -> tuple[Floats, Floats, Floats]:
    """Return the limits of shares of n answers, [M], and how many independent ones these count as.

    deff = max(1, variance/(pi (1 - pi)/n)); n_eff = (n/deff) (t_{n-1}/t_nu)^2; Clopper-Pearson with
    pi n_eff of n_eff. Korn and Graubard, "Confidence Intervals for Proportions with Small Expected
    Number of Positive Counts Estimated from Survey Data", Survey Methodology 24, 1998.

    >>> [each.round(3).tolist() for each in korn_graubard([0.0, 0.1], 60, [0.0, 0.004], 4)]
    [[0.0, 0.004], [0.112, 0.411], [31.165, 11.687]]
    """
    pi = np.asarray(share, dtype=np.float64)
    effective = effective_number(pi, n, variance, degrees, (1 + confidence) / 2)
    return *clopper_pearson(pi * effective, effective, confidence), effective


def effective_number(
    share: Floats, n: float, variance: ArrayLike, degrees: float, quantile: float
) -> Floats:
    """Return as how many independent answers n answers count, [M]; see `korn_graubard`."""
    independent = share * (1 - share) / n
    deff = np.maximum(1.0, np.asarray(variance) / np.where(independent > 0, independent, np.inf))
    fewer = n - 1 > degrees
    shrink = (t_quantile(quantile, n - 1) / t_quantile(quantile, degrees)) ** 2 if fewer else 1.0
    return np.asarray(n / deff * shrink, dtype=np.float64)


def clopper_pearson(
    successes: ArrayLike, n: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[Floats, Floats]:
    """Return the exact limits of proportions, [M], continued to counts that are no whole numbers.

    Clopper and Pearson, Biometrika 26, 1934, in beta form: B(a/2; x, n - x + 1) and
    B(1 - a/2; x + 1, n - x).

    >>> [float(limit.round(4)) for limit in clopper_pearson(0, 30)]
    [0.0, 0.1157]
    """
    return binomial_limits(successes, n, (1 - confidence) / 2)


def binomial_limits(successes: ArrayLike, n: ArrayLike, error: float) -> tuple[Floats, Floats]:
    """Return the same limits, each of which errs with a probability of its own."""
    counts = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    x, of = np.broadcast_arrays(*counts)
    some, not_all, inverse = x > 0, x < of, scipy.special.betaincinv
    low = np.where(some, inverse(np.where(some, x, 1.0), of - x + 1, error), 0.0)
    high = np.where(not_all, inverse(x + 1, np.where(not_all, of - x, 1.0), 1 - error), 1.0)
    return low, high


def sampling_interval(scores: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return an interval of ideal quality for other samples of the task, of which these were drawn.

    Clopper-Pearson for scores of 0 and 1, otherwise t on the scores, clipped to their range. The
    draw counts as simple and the task as large.

    >>> round(sampling_interval([1, 1, 1, 1, 0]).low, 3)
    0.284
    """
    score = np.asarray(scores, dtype=np.float64)
    n = score.size
    if np.isin(score, (0.0, 1.0)).all():
        low, high = map(float, clopper_pearson(score.sum(), n, confidence))
        return Interval(low, high, confidence, "clopper-pearson", {"samples": n})
    if n == 1:
        return Interval(0.0, math.inf, confidence, "none", {"samples": 1})
    half = float(t_quantile((1 + confidence) / 2, n - 1) * score.std(ddof=1) / math.sqrt(n))
    mean = float(score.mean())
    low, high = max(mean - half, float(score.min())), min(mean + half, float(score.max()))
    return Interval(low, high, confidence, "t", {"samples": n})
