from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**20
"""Counts held in memory at once."""
NO_SPREAD = 1e-6
"""A resample whose standard error is this small a part of the original's holds one value only; what is left is rounding."""

MOST_RESAMPLED = 50_000
"""Values in a row. Of more, the means of `STRETCHES` stretches or more are resampled in their place: see docs/adr/032."""
STRETCHES = 10_000

ROUNDING = 1e-9
"""Values whose standard error is this small a part of their mean do not vary; what is left is rounding."""


def resample_counts(random: np.random.Generator, size: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each of ``size`` values is in each of so many resamples, in blocks [some, size]; every row sums to ``size``.

    ``size`` is that of what `in_stretches` returns.
    """
    step = max(1, BLOCK // size)
    for done in range(0, resamples, step):
        some = min(step, resamples - done)
        drawn = random.integers(size, size=(some, size)) + size * np.arange(some)[:, None]
        yield np.bincount(drawn.ravel(), minlength=some * size).reshape(some, size).astype(np.float64)


def in_stretches(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is resampled of values [M, R]: themselves, or of very many the means of stretches of equal length, [M, stretches].

    So the work and memory of a bootstrap stop growing. The studentized mean has the same law to the order that a bootstrap-t gets right,
    for a mean of n values has 1/sqrt(n) of their skewness, and there are 1/n as many. Values at the end that fill no stretch, fewer
    than one in 10,000, have no part in it.

    Examples
    --------
    >>> in_stretches(np.arange(50_000.0)[None]).shape, in_stretches(np.arange(50_003.0)[None])[0, :3]
    ((1, 50000), array([ 2.,  7., 12.]))
    """
    rows, size = values.shape
    if size <= MOST_RESAMPLED:
        return values
    length = size // STRETCHES
    stretches = size // length
    means: NDArray[np.float64] = values[:, : stretches * length].reshape(rows, stretches, length).mean(axis=2)
    return means


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
        blocks [some, R] of resamples, as `resample_counts` yields them (of very many values, of so many as `in_stretches` makes of them);
        with 4,999 no rank needs interpolation at 95 %.
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
    resampled = in_stretches(values)
    its_mean, its_error = mean, error
    if resampled is not values:
        its_mean, its_error = resampled.mean(axis=1), resampled.std(axis=1, ddof=1) / math.sqrt(resampled.shape[1])
    centred = resampled - its_mean[:, None]
    t = np.concatenate([_studentized(centred, its_error, block) for block in counts])
    cut = max(1, int((len(t) + 1) * (1 - confidence) / 2 + 1e-9))
    ordered = np.partition(t, [cut - 1, len(t) - cut], axis=0)
    varies = np.minimum(error, its_error) > ROUNDING * np.abs(mean)
    finite = varies & np.isfinite(ordered[cut - 1]) & np.isfinite(ordered[-cut])
    steps = np.where(finite, ordered[[-cut, cut - 1]], [[np.inf], [-np.inf]])
    low, high = mean - steps * np.where(finite, error, 1.0)
    return low, high


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
