"""When samples arrive: the moments of a schedule, drawn before anything is measured.

Moments are int64 ns from the start of a stream, ascending. ``group`` samples arrive at once, and a rate counts samples: groups come at
``rate_per_s / group``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError

Moments = NDArray[np.int64]

SECOND_NS = 10**9
MOST_TRACED = 10**8
"""Arrivals of a trace whose every time brings a group: they lie in memory."""
LEAST_RAMP_S, RAMP_SHARE = 1.0, 0.05
"""A ramp takes the longer of this and this share of its stream, unless told otherwise."""
DrawnLaw = Literal["periodic", "poisson", "gamma"]
"""Laws that need no recorded times."""


def drawn(law: DrawnLaw, count: int, rate_per_s: float, random: np.random.Generator, group: int = 1, burstiness: float = 1.0) -> Moments:
    """Return ``count`` moments of a law at a mean rate of samples; ``burstiness`` is the shape of a gamma law."""
    if law == "periodic":
        return periodic(count, rate_per_s, group)
    return gamma(count, rate_per_s, burstiness if law == "gamma" else 1.0, random, group)


def mean_rate(moments: Moments) -> float:
    """Return the mean rate of moments, the first at 0 and not all there, in samples a second: of those after it, by their span."""
    return float((moments > 0).sum() / (moments[-1] / SECOND_NS))


def periodic(count: int, rate_per_s: float, group: int = 1) -> Moments:
    """Return ``count`` moments at a fixed distance, the first at 0.

    The k-th group comes at k x group / rate, rounded to the nearest ns by itself, so that no error of rounding adds up. A rate counts as
    the decimal number that it is written as.

    Examples
    --------
    >>> periodic(4, 30.0)
    array([        0,  33333333,  66666667, 100000000])
    """
    period = Fraction(group * SECOND_NS) / Fraction(repr(float(rate_per_s)))
    over, under = period.numerator, period.denominator
    groups = [(2 * number * over + under) // (2 * under) for number in range(-(-count // group))]
    return np.repeat(np.array(groups, dtype=np.int64), min(group, count))[:count]


def poisson(count: int, rate_per_s: float, random: np.random.Generator, group: int = 1) -> Moments:
    """Return ``count`` moments of a Poisson process of groups: exponential gaps."""
    return gamma(count, rate_per_s, 1.0, random, group)


def gamma(count: int, rate_per_s: float, shape: float, random: np.random.Generator, group: int = 1) -> Moments:
    """Return ``count`` moments whose gaps between groups follow a gamma law of this shape: 1 is Poisson, less comes in bursts.

    The squared coefficient of variation of a gap is 1 / shape.
    """
    mean_ns = group * SECOND_NS / rate_per_s
    gaps = random.standard_gamma(shape, size=-(-count // group)) * (mean_ns / shape)
    return np.repeat(np.rint(np.cumsum(gaps)).astype(np.int64), min(group, count))[:count]


def trace(times_s: ArrayLike, speed: float = 1.0, group: int = 1) -> Moments:
    """Return the moments of recorded times in s, in any order, counted from the first and ``speed`` times as fast; group per time.

    Raises
    ------
    InputError
        for fewer than two times, times that are no finite numbers, and more arrivals than memory should hold.
    """
    times = np.sort(np.asarray(times_s, dtype=np.float64))
    if times.size < 2 or not np.isfinite(times).all() or times[0] == times[-1]:
        raise InputError(f"a trace of {times.size} arrival times: it needs at least two different ones, all finite numbers of seconds")
    if times.size * group > MOST_TRACED:
        raise InputError(
            f"load.group={group}: {times.size:,} arrival times of as many samples each are more than {MOST_TRACED:,}; lower it"
        )
    return np.repeat(np.rint((times - times[0]) * (SECOND_NS / speed)).astype(np.int64), group)
