from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.holm import holm_adjusted
from orchestrator.stats.serial_order import autocorrelation_p_value, trend_p_value

LEVEL = 0.01
"""Of all four tests together."""
DIGITS = 12
"""Qualities that agree to this many digits are tied: what differs further on is the rounding of sums."""


@dataclass(frozen=True)
class Exchangeability:
    """Whether the order of rounds matters; if so, intervals and figures that take rounds as exchangeable do not hold.

    flagged
        a test rejects after Holm's adjustment for the four.
    trend_log_median, autocorrelation_log_median, trend_quality, autocorrelation_quality
        unadjusted two-sided p-values; 1 for a series that says nothing (a constant one, or one of fewer than 3 rounds).
    """

    flagged: bool
    trend_log_median: float
    autocorrelation_log_median: float
    trend_quality: float
    autocorrelation_quality: float


def exchangeability_flag(log_medians: ArrayLike, qualities: ArrayLike, level: float = LEVEL) -> Exchangeability:
    """Return whether rounds drift or resemble their neighbours: Mann-Kendall and lag-1 autocorrelation on two series.

    To be computed once per trial, when the stopping rule would otherwise stop: looked at again and again it raises false flags.

    Parameters
    ----------
    log_medians : [R]
        logarithm of each round's median total time; +inf where most samples have none.
    qualities : [R]
        tail quality of each round at the primary threshold.
    level
        family-wise error of the four tests, as a fraction.

    Raises
    ------
    InputError
        if a value is NaN.

    Examples
    --------
    >>> exchangeability_flag(np.linspace(1, 2, 30), np.ones(30)).flagged
    True
    """
    medians = np.asarray(log_medians, dtype=np.float64)
    quality = np.round(np.asarray(qualities, dtype=np.float64), DIGITS)
    if not 0 < level < 1:
        raise InputError(f"level {level}: must lie between 0 and 1, such as 0.01")
    if medians.ndim != 1 or medians.shape != quality.shape:
        raise ValueError(f"series of shapes {medians.shape} and {quality.shape}: both must be [rounds]")
    p_values = [test(series) for series in (medians, quality) for test in (trend_p_value, autocorrelation_p_value)]
    return Exchangeability(bool(holm_adjusted(p_values).min() <= level), *p_values)
