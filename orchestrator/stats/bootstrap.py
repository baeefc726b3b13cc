from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**20
"""Counts of a block."""
T_AT_ONCE = 2**22
"""Values of t* held in memory at once."""
NO_SPREAD = 1e-6
"""A resample whose standard error is this small a part of the original's holds one value only; what is left is rounding."""

ROUNDING = 1e-9
"""Values whose standard error is this small a part of their mean do not vary; what is left is rounding."""


def resample_counts(random: np.random.Generator, size: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each of ``size`` values is in each of so many resamples, in blocks [some, size]; every row sums to ``size``."""
    step = max(1, BLOCK // size)
    for done in range(0, resamples, step):
        some = min(step, resamples - done)
        drawn = random.integers(size, size=(some, size)) + size * np.arange(some)[:, None]
        yield np.bincount(drawn.ravel(), minlength=some * size).reshape(some, size).astype(np.float64)


def bootstrap_t_limits(
    values: NDArray[np.float64], counts: Iterable[NDArray[np.float64]], confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the limits of a bootstrap-t interval of the mean of each row.

    t* = (mean* - mean)/se* of each resample; the limits are mean - t*_(k) se for the two ranks k that cut off (resamples + 1)
    (1 - confidence)/2 at either end. Efron and Tibshirani, *An Introduction to the Bootstrap*, section 12.5. All rows share the
    resamples, so that the means of all of them are one product of matrices.

    Parameters
    ----------
    values : [M, R]
        at least two in a row.
    counts
        blocks [some, R] of resamples, as `resample_counts` yields them; with 19,999 no rank needs interpolation at 95 %. All are held
        at once, and t* of as many rows as make 2^22 values.
    confidence
        as a fraction.

    Returns
    -------
    [M], [M] low and high limits. Both are infinite where one would be: rows without variance, or with so few distinct values that
    too many resamples have none.

    Examples
    --------
    >>> low, high = bootstrap_t_limits(np.arange(20.0)[None], resample_counts(np.random.default_rng(0), 20, 4999), 0.95)
    >>> low.round(), high.round()
    (array([7.]), array([12.]))
    """
    mean = values.mean(axis=1)
    error = values.std(axis=1, ddof=1) / math.sqrt(values.shape[1])
    centred = values - mean[:, None]
    blocks = list(counts)
    resamples = sum(map(len, blocks))
    cut = max(1, int((resamples + 1) * (1 - confidence) / 2 + 1e-9))
    step = max(1, T_AT_ONCE // max(1, resamples))
    places = [slice(done, done + step) for done in range(0, len(values), step)]
    ends = [_ends([_studentized(centred[some], error[some], block) for block in blocks], cut) for some in places]
    lowest, highest = np.concatenate([np.empty((2, 0)), *ends], axis=1)
    finite = (error > ROUNDING * np.abs(mean)) & np.isfinite(lowest) & np.isfinite(highest)
    steps = np.where(finite, [highest, lowest], [[np.inf], [-np.inf]])
    low, high = mean - steps * np.where(finite, error, 1.0)
    return low, high


def _ends(blocks: list[NDArray[np.float64]], cut: int) -> NDArray[np.float64]:
    """Return the t* of rank ``cut`` from either end, [2, M], of all blocks [some, M] together."""
    t = np.concatenate(blocks)
    t.partition((cut - 1, len(t) - cut), axis=0)
    return t[[cut - 1, -cut]]


def _studentized(centred: NDArray[np.float64], error: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return t*, [some, M], of rows centred at 0, [M, R]: where a resample has no spread, 0 if it hits the mean, else infinite."""
    rounds = centred.shape[1]
    means = counts @ centred.T / rounds
    variances = np.maximum(counts @ (centred**2).T / rounds - means**2, 0) * rounds / (rounds - 1)
    errors = np.sqrt(variances / rounds)
    no_spread = errors <= NO_SPREAD * error
    hits = no_spread & (np.abs(means) <= NO_SPREAD * error)
    t: NDArray[np.float64] = np.where(no_spread, np.copysign(np.inf, means), means / np.where(no_spread, 1.0, errors))
    t[hits] = 0.0
    return t
