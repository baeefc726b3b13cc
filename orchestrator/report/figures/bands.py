"""Intervals of mean tail quality at many thresholds of one trial at once, by the rule of ``rounds_interval``."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from orchestrator.analysis.quality import Stake
from orchestrator.report.figures.chart import Floats
from orchestrator.stats.intervals import ROUNDING, ROUNDS_WITH_LOSS, rounds_interval

RESAMPLES = 999
"""Of a band's bootstrap; the figures of tables have 4,999."""
NO_SPREAD = 1e-6
"""A resample's standard error below this share of the data's is none: its variance comes as a difference of squares."""


def bands(curve: Floats, ideal: float, stake: Stake, seed: int, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Return 95 % limits of mean tail quality at every threshold.

    Bootstrap-t where at least 6 rounds lost something, with the same resamples for all thresholds, so that all of them cost two
    products of matrices; otherwise what `rounds_interval` finds without resampling.

    Parameters
    ----------
    curve : [G, R]
        tail quality per threshold and round.
    ideal
        quality without a threshold.
    stake
        what a round can lose.
    seed
        of the resamples, which trials of equal numbers of rounds share.
    confidence
        as a fraction.

    Returns
    -------
    [G], [G] lower and upper limits.
    """
    low, high = np.zeros(len(curve)), np.zeros(len(curve))
    best = np.maximum(ideal, curve.max(axis=1))
    lossy = (ideal - curve > ROUNDING * ideal).sum(axis=1) >= ROUNDS_WITH_LOSS
    drawn = np.flatnonzero(lossy & stake.balanced & (np.ptp(curve, axis=1) > ROUNDING * max(ideal, ROUNDING)))
    if drawn.size:
        low[drawn], high[drawn] = bootstrap_t_limits_of_all(curve[drawn], resample_counts(seed, curve.shape[1]), confidence)
    known: dict[bytes, tuple[float, float]] = {}
    for index in np.setdiff1d(np.arange(len(curve)), drawn[np.isfinite(low[drawn]) & np.isfinite(high[drawn])]):
        row = np.sort(curve[index])
        if row.tobytes() not in known:
            # Unbalanced tells the rule to leave the bootstrap out, which these rounds give no limit.
            found = rounds_interval(row, ideal, stake.answers, np.random.default_rng(seed), balanced=False, confidence=confidence)
            known[row.tobytes()] = (found.low, found.high)
        low[index], high[index] = known[row.tobytes()]
    # Products of matrices may differ in their last digits from machine to machine; pages should not.
    return np.clip(low, 0, best).round(12), np.clip(high, 0, best).round(12)


def bootstrap_t_limits_of_all(curve: Floats, counts: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return bootstrap-t limits of the mean of every row: Efron and Tibshirani, *An Introduction to the Bootstrap*, section 12.5.

    Parameters
    ----------
    curve : [M, R]
        values that vary within each row.
    counts : [B, R]
        how often each resample holds each round; every row sums to R.
    confidence
        as a fraction.

    Returns
    -------
    [M], [M] limits, infinite where too many resamples have no spread.
    """
    resamples, rounds = counts.shape
    mean = curve.mean(axis=1)
    centred = (curve - mean[:, None]).T
    error = curve.std(axis=1, ddof=1) / math.sqrt(rounds)
    means = counts @ centred / rounds
    variances = np.maximum(counts @ centred**2 / rounds - means**2, 0) * rounds / (rounds - 1)
    errors = np.sqrt(variances / rounds)
    no_spread = errors <= NO_SPREAD * error
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(no_spread, np.copysign(np.inf, means), means / errors)
    t[no_spread & (np.abs(means) <= NO_SPREAD * error)] = 0
    cut = max(1, int((resamples + 1) * (1 - confidence) / 2 + 1e-9))
    ordered = np.partition(t, [cut - 1, resamples - cut], axis=0)
    return mean - ordered[resamples - cut] * error, mean - ordered[cut - 1] * error


@lru_cache(maxsize=4)
def resample_counts(seed: int, rounds: int, resamples: int = RESAMPLES) -> Floats:
    """Return how often each resample of a number of rounds holds each of them, [B, R]."""
    random = np.random.default_rng([seed, rounds])
    chosen = random.integers(rounds, size=(resamples, rounds))
    chosen += rounds * np.arange(resamples)[:, None]
    return np.bincount(chosen.ravel(), minlength=resamples * rounds).reshape(resamples, rounds).astype(np.float64)
