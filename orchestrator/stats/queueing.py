"""One server and its queue: what follows from arrivals and services, and what theory says of it.

SciPy is imported where it is used: verbs that analyse nothing need not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.thinning import evenly_chosen

Durations = NDArray[np.int64]
Times = NDArray[np.int64] | NDArray[np.float64]


def waits(arrivals_ns: ArrayLike, services_ns: ArrayLike) -> Durations:
    """Return how long each arrival waits for the server, first come, first served; int64 ns, [N].

    Lindley's recursion W(k+1) = max(0, W(k) + S(k) - A(k)), A(k) the gap between arrivals k and k+1, W(0) = 0, as X(k) - min X(j) over
    j <= k with X the running sum of S - A. In integers it is exact.

    Examples
    --------
    >>> waits([0, 10, 20, 100], [25, 10, 10, 10])
    array([ 0, 15, 15,  0])
    """
    arrivals, services = np.asarray(arrivals_ns, dtype=np.int64), np.asarray(services_ns, dtype=np.int64)
    if arrivals.shape != services.shape or arrivals.ndim != 1:
        raise InputError(f"{arrivals.size} arrivals and {services.size} services: give one service per arrival")
    walk = np.zeros(arrivals.size, dtype=np.int64)
    np.cumsum(services[:-1] - np.diff(arrivals), out=walk[1:])
    return walk - np.minimum.accumulate(walk)


def _utilisation(rate_per_s: float, service_s: float) -> float:
    load = rate_per_s * service_s
    if not 0 < load < 1:
        raise InputError(f"utilisation {load:g}: a queue has a law that lasts only between 0 and 1; lower the rate")
    return load


def md1_mean_wait(rate_per_s: float, service_s: float) -> float:
    """Return the mean wait in s of M/D/1, Poisson arrivals and a constant service (Pollaczek and Khinchine)."""
    load = _utilisation(rate_per_s, service_s)
    return load * service_s / (2 * (1 - load))


def md1_waits_up_to(time_s: ArrayLike, rate_per_s: float, service_s: float) -> NDArray[np.float64]:
    """Return P(wait <= t) of M/D/1 for each time t >= 0 in s.

    Franx, A simple solution for the M/D/c waiting time distribution (Operations Research Letters 29, 2001): sums of positive terms, where
    Erlang's series alternates and loses all digits at high utilisation.
    """
    from scipy.stats import poisson

    load = _utilisation(rate_per_s, service_s)
    times = np.atleast_1d(np.asarray(time_s, dtype=np.float64))
    steps = np.floor(times / service_s).astype(np.int64) + 1
    waiting = np.cumsum(_md1_queue(load, int(steps.max())))
    left = rate_per_s * (steps * service_s - times)
    found = np.empty(times.size)
    for number in np.unique(steps):
        chosen = steps == number
        mixture = poisson.pmf(np.arange(number)[:, np.newaxis], left[chosen])
        found[chosen] = waiting[number - 1 :: -1][:number] @ mixture
    return found.reshape(np.shape(time_s))


def _md1_queue(load: float, most: int) -> NDArray[np.float64]:
    """Return the probabilities of 0, 1, ... most - 1 waiting in M/D/1, by a recursion of positive terms (Tijms)."""
    from scipy.stats import poisson

    beyond = poisson.sf(np.arange(most + 1), load)
    inside = np.zeros(most + 1)
    inside[0] = 1 - load
    for number in range(1, most + 1):
        inside[number] = (beyond[number - 1] * inside[0] + beyond[1:number][::-1] @ inside[1:number]) / math.exp(-load)
    return np.concatenate([[inside[0] + inside[1]], inside[2:]])


MOST_POINTS = 400
"""Of a longer series so many evenly spaced points stand for all: a slope looks at all pairs."""


def theil_sen_slope(x: ArrayLike, y: ArrayLike) -> float:
    """Return the median of the slopes of all pairs of points; NaN where no two have different x."""
    chosen = evenly_chosen(np.size(x), MOST_POINTS)
    across, up = (np.asarray(values, dtype=np.float64)[chosen] for values in (x, y))
    first, second = np.triu_indices(across.size, 1)
    run = across[second] - across[first]
    return float(np.median((up[second] - up[first])[run != 0] / run[run != 0])) if bool((run != 0).any()) else math.nan


GROWING_SHARE = 10 / 12
"""Of all streams, in so many the wait must grow."""
LONG_WAIT = 5.0
"""In mean services, how long the mean wait at the end must be."""
END = 0.1
"""The last tenth of a stream is its end."""


def backlog_grows(streams: Sequence[tuple[ArrayLike, ArrayLike]], service_ns: float) -> bool:
    """Return whether a system is overloaded: its backlog grows through the streams.

    Parameters
    ----------
    streams
        of each stream arrivals and waits in ns, in order of arrival; dropped samples left out.
    service_ns
        mean time of one inference.
    """
    halves = [(np.asarray(at)[np.size(at) // 2 :], np.asarray(wait)[np.size(wait) // 2 :]) for at, wait in streams if np.size(at) >= 4]
    if not halves:
        return False
    growing = sum(theil_sen_slope(at, wait) > 0 for at, wait in halves)
    at_end = float(np.mean([wait[-max(1, round(2 * END * wait.size)) :].mean() for _, wait in halves]))
    return growing >= GROWING_SHARE * len(halves) and at_end > LONG_WAIT * service_ns


def gap_errors(arrivals_ns: Times, starts_ns: Times, idle: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return by how much the distance of two starts differs from that of their arrivals, ns, where both samples found the server idle."""
    both = idle[1:] & idle[:-1]
    return np.asarray(np.abs(np.diff(starts_ns) - np.diff(arrivals_ns))[both], dtype=np.float64)


def spacing_p_value(gaps_ns: ArrayLike, mean_ns: float, shape: float) -> float:
    """Return how likely gaps at least as far from a gamma law of this mean and shape are if they follow it (Kolmogorov and Smirnov)."""
    from scipy.stats import gamma, kstest

    gaps = np.asarray(gaps_ns, dtype=np.float64)
    return float(kstest(gaps, lambda times: gamma.cdf(times, shape, scale=mean_ns / shape)).pvalue)
