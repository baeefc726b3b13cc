from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.bootstrap import bootstrap_t_limits, resample_counts
from orchestrator.stats.korn_graubard import ROUNDING, Interval, Method, check_confidence, clopper_pearson, korn_graubard
from orchestrator.stats.laws import t_quantile
from orchestrator.stats.long_run import Visits, constant, long_run_spreads

RESAMPLES = 19_999
"""From seed to seed limits then move by about 2 % of the width; with 4,999 by about 4 %. See docs/adr/031."""
ROUNDS_WITH_LOSS = 6
"""Bootstrap-t needs this many rounds that lost something."""
MOST_RESAMPLED = 200
"""Of more rounds Student's t serves: their mean is as good as normal, and needs no resamples."""
LOSSES_FOR_T = 20
"""Student's t needs this many rounds that lost something, for it knows no skewness: with fewer it covers as little as 90 %."""


def rounds_interval(
    qualities: ArrayLike,
    ideal: float,
    at_stake: float,
    random: np.random.Generator,
    *,
    balanced: bool = True,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return an interval of mean tail quality over rounds at one threshold; parameters and errors are those of `rounds_intervals`.

    Examples
    --------
    >>> qualities = 0.9 - np.arange(30) / 300
    >>> found = rounds_interval(qualities, 0.9, 18.0, np.random.default_rng(0))
    >>> found.method, round(found.low, 2), round(found.high, 2)
    ('bootstrap-t', 0.84, 0.86)
    """
    quality = np.asarray(qualities, dtype=np.float64)
    if quality.ndim != 1:
        raise InputError(f"interval over rounds of shape {quality.shape}: needs [rounds] qualities, finite and not negative, at least one")
    [found] = rounds_intervals(quality[None], ideal, at_stake, random, balanced=balanced, confidence=confidence, resamples=resamples)
    return found


def rounds_intervals(
    qualities: ArrayLike,
    ideal: float,
    at_stake: float,
    random: np.random.Generator,
    *,
    balanced: bool = True,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> list[Interval]:
    """Return intervals of mean tail quality over rounds, one per threshold: these samples, this process, this period.

    With the loss of a round L_r = ideal - Q_r: bootstrap-t where at least 6 rounds lost something, of more than 200 rounds Student's
    t where at least 20 did, otherwise Korn-Graubard.
    Bootstrap-t also gives way where it has no finite limit (rounds without variance, or so few distinct losses that too many
    resamples have none), and where answers weigh unequally: rounds that only lost light answers do not show what a heavy one costs.

    Parameters
    ----------
    qualities : [M, R]
        tail quality of each round at each threshold. All thresholds share the resamples.
    ideal
        quality without a threshold.
    at_stake
        answers that a round can lose: (sum of w)^2 / sum of w^2 of what each costs, which is their number where all weigh alike.
    random
        source of the resamples.
    balanced
        whether answers weigh about alike.
    confidence
        as a fraction.
    resamples
        of the bootstrap, which serves up to 200 rounds.

    Returns
    -------
    Limits within 0 and the ideal, which no round of a mean over samples exceeds. Metrics that are no mean (F1, mAP) may gain when
    a wrong answer comes late: theirs are those of `signed_intervals.signed_intervals`.

    Raises
    ------
    InputError
        if there are no rounds, a quality is not finite or negative, or there is nothing at stake although the ideal is
        positive.

    Examples
    --------
    >>> qualities = [[0.9] * 30, 0.9 - np.arange(30) / 300]
    >>> [found.method for found in rounds_intervals(qualities, 0.9, 18.0, np.random.default_rng(0))]
    ['korn-graubard', 'bootstrap-t']
    """
    curve = np.asarray(qualities, dtype=np.float64)
    check_confidence(confidence)
    if curve.ndim != 2 or not curve.shape[1] or not np.isfinite(curve).all() or curve.min(initial=0) < 0:
        raise InputError(
            f"interval over rounds of shape {curve.shape[1:]}: needs [rounds] qualities, finite and not negative, at least one"
        )
    if not math.isfinite(ideal) or math.isnan(at_stake):
        raise InputError(f"interval of an ideal quality of {ideal} with {at_stake} answers at stake: both must be numbers")
    if ideal > 0 and at_stake <= 0:
        raise InputError(f"interval of an ideal quality of {ideal} with {at_stake} answers at stake: both must be positive")
    rounds = curve.shape[1]
    best = np.maximum(ideal, curve.max(axis=1))
    loss = ideal - curve
    loss[np.abs(loss) < ROUNDING * ideal] = 0
    low, high = np.full(len(curve), -math.inf), np.full(len(curve), math.inf)
    few = rounds <= MOST_RESAMPLED
    enough = (loss > 0).sum(axis=1) >= (ROUNDS_WITH_LOSS if few else LOSSES_FOR_T)
    chosen = np.flatnonzero(balanced & (ideal > 0) & (rounds > 1) & enough)
    method: Method = "bootstrap-t" if few else "t"
    given = {"rounds": rounds} | ({"resamples": resamples} if few else {})
    if chosen.size and few:
        low[chosen], high[chosen] = bootstrap_t_limits(curve[chosen], resample_counts(random, rounds, resamples), confidence)
    elif chosen.size:
        low[chosen], high[chosen] = t_limits(curve[chosen], confidence)
    return [
        Interval(max(float(low[index]), 0.0), min(float(high[index]), top), confidence, method, given)
        if math.isfinite(low[index])
        else _without_resampling(loss[index], ideal, at_stake, top, confidence)
        for index, top in enumerate(best.tolist())
    ]


def t_limits(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the limits of Student's t interval of the mean of each row, [M] and [M], from values [M, R] of at least two in a row.

    Both are infinite where a row does not vary: values that are all alike do not say how well their mean is known.

    Examples
    --------
    >>> low, high = t_limits(np.array([[1.0, 2.0, 3.0]]))
    >>> low.round(2), high.round(2)
    (array([-0.48]), array([4.48]))
    """
    mean, count = values.mean(axis=1), values.shape[1]
    half = t_quantile((1 + confidence) / 2, count - 1) * values.std(axis=1, ddof=1) / math.sqrt(count)
    half[constant(values)] = math.inf
    return mean - half, mean + half


def _without_resampling(loss: NDArray[np.float64], ideal: float, at_stake: float, best: float, confidence: float) -> Interval:
    """Return the interval of one threshold from its losses, [R], the best possible quality being known."""
    if ideal <= 0 and best <= 0:
        return Interval(0.0, 0.0, confidence, "exact")
    if ideal <= 0 or loss.size == 1:
        return Interval(0.0, best, confidence, "none", {"rounds": loss.size})
    return korn_graubard(loss, ideal, at_stake, confidence)


def intervals_of_rounds_to_come(
    qualities: ArrayLike,
    ideal: float,
    at_stake: float,
    session: Sequence[Interval],
    dependent: ArrayLike,
    visits: Visits | None = None,
    confidence: float = 0.95,
    alike: ArrayLike = False,
) -> list[Interval]:
    """Return intervals of the long-run mean of tail quality, one per threshold: that of rounds to come, not of those measured.

    Where rounds do not depend on each other, both are the same. Where they do, Korn-Graubard with the variance of the mean that
    `long_run.long_run_spreads` gives, whatever served for this session; also where quality never varied, for what may be lost in a slow
    spell is known by few spells.

    Parameters
    ----------
    qualities, ideal, at_stake, confidence
        as in `rounds_intervals`.
    session
        what that returned.
    dependent : [M]
        at which thresholds rounds depend on each other, or how far the evidence goes that they do, 0 to 1: the limits are as far between
        both intervals. See `long_run.weights_of_dependence`.
    visits : [R]
        number of each round's visit; None where there are none.
    alike : [M], or one for all
        whether times say that neighbouring visits resemble each other, see `long_run.visits_alike`; the losses are asked in any case.

    Examples
    --------
    >>> qualities = [[0.8] * 15 + [0.6] * 15]
    >>> session = rounds_intervals(qualities, 0.9, 18.0, np.random.default_rng(0))
    >>> [found] = intervals_of_rounds_to_come(qualities, 0.9, 18.0, session, np.array([True]))
    >>> found.method, found.unit, round(found.low, 2), round(found.high, 2)
    ('korn-graubard', 'cosines', 0.47, 0.84)
    """
    loss = ideal - np.asarray(qualities, dtype=np.float64)
    loss[np.abs(loss) < ROUNDING * ideal] = 0
    found = list(session)
    weights = np.asarray(dependent, dtype=np.float64)
    chosen = np.flatnonzero((weights > 0) & (ideal > 0) & (loss.shape[1] > 1))
    if chosen.size:
        spreads = long_run_spreads(loss[chosen], visits, alike=np.broadcast_to(alike, len(loss))[chosen])
        for index, spread in zip(chosen.tolist(), spreads, strict=True):
            found[index] = between(session[index], korn_graubard(loss[index], ideal, at_stake, confidence, spread), float(weights[index]))
    return found


def between(of_independent: Interval, of_dependent: Interval, weight: float) -> Interval:
    """Return the interval that lies a part of the way from that of independent rounds to that of dependent ones, whose method it names.

    It reaches at least as far as the first on either side: nothing tells more of rounds to come than of the rounds that were measured. Two
    methods may differ otherwise, of few losses above all (ADR 093).

    Examples
    --------
    >>> found = between(Interval(0.6, 0.8, 0.95, "bootstrap-t"), Interval(0.4, 0.9, 0.95, "korn-graubard"), 0.5)
    >>> round(found.low, 2), round(found.high, 2), found.method
    (0.5, 0.85, 'korn-graubard')
    """
    low = of_independent.low + weight * min(of_dependent.low - of_independent.low, 0)
    high = of_independent.high + weight * max(of_dependent.high - of_independent.high, 0)
    return replace(of_dependent, low=low, high=high, parameters={**of_dependent.parameters, "weight": weight})


def sampling_interval(scores: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return an interval of ideal quality where the samples are a drawn subset: what other samples of the task would give.

    Clopper-Pearson for scores of 0 and 1, otherwise t on the scores, clipped to the scores' range. Both take the draw as simple
    and the task as large; a stratified draw from a small task is more precise than that.

    Parameters
    ----------
    scores : [S]
        score of each sample drawn.
    confidence
        as a fraction.

    Raises
    ------
    InputError
        if there are no scores, or one is not finite.

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
        return Interval(*clopper_pearson(float(score.sum()), n, confidence), confidence, "clopper-pearson", {"samples": n})
    if n == 1:
        return Interval(0.0, math.inf, confidence, "none", {"samples": 1})
    half = float(t_quantile((1 + confidence) / 2, n - 1) * score.std(ddof=1) / math.sqrt(n))
    low, high = max(float(score.mean()) - half, float(score.min())), min(float(score.mean()) + half, float(score.max()))
    return Interval(low, high, confidence, "t", {"samples": n})
