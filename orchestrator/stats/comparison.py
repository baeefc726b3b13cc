from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.korn_graubard import ROUNDING, check_confidence
from orchestrator.stats.laws import t_quantile, t_sf
from orchestrator.stats.long_run import Spread

Floats: TypeAlias = NDArray[np.float64]
Method: TypeAlias = Literal["welch", "paired t", "two-way bootstrap", "two-way variance", "exact", "none"]

BLOCK = 2**20
"""Counts held in memory at once."""
RESAMPLES = 4999
MANY_ANSWERS = 10**5
"""Answers of both trials from which on the variance of all resamples takes the place of drawing them."""


@dataclass(frozen=True)
class Difference:
    """A difference b - a of mean tail quality with a two-sided confidence interval: negative means that b is worse.

    method
        ``none`` where the data say nothing about the spread (the interval is then infinite), ``exact`` where no round differs from
        another and the caller does not tell what an answer is worth (the interval is then one point, and says nothing of losses too rare to
        have been seen).

    ``parameters`` holds what the method was given and estimated, as plain numbers.
    """

    difference: float
    low: float
    high: float
    confidence: float
    method: Method
    parameters: Mapping[str, float] = field(default_factory=dict)


def compare_rounds(
    qualities_a: ArrayLike,
    qualities_b: ArrayLike,
    *,
    paired: bool = False,
    confidence: float = 0.95,
    resolution: float = 0.0,
    spreads: tuple[Spread | None, Spread | None] = (None, None),
) -> Difference:
    """Return the difference of two trials on *this data set*: the rounds are what could have come out otherwise.

    Welch's t with Satterthwaite's degrees of freedom (Welch, Biometrika 34, 1947); `paired`, Student's t on the differences by
    round. Scope: these samples, these two processes, this period; that a fresh process differs from the last is not in it, so it
    is no basis for a gate (`gate.gate`). Where rounds hardly lose anything, t is too sure of itself: a side's variance is that of
    one answer in all its rounds at least, if the caller tells what an answer is worth.

    Parameters
    ----------
    qualities_a : [Ra]
        tail quality of each round of one trial, at one threshold that was frozen beforehand.
    qualities_b : [Rb]
        of the other, at the same threshold.
    paired
        whether round (or visit) r of one ran beside round r of the other: only where they took turns on one host.
    confidence
        as a fraction.
    resolution
        change of a round's quality by one answer, 1 / samples for scores of 0 and 1.
    spreads
        variance of either mean and its degrees of freedom, where the side's rounds depend on each other; not of pairs.

    Returns
    -------
    b - a, with ``t``, ``df`` and the two-sided ``p_value`` in its parameters where there is a spread to compare with.

    Raises
    ------
    InputError
        if a side has no rounds, a quality is not finite, pairs are incomplete, or a parameter is out of range.

    Examples
    --------
    >>> found = compare_rounds([0.8, 0.9, 0.85], [0.7, 0.8, 0.75])
    >>> found.method, round(found.difference, 3), round(found.low, 3), round(found.high, 3)
    ('welch', -0.1, -0.213, 0.013)
    """
    a, b = _qualities(qualities_a), _qualities(qualities_b)
    check_confidence(confidence)
    if paired and a.size != b.size:
        raise InputError(f"paired comparison of {a.size} with {b.size} rounds: every round needs its partner; compare them unpaired")
    if not 0 <= resolution < math.inf:
        raise InputError(f"resolution {resolution}: must be a number that is not negative")
    parts = [b - a] if paired else [a, b]
    difference = float(b.mean() - a.mean())
    rounds = {"rounds_a": a.size, "rounds_b": b.size}
    if min(a.size, b.size) == 1:
        return Difference(difference, -math.inf, math.inf, confidence, "none", rounds)
    scale = ROUNDING * max(float(np.abs(a).max()), float(np.abs(b).max()))
    least = [(resolution / side.size) ** 2 for side in (a, b)]
    floors = [sum(least)] if paired else least
    spread = [float(part.var(ddof=1)) / part.size if np.ptp(part) > scale else 0.0 for part in parts]
    known = [part.size - 1.0 for part in parts]
    if not paired:
        spread = [own if given is None else given.variance for own, given in zip(spread, spreads, strict=True)]
        known = [own if given is None else given.degrees for own, given in zip(known, spreads, strict=True)]
    variances = [max(pair) for pair in zip(spread, floors, strict=True)]
    error = math.sqrt(sum(variances))
    if error == 0:
        return Difference(difference, difference, difference, confidence, "exact", rounds)
    degrees = 1 / sum((variance / sum(variances)) ** 2 / of_side for variance, of_side in zip(variances, known, strict=True))
    method: Method = "paired t" if paired else "welch"
    half = float(t_quantile((1 + confidence) / 2, degrees)) * error
    p_value = float(2 * t_sf(abs(difference) / error, degrees))
    found = rounds | {"t": difference / error, "df": degrees, "p_value": p_value}
    return Difference(difference, difference - half, difference + half, confidence, method, found)


def compare_samples(
    on_time_scores_a: ArrayLike,
    on_time_scores_b: ArrayLike,
    random: np.random.Generator,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Difference:
    """Return the difference of two trials on *samples like these*: samples and rounds could have come out otherwise.

    Two-way bootstrap. A resample draws samples, the same ones for both trials, and rounds, independently for each; the limits
    are the ranks that cut off (resamples + 1) (1 - confidence)/2 of the resampled differences at either end. Owen, "The
    Pigeonhole Bootstrap", Annals of Applied Statistics 1, 2007: the part of the variance that belongs to single answers is
    counted about three times, so that the interval is too wide where that part rules. Where few samples come out otherwise on the
    two sides (``samples_that_differ`` below about 10), it is too narrow; where no resample differs from another there is none.

    A resample is how often each round and each sample was drawn: its mean is n_rounds' M n_samples / (R S), and a block of resamples a
    matrix product. Trials of 100,000 answers and more take no draws: see `compare_many_samples`.

    Parameters
    ----------
    on_time_scores_a : [Ra, S]
        score of each sample in each round of one trial at one threshold that was frozen beforehand, 0 where it was late.
    on_time_scores_b : [Rb, S]
        of the other: the same samples in the same order, the same threshold.
    random
        source of the resamples.
    confidence
        as a fraction.
    resamples
        how many; with 4,999 no rank needs interpolation at 95 %.

    Raises
    ------
    InputError
        if the samples are not the same number, a side has no rounds or samples, a score is not finite, or the confidence is no
        fraction or too high for so few resamples.

    Examples
    --------
    >>> scores = np.tile(np.arange(40) % 10 > 0, (30, 1)).astype(float)
    >>> slower = scores * (np.arange(1200).reshape(30, 40) % 7 > 0)
    >>> found = compare_samples(scores, slower, np.random.default_rng(0))
    >>> round(found.difference, 3), found.low < found.difference < found.high < 0
    (-0.128, True)
    """
    a, b = _both_sides(on_time_scores_a, on_time_scores_b, confidence)
    tail = (resamples + 1) * (1 - confidence) / 2
    if tail < 1 - 1e-9:
        raise InputError(f"confidence {confidence} from {resamples} resamples: at least {math.ceil(2 / (1 - confidence)) - 1} are needed")
    if min(a.size, b.size) >= MANY_ANSWERS:
        return compare_many_samples(a, b, confidence=confidence)
    samples = a.shape[1]
    difference = float(b.mean() - a.mean())
    given = _given(len(a), len(b), a.mean(axis=0), b.mean(axis=0)) | {"resamples": resamples}
    if min(len(a), len(b), samples) == 1:
        return Difference(difference, -math.inf, math.inf, confidence, "none", given)
    step = max(1, BLOCK // (samples + len(a) + len(b)))
    drawn = [_resampled(a, b, random, min(step, resamples - done)) for done in range(0, resamples, step)]
    ordered = np.sort(np.concatenate(drawn))
    if ordered[-1] - ordered[0] <= ROUNDING * max(float(np.abs(a).max()), float(np.abs(b).max())):
        return Difference(difference, -math.inf, math.inf, confidence, "none", given)
    cut = int(tail + 1e-9)
    return Difference(difference, float(ordered[cut - 1]), float(ordered[-cut]), confidence, "two-way bootstrap", given)


def compare_many_samples(on_time_scores_a: ArrayLike, on_time_scores_b: ArrayLike, *, confidence: float = 0.95) -> Difference:
    """Return what `compare_samples` does for trials of many answers, without a draw: its resamples' variance, and normal limits.

    A resampled mean is bilinear in how often each round and each sample is drawn, and those counts are multinomial. So the variance
    over all possible resamples is known: of scores X around their mean, with row sums r and column sums c,
    ((1 - 1/R) sum c^2 + (1 - 1/S) sum r^2 + sum X^2) / (R S)^2 for one trial, and sum c_a c_b / (Ra Rb S^2) for the covariance that
    two trials owe to their common samples. Owen, "The Pigeonhole Bootstrap", Annals of Applied Statistics 1, 2007, section 3.

    From 100,000 answers on, limits lie within 3 % of the interval's width of those of 4,999 resamples (see docs/adr/014).

    Parameters and errors are those of `compare_samples`.

    Examples
    --------
    >>> scores = np.tile(np.arange(400) % 10 > 0, (300, 1)).astype(float)
    >>> slower = scores * (np.arange(120_000).reshape(300, 400) % 7 > 0)
    >>> found = compare_many_samples(scores, slower)
    >>> round(found.difference, 3), round(found.low, 3), round(found.high, 3)
    (-0.129, -0.133, -0.124)
    """
    return compare_answered(answered(on_time_scores_a), answered(on_time_scores_b), confidence=confidence)


@dataclass(frozen=True)
class Answered:
    """All that a comparison of many answers needs of one trial at one threshold: what is compared with many is looked at once.

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
    """Return what `compare_answered` needs of scores, [R, S]; errors are those of `compare_samples`."""
    scores = _on_time_scores(on_time_scores)
    mean, largest = float(scores.mean()), max(float(scores.max()), -float(scores.min()))
    variance, columns = _resampling_variance(scores - mean)
    return Answered(len(scores), mean, largest, variance, columns, scores.mean(axis=0))


def compare_answered(a: Answered, b: Answered, *, confidence: float = 0.95) -> Difference:
    """Return what `compare_many_samples` does."""
    check_confidence(confidence)
    _check_same_samples(a.columns.size, b.columns.size)
    difference = b.mean - a.mean
    given = _given(a.rounds, b.rounds, a.by_sample, b.by_sample)
    variance = a.variance + b.variance - 2 * float(a.columns @ b.columns) / a.answers / b.answers
    least = (ROUNDING * max(a.largest, b.largest)) ** 2
    if min(a.rounds, b.rounds, a.columns.size) == 1 or variance <= least:
        return Difference(difference, -math.inf, math.inf, confidence, "none", given)
    half = float(scipy.special.ndtri((1 + confidence) / 2)) * math.sqrt(variance)
    return Difference(difference, difference - half, difference + half, confidence, "two-way variance", given)


def _resampling_variance(centred: Floats) -> tuple[float, Floats]:
    """Return the variance of a resampled mean of scores [R, S] less their mean, and their column sums, [S]."""
    rounds, samples = centred.shape
    rows, columns = centred.sum(axis=1), centred.sum(axis=0)
    by_round, by_sample = (1 - 1 / samples) * float(rows @ rows), (1 - 1 / rounds) * float(columns @ columns)
    return (by_round + by_sample + float(np.vdot(centred, centred))) / centred.size**2, columns


def _resampled(a: Floats, b: Floats, random: np.random.Generator, resamples: int) -> Floats:
    """Return differences of resampled means, [resamples]."""
    samples = _times_drawn(random, a.shape[1], resamples)
    mean_a, mean_b = (((side @ samples.T).T * _times_drawn(random, len(side), resamples)).sum(axis=1) / side.size for side in (a, b))
    difference: Floats = mean_b - mean_a
    return difference


def _times_drawn(random: np.random.Generator, size: int, resamples: int) -> NDArray[np.int64]:
    """Return how often each of ``size`` is in a resample of as many, [resamples, size]."""
    drawn = random.integers(size, size=(resamples, size)) + size * np.arange(resamples)[:, None]
    counts: NDArray[np.int64] = np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size)
    return counts


def _both_sides(on_time_scores_a: ArrayLike, on_time_scores_b: ArrayLike, confidence: float) -> tuple[Floats, Floats]:
    a, b = _on_time_scores(on_time_scores_a), _on_time_scores(on_time_scores_b)
    check_confidence(confidence)
    _check_same_samples(a.shape[1], b.shape[1])
    return a, b


def _check_same_samples(in_a: int, in_b: int) -> None:
    if in_a != in_b:
        raise InputError(f"comparison of {in_a} with {in_b} samples: both trials must have the same samples")


def _given(rounds_a: int, rounds_b: int, by_sample_a: Floats, by_sample_b: Floats) -> dict[str, float]:
    """Return what a comparison of samples was made of, from the mean score of each sample, [S]."""
    differ = int(np.count_nonzero(np.abs(by_sample_b - by_sample_a) > ROUNDING))
    return {"rounds_a": rounds_a, "rounds_b": rounds_b, "samples": by_sample_a.size, "samples_that_differ": differ}


def _qualities(qualities: ArrayLike) -> Floats:
    checked = np.asarray(qualities, dtype=np.float64)
    if checked.ndim != 1 or not checked.size or not np.isfinite(checked).all():
        raise InputError(f"qualities of shape {checked.shape}: one finite number per round is needed, and at least one round")
    return checked


def _on_time_scores(scores: ArrayLike) -> Floats:
    checked = np.asarray(scores, dtype=np.float64)
    if checked.ndim != 2 or not checked.size or not np.isfinite(checked).all():
        raise InputError(f"on-time scores of shape {checked.shape}: a finite number per round and sample is needed, at least one of each")
    return checked


def holm_adjusted(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted for being several: reject, at a family-wise level, the tests adjusted to at most that.

    In ascending order, p~_k = max over j <= k of min(1, (m - j + 1) p_j). Holm, "A Simple Sequentially Rejective Multiple Test
    Procedure", Scandinavian Journal of Statistics 6, 1979.

    Parameters
    ----------
    p_values : [m]
        of the tests of one family.

    Returns
    -------
    [m] adjusted values in the order given.

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
