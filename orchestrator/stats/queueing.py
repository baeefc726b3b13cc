"""Arrivals, and one server that serves them: who waits how long, who starts when, and who never does.

SciPy is imported where it is used: verbs that analyse nothing need not wait for it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.laws import evenly_chosen

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


Policy: TypeAlias = Literal["queue", "newest", "skip_late"]
POLICIES: tuple[Policy, ...] = ("queue", "newest", "skip_late")
NO_LIMIT = 2**62


class Served(NamedTuple):
    """What becomes of N arrivals.

    start_ns, wait_ns : int64 [N]
        when each starts and how long it waited for that; -1 where it is dropped.
    dropped : bool [N]
        never started.
    """

    start_ns: NDArray[np.int64]
    wait_ns: NDArray[np.int64]
    dropped: NDArray[np.bool_]


def serve(
    arrivals_ns: ArrayLike,
    services_ns: ArrayLike,
    policy: Policy = "queue",
    deadline_ns: int | None = None,
    queue_limit: int | None = None,
) -> Served:
    """Return when each arrival starts on one server.

    Whenever the server is free it looks at those that have arrived, that of the same moment among them. ``queue`` takes the oldest;
    ``newest`` the last, and drops all others; ``skip_late`` the oldest that has not waited longer than ``deadline_ns``, and drops those
    before it. Of arrivals of one moment the last is the newest. An arrival that finds ``queue_limit`` waiting is dropped; one that finds
    the server idle does not wait. In integers all of it is exact.

    Parameters
    ----------
    arrivals_ns : [N]
        whole numbers of ns, ascending.
    services_ns : [N]
        how long the server takes for each, should it be served; whole numbers of ns, positive.
    deadline_ns
        of ``skip_late``, and of no other policy.
    queue_limit
        at least 1; None for none.

    Raises
    ------
    InputError
        for numbers that are no such arrivals and services, or a rule that lacks its figure.

    Notes
    -----
    Without a limit the queue is Lindley's recursion. Otherwise arrivals that start at once and end before the next one are left as they
    are, and only the stretches between them are gone through one by one.

    Examples
    --------
    >>> serve([0, 10, 20, 100], [25, 10, 10, 10], "newest").start_ns
    array([  0,  -1,  25, 100])
    """
    arrivals, services = _checked(arrivals_ns, services_ns)
    if policy not in POLICIES:
        raise InputError(f"policy {policy!r}: there is no such choice; choose of {', '.join(POLICIES)}")
    if (policy == "skip_late") != (deadline_ns is not None):
        raise InputError("skip_late skips by a deadline, and no other policy has one: give deadline_ns with it alone")
    if queue_limit is not None and queue_limit < 1:
        raise InputError(f"a queue limit of {queue_limit}: must be at least 1")
    if policy == "queue" and queue_limit is None:
        wait = waits(arrivals, services)
        return Served(arrivals + wait, wait, np.zeros(arrivals.size, dtype=np.bool_))
    ends_in_time = np.zeros(arrivals.size, dtype=np.bool_)
    ends_in_time[:-1] = services[:-1] < np.diff(arrivals)
    crowded = np.flatnonzero(~ends_in_time).tolist()
    starts, lost = arrivals.tolist(), bytearray(arrivals.size)
    limit = NO_LIMIT if queue_limit is None else queue_limit
    longest = NO_LIMIT if deadline_ns is None else deadline_ns
    _serve_crowds(arrivals.tolist(), services.tolist(), crowded, policy == "newest", limit, longest, starts, lost)
    dropped = np.frombuffer(lost, dtype=np.bool_)
    start = np.where(dropped, -1, np.array(starts, dtype=np.int64))
    return Served(start, np.where(dropped, -1, start - arrivals), dropped)


def _serve_crowds(
    arrivals: list[int],
    services: list[int],
    crowded: list[int],
    newest: bool,
    limit: int,
    longest: int,
    starts: list[int],
    lost: bytearray,
) -> None:
    """Go through every stretch of arrivals that meet others, from one that finds the server idle until it is idle again.

    ``crowded`` are the places of arrivals that do not end before the next one; ``starts`` and ``lost`` are filled in.
    """
    waiting: deque[int] = deque()
    coming = at = 0
    arrivals.append(NO_LIMIT)  # nothing comes after the last
    while (at := bisect_left(crowded, coming, at)) < len(crowded):
        coming = crowded[at]
        now, room = arrivals[coming], limit + 1
        while True:
            while arrivals[coming] <= now:
                if len(waiting) < room:
                    waiting.append(coming)
                else:
                    lost[coming] = 1
                coming += 1
            if newest:
                while len(waiting) > 1:
                    lost[waiting.popleft()] = 1
            else:
                while waiting and now - arrivals[waiting[0]] > longest:
                    lost[waiting.popleft()] = 1
            if not waiting:
                break
            number = waiting.popleft()
            starts[number] = now
            now += services[number]
            room = limit


def _checked(arrivals_ns: ArrayLike, services_ns: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    arrivals, services = np.asarray(arrivals_ns), np.asarray(services_ns)
    if arrivals.ndim != 1 or arrivals.shape != services.shape:
        raise InputError(f"{arrivals.size} arrivals and {services.size} services: give one service per arrival")
    if arrivals.size and (arrivals.dtype.kind not in "iu" or services.dtype.kind not in "iu"):
        raise InputError(f"arrivals of type {arrivals.dtype} and services of type {services.dtype}: give whole numbers of ns")
    if bool((np.diff(arrivals) < 0).any()) or bool((services <= 0).any()):
        raise InputError("arrivals must ascend, and every service take a positive time")
    return arrivals.astype(np.int64, copy=False), services.astype(np.int64, copy=False)
