from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**17
"""Draws held in memory at once."""
NO_SPREAD = 1e-9
"""A resample whose standard error is this small a part of the original's holds one value only; what is left is rounding."""


def bootstrap_t_limits(
    values: NDArray[np.float64], random: np.random.Generator, confidence: float, resamples: int
) -> tuple[float, float] | None:
    """Return the limits of a bootstrap-t interval of the mean.

    t* = (mean* - mean)/se* of each resample; the limits are mean - t*_(k) se for the two ranks k that cut off (resamples + 1)
    (1 - confidence)/2 at either end. Efron and Tibshirani, *An Introduction to the Bootstrap*, section 12.5.

    Parameters
    ----------
    values : [R]
        at least two.
    random
        source of the resamples.
    confidence
        as a fraction.
    resamples
        how many; with 4,999 no rank needs interpolation at 95 %.

    Returns
    -------
    Low and high limit, or None where one is not finite: values without variance, or with so few distinct ones that too many
    resamples have none.

    Examples
    --------
    >>> low, high = bootstrap_t_limits(np.arange(20.0), np.random.default_rng(0), 0.95, 4999)
    >>> round(low), round(high)
    (7, 12)
    """
    rounds = values.size
    mean = float(values.mean())
    centred = values - mean
    error = float(values.std(ddof=1)) / math.sqrt(rounds)
    if error <= NO_SPREAD * abs(mean):
        return None
    step = max(1, BLOCK // rounds)
    shares = [_studentized(centred, error, random, min(step, resamples - done)) for done in range(0, resamples, step)]
    ordered = np.sort(np.concatenate(shares))
    cut = max(1, int((resamples + 1) * (1 - confidence) / 2 + 1e-9))
    low, high = mean - float(ordered[-cut]) * error, mean - float(ordered[cut - 1]) * error
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _studentized(centred: NDArray[np.float64], error: float, random: np.random.Generator, resamples: int) -> NDArray[np.float64]:
    """Return t* of resamples of centred values: where a resample has no spread, 0 if it hits the mean, else infinite."""
    rounds = centred.size
    drawn = centred[random.integers(rounds, size=(resamples, rounds))]
    mean = drawn.mean(axis=1)
    standard_error = drawn.std(axis=1, ddof=1) / math.sqrt(rounds)
    no_spread = standard_error <= NO_SPREAD * error
    hit = no_spread & (np.abs(mean) <= NO_SPREAD * error)
    standard_error[no_spread] = 1.0
    t: NDArray[np.float64] = np.where(no_spread, np.copysign(np.inf, mean), mean / standard_error)
    t[hit] = 0.0
    return t
