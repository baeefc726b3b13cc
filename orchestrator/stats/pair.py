"""The difference of two trials, and which trials of a family are worse."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.constants import CONFIDENCE, FEWEST_REPEATS, FEWEST_UNITS, POWER, ROUNDING
from orchestrator.stats.units import Floats, correlation_of_neighbours, t_quantile, t_sf

Method: TypeAlias = Literal["paired t", "signed ranks", "prediction", "two-way variance", "none"]
Limits: TypeAlias = tuple[float, float]
ANYWHERE: Limits = (-math.inf, math.inf)
# Probability that any trial of a family without a change has a verdict.
LEVEL = 1 - CONFIDENCE
# Repeats that alternate, or the means of campaigns of other days and the repeats of one more.
Design: TypeAlias = Literal["pairs", "earlier campaigns"]
# The last is that of replicates without a design, which no gate takes.
Outcome: TypeAlias = Literal[
    "worse",
    "better",
    "no difference shown",
    "no verdict: noise floor unknown",
    "no verdict: measured apart",
]


@dataclass(frozen=True)
class Difference:
    """A difference b - a of mean tail quality with a two-sided interval: below 0, b is worse.

    The method is ``none`` where nothing shows how far it may lie from the truth: the interval is
    then all that is possible. ``parameters`` is what the method was given and estimated.
    """

    difference: float
    low: float
    high: float
    confidence: float
    method: Method
    parameters: Mapping[str, float] = field(default_factory=dict)


def paired(
    a: ArrayLike,
    b: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    resolution: float = 0.0,
    within: Limits = ANYWHERE,
) -> Difference:
    """Return the difference of two trials whose V units alternate: Student's t on the differences.

    Snedecor and Cochran, *Statistical Methods*, section 6.3. Units are visits of one cycle, or
    repeats that take turns. Neighbouring visits may resemble each other: from 12 units on, their
    differences count as `independent` ones. Pairs that all agree show no noise, which is not the
    same as having none: the standard error is at least what one answer makes on either side.
    Fewer than 3 pairs show nothing.

    Means of units, [V], stand in the same order. One answer changes a unit's mean by
    ``resolution``. Limits are clipped to the least and greatest difference that is possible.

    >>> found = paired([0.80, 0.84, 0.82], [0.79, 0.83, 0.80])
    >>> round(found.difference, 4), round(found.low, 3), round(found.high, 3)
    (-0.0133, -0.028, 0.001)
    """
    before, after = _finite(a), _finite(b)
    each = after - before
    number = independent(each) if each.size >= FEWEST_UNITS else each.size
    error = max(_sd(each, before) / math.sqrt(number), math.sqrt(2) * resolution / each.size)
    return _student(
        "paired t", float(each.mean()), error, each.size, number - 1, confidence, within
    )


def independent(values: Floats) -> float:
    """Return as how many independent values V values in order, [V], count: V (1 - rho)/(1 + rho).

    The equivalent sample size of a mean, if values of lag k correlate by rho^k (von Storch and
    Zwiers, *Statistical Analysis in Climate Research*, section 6.6). rho is the correlation of
    neighbours, r, less its bias -(1 + 4 r)/V (Marriott and Pope, Biometrika 41, 1954), at least 0.
    At least 3 are counted.

    >>> round(independent(np.arange(20) // 2 % 2), 1), independent(np.arange(20) % 2)
    (16.0, 20.0)
    """
    size, found = values.size, float(correlation_of_neighbours(values[None])[0])
    rho = max(0.0, found + (1 + 4 * found) / size)
    return max(size * (1 - rho) / (1 + rho), FEWEST_REPEATS)


def signed_ranks(a: ArrayLike, b: ArrayLike, *, confidence: float) -> Difference:
    """Return the shift of V units that alternate: the median of the means of any two differences.

    Limits invert Wilcoxon's test (Hollander, Wolfe and Chicken, *Nonparametric Statistical
    Methods*, sections 3.2 and 3.3), by its normal approximation. A few units that met another state
    of the machine hardly move it. Units are figures without bounds, [V], in the same order.

    >>> one, other = np.arange(12) / 7, np.arange(12) / 7 + 0.1
    >>> found = signed_ranks(one, np.append(other[:-1], 9.0), confidence=0.95)
    >>> round(found.difference, 3), round(found.low, 3), round(found.high, 3)
    (0.1, 0.1, 0.1)
    """
    each = _finite(b) - _finite(a)
    size, means = each.size, np.sort(np.add.outer(each, each)[np.tril_indices(each.size)]) / 2
    deviation = math.sqrt(size * (size + 1) * (2 * size + 1) / 24)
    place = int(means.size / 2 - float(scipy.special.ndtri((1 + confidence) / 2)) * deviation)
    shift = float(np.median(means))
    if place < 1:
        return untested(shift, size)
    low, high = float(means[place - 1]), float(means[-place])
    return Difference(shift, low, high, confidence, "signed ranks", {"units": size})


def one_more(
    a: ArrayLike,
    b: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    resolution: float = 0.0,
    within: Limits = ANYWHERE,
) -> Difference:
    """Return the difference of one more campaign, the repeats b, from K earlier ones, the means a.

    s sqrt(1 + 1/K) is its standard error, K - 1 its degrees of freedom: the prediction of a further
    observation (Hahn and Meeker, *Statistical Intervals*, section 4.7). Parameters are those of
    `paired`.

    >>> found = one_more([0.80, 0.84, 0.82], [0.80, 0.78])
    >>> round(found.difference, 4), round(found.parameters["se"], 4)
    (-0.03, 0.0231)
    """
    before, after = _finite(a), _finite(b)
    error = max(_sd(before, before), resolution / after.size) * math.sqrt(1 + 1 / before.size)
    return _student(
        "prediction",
        float(after.mean() - before.mean()),
        error,
        before.size,
        before.size - 1,
        confidence,
        within,
    )


def untested(difference: float, units: int = 0) -> Difference:
    """Return a difference that nothing tests: it has no limits."""
    return Difference(difference, *ANYWHERE, CONFIDENCE, "none", {"units": units})


def _student(
    method: Method,
    difference: float,
    error: float,
    count: int,
    degrees: float,
    confidence: float,
    within: Limits,
) -> Difference:
    """Return a difference with the limits of Student's t, or none from few units or no noise."""
    if count < FEWEST_REPEATS or error == 0:
        return Difference(difference, *within, confidence, "none", {"units": count})
    difference = difference if abs(difference) > ROUNDING else 0.0
    half, t = float(t_quantile((1 + confidence) / 2, degrees)) * error, difference / error
    p_value = float(2 * t_sf(abs(t), degrees))
    given = {"units": count, "se": error, "t": t, "df": degrees, "p_value": p_value}
    low = max(difference - half, min(within[0], difference))
    high = min(difference + half, max(within[1], difference))
    return Difference(difference, low, high, confidence, method, given)


# The standard deviation of some values, 0 where they differ by rounding alone.
def _sd(values: Floats, scale: Floats) -> float:
    rounding = ROUNDING * max(1.0, float(np.abs(scale).max()))
    return float(values.std(ddof=1)) if values.size > 1 and np.ptp(values) > rounding else 0.0


def _finite(values: ArrayLike) -> Floats:
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim != 1 or not checked.size or not np.isfinite(checked).all():
        raise InputError(
            f"means of units of shape {checked.shape}: "
            "one finite number per unit is needed, and at least one"
        )
    return checked


@dataclass(frozen=True)
class Answered:
    """All that a comparison on *samples like these* needs of one trial at one threshold.

    ``largest`` is the largest score by its absolute value, ``variance`` that of a resampled mean;
    ``columns`` and ``by_sample``, [S], are sums of the scores around their mean, and means.
    """

    rounds: int
    mean: float
    largest: float
    variance: float
    columns: Floats
    by_sample: Floats


def answered(on_time_scores: ArrayLike) -> Answered:
    """Return what `compare_answered` needs of scores, [R, S], 0 where an answer was late."""
    scores = np.asarray(on_time_scores, dtype=np.float64)
    mean, largest = float(scores.mean()), float(np.abs(scores).max())
    centred = scores - mean
    rounds, samples = centred.shape
    rows, columns = centred.sum(axis=1), centred.sum(axis=0)
    of_sums = (1 - 1 / samples) * float(rows @ rows) + (1 - 1 / rounds) * float(columns @ columns)
    variance = (of_sums + float(np.vdot(centred, centred))) / centred.size**2
    return Answered(rounds, mean, largest, variance, columns, scores.mean(axis=0))


def compare_answered(
    a: Answered, b: Answered, *, confidence: float = CONFIDENCE, within: Limits = ANYWHERE
) -> Difference:
    """Return the difference of two trials on *samples like these*, with normal limits.

    The variance of the two-way bootstrap in closed form: of scores X around their mean, with row
    sums r and column sums c, ((1 - 1/R) sum c^2 + (1 - 1/S) sum r^2 + sum X^2)/(R S)^2 of one
    trial, less twice sum c_a c_b/(R_a R_b S^2) that two trials owe to their common samples (Owen,
    "The Pigeonhole Bootstrap", Annals of Applied Statistics 1, 2007, section 3). It is too wide
    where single answers rule the variance, and too narrow where few samples come out otherwise
    (``samples_that_differ`` below 10).

    >>> scores = np.tile(np.arange(400) % 10 > 0, (300, 1)).astype(float)
    >>> slower = scores * (np.arange(120_000).reshape(300, 400) % 7 > 0)
    >>> found = compare_answered(answered(scores), answered(slower))
    >>> round(found.difference, 3), round(found.low, 3), round(found.high, 3)
    (-0.129, -0.133, -0.124)
    """
    samples = a.columns.size
    difference, differing = b.mean - a.mean, np.abs(b.by_sample - a.by_sample) > ROUNDING
    given = {
        "rounds_a": a.rounds,
        "rounds_b": b.rounds,
        "samples": samples,
        "samples_that_differ": int(np.count_nonzero(differing)),
    }
    common = float(a.columns @ b.columns) / (a.rounds * samples) / (b.rounds * samples)
    variance = a.variance + b.variance - 2 * common
    least = (ROUNDING * max(a.largest, b.largest)) ** 2
    if min(a.rounds, b.rounds, samples) == 1 or variance <= least:
        return Difference(difference, *within, confidence, "none", given)
    half = float(scipy.special.ndtri((1 + confidence) / 2)) * math.sqrt(variance)
    low, high = max(difference - half, within[0]), min(difference + half, within[1])
    return Difference(difference, low, high, confidence, "two-way variance", given)


def holm_adjusted(p_values: ArrayLike) -> Floats:
    """Return p-values, [T], adjusted for being several: at a family-wise level, reject up to it.

    In ascending order, max over j <= k of min(1, (m - j + 1) p_j). Holm, "A Simple Sequentially
    Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.

    >>> holm_adjusted([0.01, 0.5, 0.02]).round(3)
    array([0.03, 0.5 , 0.04])
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted, factors = np.empty_like(p), np.arange(p.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


@dataclass(frozen=True)
class Replicates:
    """Mean quality of each replicate of one trial, at one threshold that was fixed beforehand.

    ``resolution`` and ``within`` are those of `paired`.
    """

    a: Sequence[float]
    b: Sequence[float]
    design: Design = "pairs"
    resolution: float = 0.0
    within: Limits = ANYWHERE


@dataclass(frozen=True)
class Verdict:
    """What the replicates of one trial show about a change from a to b.

    Limits of the difference hold for all trials together (Bonferroni). The p-value is two-sided,
    adjusted by Holm's method, and 1 where the noise is unknown. ``detectable_drop`` is the smallest
    that these replicates find with 80 % probability, their noise taken as known; else infinite.
    """

    outcome: Outcome
    found: Difference
    p_value: float = 1.0
    detectable_drop: float = math.inf


def gate(trials: Mapping[str, Replicates], level: float = LEVEL) -> dict[str, Verdict]:
    """Return for every trial whether b is worse than a, or better: two-sided, at one level for all.

    *No difference shown* does not say that there is none: see `Verdict.detectable_drop`. Limits are
    Bonferroni's, so that Holm's method may show what the limits of one trial leave open, and never
    the other way round.

    >>> small = Replicates([0.86, 0.85, 0.85], [0.71, 0.70, 0.72])
    >>> large = Replicates([0.84, 0.86, 0.85], [0.85, 0.84, 0.86])
    >>> [verdict.outcome for verdict in gate({"small": small, "large": large}).values()]
    ['worse', 'no difference shown']
    """
    each = level / max(1, sum(len(one.a) >= FEWEST_REPEATS for one in trials.values()))
    found = {
        trial: (paired if one.design == "pairs" else one_more)(
            one.a, one.b, confidence=1 - each, resolution=one.resolution, within=one.within
        )
        for trial, one in trials.items()
    }
    tested = {trial: one for trial, one in found.items() if one.method != "none"}
    adjusted = holm_adjusted([one.parameters["p_value"] for one in tested.values()]).tolist()
    verdicts = {one: Verdict("no verdict: noise floor unknown", of) for one, of in found.items()}
    for (trial, one), p_value in zip(tested.items(), adjusted, strict=True):
        shown: Outcome = "worse" if one.difference < 0 else "better"
        drop = _noncentrality(each / 2, int(one.parameters["df"])) * one.parameters["se"]
        outcome = "no difference shown" if p_value > level else shown
        verdicts[trial] = Verdict(outcome, one, p_value, drop)
    return verdicts


@cache
def _noncentrality(level: float, degrees: int) -> float:
    """Return how many standard errors a drop measures that one tail finds with 80 % probability.

    Cohen, *Statistical Power Analysis for the Behavioral Sciences*, section 2.5. Kept, as the
    trials of a gate share it.
    """
    critical = -float(t_quantile(level, degrees))

    def missing(shift: float) -> float:
        return float(scipy.stats.nct.sf(critical, degrees, shift)) - POWER

    # Twice and 10 is far beyond it: chi-square over its degrees of freedom is rarely above 4.
    return float(scipy.optimize.brentq(missing, 0, 2 * critical + 10, xtol=1e-9))
