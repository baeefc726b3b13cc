"""The difference of two trials, and which trials of a family are worse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.constants import CONFIDENCE, FEWEST_REPEATS, POWER, ROUNDING
from orchestrator.stats.interval import check_confidence
from orchestrator.stats.laws import t_isf, t_quantile, t_sf
from orchestrator.stats.units import Floats

Method: TypeAlias = Literal["paired t", "prediction", "two-way variance", "none"]
Limits: TypeAlias = tuple[float, float]
ANYWHERE: Limits = (-math.inf, math.inf)


@dataclass(frozen=True)
class Difference:
    """A difference b - a of mean tail quality with a two-sided confidence interval: negative means that b is worse.

    method
        ``none`` where nothing shows how far the difference may lie from the truth: the interval is then all that is possible.

    ``parameters`` holds what the method was given and estimated, as plain numbers.
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
    """Return the difference of two trials whose units alternate: Student's t on the differences, V - 1 degrees of freedom.

    Snedecor and Cochran, *Statistical Methods*, section 6.3. Units are visits of one cycle, or repeats that take turns. Pairs that
    all agree show no noise, which is not the same as having none: the standard error is at least what one answer makes on either
    side.

    Parameters
    ----------
    a, b : [V]
        mean quality of each unit, in the same order.
    resolution
        change of a unit's mean by one answer.
    within
        least and greatest difference that is possible, -ideal of a and the ideal of b; limits are clipped to them.

    Returns
    -------
    b - a, with ``t``, ``df``, ``se`` and the two-sided ``p_value`` among its parameters; fewer than 3 pairs show nothing.

    Examples
    --------
    >>> found = paired([0.80, 0.84, 0.82], [0.79, 0.83, 0.80])
    >>> round(found.difference, 4), round(found.low, 3), round(found.high, 3)
    (-0.0133, -0.028, 0.001)
    """
    before, after = _finite(a), _finite(b)
    if before.size != after.size:
        raise InputError(f"paired comparison of {before.size} with {after.size} units: every unit needs its partner")
    least = math.sqrt(2) * _not_negative(resolution) / before.size
    each = after - before
    error = max(_sd(each, before) / math.sqrt(before.size), least)
    return _student("paired t", float(each.mean()), error, before.size, confidence, within)


def one_more(
    a: ArrayLike,
    b: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    resolution: float = 0.0,
    within: Limits = ANYWHERE,
) -> Difference:
    """Return the difference of one more campaign from K earlier ones: s sqrt(1 + 1/K) is its standard error, K - 1 degrees of freedom.

    The prediction of a further observation: Hahn and Meeker, *Statistical Intervals*, section 4.7.

    Parameters
    ----------
    a : [K]
        means of the earlier campaigns.
    b : [repeats]
        means of the repeats of the one more.
    resolution
        change of a repeat's mean by one answer.

    Examples
    --------
    >>> found = one_more([0.80, 0.84, 0.82], [0.80, 0.78])
    >>> round(found.difference, 4), round(found.parameters["se"], 4)
    (-0.03, 0.0231)
    """
    before, after = _finite(a), _finite(b)
    sd = max(_sd(before, before), _not_negative(resolution) / after.size)
    error = sd * math.sqrt(1 + 1 / before.size)
    return _student("prediction", float(after.mean() - before.mean()), error, before.size, confidence, within)


def untested(difference: float, units: int = 0) -> Difference:
    """Return a difference that nothing tests: it has no limits."""
    return Difference(difference, *ANYWHERE, CONFIDENCE, "none", {"units": units})


def _student(method: Method, difference: float, error: float, count: int, confidence: float, within: Limits) -> Difference:
    """Return a difference with the limits of Student's t; without limits where fewer than 3 units, or no noise, say nothing of it."""
    check_confidence(confidence)
    if count < FEWEST_REPEATS or error == 0:
        return Difference(difference, *within, confidence, "none", {"units": count})
    difference = difference if abs(difference) > ROUNDING else 0.0
    half, t = float(t_quantile((1 + confidence) / 2, count - 1)) * error, difference / error
    given = {"units": count, "se": error, "t": t, "df": count - 1, "p_value": float(2 * t_sf(abs(t), count - 1))}
    low, high = max(difference - half, min(within[0], difference)), min(difference + half, max(within[1], difference))
    return Difference(difference, low, high, confidence, method, given)


def _sd(values: Floats, scale: Floats) -> float:
    """Return the standard deviation of some values, 0 where they differ by rounding alone."""
    differ = values.size > 1 and np.ptp(values) > ROUNDING * max(1.0, float(np.abs(scale).max()))
    return float(values.std(ddof=1)) if differ else 0.0


def _not_negative(resolution: float) -> float:
    if not 0 <= resolution < math.inf:
        raise InputError(f"resolution {resolution}: must be a number that is not negative")
    return resolution


@dataclass(frozen=True)
class Answered:
    """All that a comparison on *samples like these* needs of one trial at one threshold.

    rounds
        how many there are.
    mean, largest
        of the scores; the largest by its absolute value.
    variance
        of a resampled mean.
    columns, by_sample : [S]
        sums of the scores around their mean, and means, over rounds.
    """

    rounds: int
    mean: float
    largest: float
    variance: float
    columns: Floats
    by_sample: Floats

    @property
    def answers(self) -> int:
        """How many scores there were."""
        return self.rounds * self.columns.size


def answered(on_time_scores: ArrayLike) -> Answered:
    """Return what `compare_answered` needs of scores, [R, S], 0 where an answer was late."""
    scores = np.asarray(on_time_scores, dtype=np.float64)
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise InputError(f"on-time scores of shape {scores.shape}: a finite number per round and sample is needed, at least one of each")
    mean, largest = float(scores.mean()), float(np.abs(scores).max())
    centred = scores - mean
    rounds, samples = centred.shape
    rows, columns = centred.sum(axis=1), centred.sum(axis=0)
    by_round, by_sample = (1 - 1 / samples) * float(rows @ rows), (1 - 1 / rounds) * float(columns @ columns)
    variance = (by_round + by_sample + float(np.vdot(centred, centred))) / centred.size**2
    return Answered(len(scores), mean, largest, variance, columns, scores.mean(axis=0))


def compare_answered(a: Answered, b: Answered, *, confidence: float = CONFIDENCE, within: Limits = ANYWHERE) -> Difference:
    """Return the difference of two trials on *samples like these*: samples and rounds could have come out otherwise.

    The variance of the two-way bootstrap in closed form, and normal limits: of scores X around their mean, with row sums r and column
    sums c, ((1 - 1/R) sum c^2 + (1 - 1/S) sum r^2 + sum X^2)/(R S)^2 of one trial, less twice sum c_a c_b/(R_a R_b S^2) that two trials
    owe to their common samples (Owen, "The Pigeonhole Bootstrap", Annals of Applied Statistics 1, 2007, section 3). It is too wide
    where single answers rule the variance, and too narrow where few samples come out otherwise (``samples_that_differ`` below 10).

    Examples
    --------
    >>> scores = np.tile(np.arange(400) % 10 > 0, (300, 1)).astype(float)
    >>> slower = scores * (np.arange(120_000).reshape(300, 400) % 7 > 0)
    >>> found = compare_answered(answered(scores), answered(slower))
    >>> round(found.difference, 3), round(found.low, 3), round(found.high, 3)
    (-0.129, -0.133, -0.124)
    """
    check_confidence(confidence)
    if a.columns.size != b.columns.size:
        raise InputError(f"comparison of {a.columns.size} with {b.columns.size} samples: both trials must have the same samples")
    difference = b.mean - a.mean
    differ = int(np.count_nonzero(np.abs(b.by_sample - a.by_sample) > ROUNDING))
    given = {"rounds_a": a.rounds, "rounds_b": b.rounds, "samples": a.columns.size, "samples_that_differ": differ}
    variance = a.variance + b.variance - 2 * float(a.columns @ b.columns) / a.answers / b.answers
    least = (ROUNDING * max(a.largest, b.largest)) ** 2
    if min(a.rounds, b.rounds, a.columns.size) == 1 or variance <= least:
        return Difference(difference, *within, confidence, "none", given)
    half = float(scipy.special.ndtri((1 + confidence) / 2)) * math.sqrt(variance)
    low, high = max(difference - half, within[0]), min(difference + half, within[1])
    return Difference(difference, low, high, confidence, "two-way variance", given)


def holm_adjusted(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted for being several: reject, at a family-wise level, the tests adjusted to at most that.

    In ascending order, max over j <= k of min(1, (m - j + 1) p_j). Holm, "A Simple Sequentially Rejective Multiple Test Procedure",
    Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> holm_adjusted([0.01, 0.5, 0.02]).round(3)
    array([0.03, 0.5 , 0.04])
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise InputError(f"p-values of shape {p.shape}: must be [tests], each between 0 and 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return adjusted


def _finite(values: ArrayLike) -> Floats:
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim != 1 or not checked.size or not np.isfinite(checked).all():
        raise InputError(f"means of units of shape {checked.shape}: one finite number per unit is needed, and at least one")
    return checked


LEVEL = 1 - CONFIDENCE
"""Probability that any trial of a family without a change has a verdict."""
Design: TypeAlias = Literal["pairs", "earlier campaigns"]
"""How replicates belong together: repeats that alternate, or the means of campaigns of other days and the repeats of one more."""
Outcome: TypeAlias = Literal["worse", "better", "no difference shown", "no verdict: noise floor unknown", "no verdict: measured apart"]
"""The last is that of replicates without a design, which no gate takes."""


@dataclass(frozen=True)
class Replicates:
    """Mean quality of each replicate of one trial, at one threshold that was fixed beforehand.

    resolution
        change of a repeat's mean by one answer.
    within
        least and greatest difference that is possible.
    """

    a: Sequence[float]
    b: Sequence[float]
    design: Design = "pairs"
    resolution: float = 0.0
    within: Limits = ANYWHERE

    def difference(self, confidence: float) -> Difference:
        """Return the difference b - a by the test of the design."""
        test = paired if self.design == "pairs" else one_more
        return test(self.a, self.b, confidence=confidence, resolution=self.resolution, within=self.within)


@dataclass(frozen=True)
class Verdict:
    """What the replicates of one trial show about a change from a to b.

    found
        the difference b - a, negative where b is worse; its limits hold for all trials together (Bonferroni).
    p_value
        two-sided, adjusted by Holm's method; 1 where the noise is unknown.
    detectable_drop
        smallest drop that these replicates find with 80 % probability, their noise taken as known; else infinite.
    """

    outcome: Outcome
    found: Difference
    p_value: float = 1.0
    detectable_drop: float = math.inf


def gate(trials: Mapping[str, Replicates], level: float = LEVEL) -> dict[str, Verdict]:
    """Return for every trial whether b is worse than a, or better: two-sided, at one level for all trials with enough replicates.

    *No difference shown* does not say that there is none: see `Verdict.detectable_drop`. Limits are Bonferroni's, so that Holm's
    method may show what the limits of one trial leave open, and never the other way round.

    Examples
    --------
    >>> small = Replicates([0.86, 0.85, 0.85], [0.71, 0.70, 0.72])
    >>> large = Replicates([0.84, 0.86, 0.85], [0.85, 0.84, 0.86])
    >>> {trial: verdict.outcome for trial, verdict in gate({"small": small, "large": large}).items()}
    {'small': 'worse', 'large': 'no difference shown'}
    """
    if not 0 < level <= 0.5:
        raise InputError(f"level {level}: must be a fraction up to 0.5, such as 0.05")
    each = level / max(1, sum(len(one.a) >= FEWEST_REPEATS for one in trials.values()))
    found = {trial: one.difference(1 - each) for trial, one in trials.items()}
    known = [trial for trial, one in found.items() if one.method != "none"]
    adjusted = dict(zip(known, holm_adjusted([found[trial].parameters["p_value"] for trial in known]).tolist(), strict=True))
    return {trial: _verdict(one, adjusted.get(trial), level, each) for trial, one in found.items()}


def _verdict(found: Difference, p_value: float | None, level: float, each: float) -> Verdict:
    if p_value is None:
        return Verdict("no verdict: noise floor unknown", found)
    outcome: Outcome = "no difference shown" if p_value > level else "worse" if found.difference < 0 else "better"
    return Verdict(outcome, found, p_value, _noncentrality(each / 2, int(found.parameters["df"])) * found.parameters["se"])


@cache
def _noncentrality(level: float, degrees: int) -> float:
    """Return how many standard errors a drop measures that one tail of this level finds with 80 % probability.

    Cohen, *Statistical Power Analysis for the Behavioral Sciences*, section 2.5. Kept, as the trials of a gate share it.
    """
    critical = float(t_isf(level, degrees))
    highest = 2 * critical + 10  # far beyond it: chi-square over its degrees of freedom is rarely above 4
    return float(scipy.optimize.brentq(lambda shift: float(scipy.stats.nct.sf(critical, degrees, shift)) - POWER, 0, highest, xtol=1e-9))
