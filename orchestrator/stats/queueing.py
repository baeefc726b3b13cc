"""Arrivals, and one server that serves them: who waits how long, who starts when, who never does.

Moments are int64 ns from the start of a stream, ascending. ``group`` samples arrive at once, and a
rate counts samples: groups come at ``rate_per_s / group``.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.units import Floats, evenly_chosen

Moments = NDArray[np.int64]
Policy: TypeAlias = Literal["queue", "newest", "skip_late"]
# Of stored times also that of a server that idles until the next arrival.
AnyPolicy: TypeAlias = Policy | Literal["idle"]
POLICIES: tuple[AnyPolicy, ...] = ("queue", "newest", "skip_late", "idle")

SECOND_NS, NO_LIMIT = 10**9, 2**62
# A ramp takes the longer of this and this share of its stream, unless told otherwise.
LEAST_RAMP_S, RAMP_SHARE = 1.0, 0.05
# A slope looks at all pairs: of a longer series so many evenly spaced points stand for all.
MOST_POINTS = 400
# A backlog grows if the wait grows in this share of all streams, and the mean wait in their last
# tenth is this many mean services long.
GROWING_SHARE, LONG_WAIT, END = 10 / 12, 5.0, 0.1


def drawn(
    law: Literal["periodic", "poisson", "gamma"],
    count: int,
    rate_per_s: float,
    random: np.random.Generator,
    group: int = 1,
    burstiness: float = 1.0,
) -> Moments:
    """Return moments of a law at a mean rate; ``burstiness`` is the shape of a gamma law."""
    if law == "periodic":
        return periodic(count, rate_per_s, group)
    return gamma(count, rate_per_s, burstiness if law == "gamma" else 1.0, random, group)


def mean_rate(moments: Moments) -> float:
    """Return the mean rate of moments, the first at 0: the number of later ones by their span."""
    return float((moments > 0).sum() / (moments[-1] / SECOND_NS))


def periodic(count: int, rate_per_s: float, group: int = 1) -> Moments:
    """Return ``count`` moments at a fixed distance, the first at 0.

    The k-th group comes at k x group / rate, rounded to the nearest ns by itself, so that no error
    of rounding adds up. A rate counts as the decimal number that it is written as.

    >>> periodic(4, 30.0)
    array([        0,  33333333,  66666667, 100000000])
    """
    period = Fraction(group * SECOND_NS) / Fraction(repr(float(rate_per_s)))
    over, under = period.numerator, period.denominator
    numbers = range(-(-count // group))
    groups = [(2 * number * over + under) // (2 * under) for number in numbers]
    return np.repeat(np.array(groups, dtype=np.int64), min(group, count))[:count]


def gamma(
    count: int, rate_per_s: float, shape: float, random: np.random.Generator, group: int = 1
) -> Moments:
    """Return ``count`` moments whose gaps between groups follow a gamma law: less than 1 is bursty.

    A shape of 1 is a Poisson process: exponential gaps. The squared coefficient of variation of a
    gap is 1 / shape.
    """
    mean_ns = group * SECOND_NS / rate_per_s
    gaps = random.standard_gamma(shape, size=-(-count // group)) * (mean_ns / shape)
    return np.repeat(np.rint(np.cumsum(gaps)).astype(np.int64), min(group, count))[:count]


def trace(times_s: ArrayLike, speed: float = 1.0, group: int = 1) -> Moments:
    """Return the moments of recorded times in s, from the first and ``speed`` times as fast.

    Raises InputError for fewer than two different times, and for times that are not finite.
    """
    times = np.sort(np.asarray(times_s, dtype=np.float64))
    if times.size < 2 or not np.isfinite(times).all() or times[0] == times[-1]:
        raise InputError(
            f"a trace of {times.size} arrival times: "
            "it needs at least two different ones, all finite numbers of seconds"
        )
    moments = np.rint((times - times[0]) * (SECOND_NS / speed)).astype(np.int64)
    return np.repeat(moments, group)


def waits(arrivals_ns: ArrayLike, services_ns: ArrayLike) -> Moments:
    """Return how long each arrival waits for the server, first come, first served, [N].

    Lindley's recursion W(k+1) = max(0, W(k) + S(k) - A(k)), A(k) the gap between arrivals k and
    k+1, W(0) = 0, as X(k) - min X(j) over j <= k with X the running sum of S - A. In integers it is
    exact.

    >>> waits([0, 10, 20, 100], [25, 10, 10, 10])
    array([ 0, 15, 15,  0])
    """
    arrivals, services = (np.asarray(one, dtype=np.int64) for one in (arrivals_ns, services_ns))
    walk = np.zeros(arrivals.size, dtype=np.int64)
    np.cumsum(services[:-1] - np.diff(arrivals), out=walk[1:])
    return walk - np.minimum.accumulate(walk)


def standing(due_ns: ArrayLike, answered_ns: ArrayLike) -> NDArray[np.intp]:
    """Return the place of the newest answer there is whenever one is due, [N]; -1 where none is.

    Moments ascend, one per arrival in order. The answer to an arrival counts from the moment when
    it is there (+inf: never), that moment included, for this arrival and later ones.

    >>> standing([0, 10, 20, 30], [10, 25, np.inf, 60])
    array([-1,  0,  0,  1])
    """
    due, answered = np.asarray(due_ns), np.asarray(answered_ns)
    places = np.arange(due.size)
    newest = np.full(due.size + 1, -1)
    np.maximum.at(newest, np.maximum(np.searchsorted(due, answered), places), places)
    return np.maximum.accumulate(newest[:-1])


def theil_sen_slope(x: ArrayLike, y: ArrayLike) -> float:
    """Return the median of the slopes of all pairs of points; NaN where no two differ in x."""
    chosen = evenly_chosen(np.size(x), MOST_POINTS)
    across, up = (np.asarray(values, dtype=np.float64)[chosen] for values in (x, y))
    first, second = np.triu_indices(across.size, 1)
    run, rise = across[second] - across[first], up[second] - up[first]
    return float(np.median(rise[run != 0] / run[run != 0])) if (run != 0).any() else np.nan


def backlog_grows(streams: Sequence[tuple[ArrayLike, ArrayLike]], service_ns: float) -> bool:
    """Return whether a system is overloaded: its backlog grows through the streams.

    ``streams`` are arrivals and waits in ns, in order of arrival, without dropped samples;
    ``service_ns`` is the mean time of one inference.
    """
    halves = [
        (np.asarray(at)[np.size(at) // 2 :], np.asarray(wait)[np.size(wait) // 2 :])
        for at, wait in streams
        if np.size(at) >= 4
    ]
    if not halves:
        return False
    growing = sum(theil_sen_slope(at, wait) > 0 for at, wait in halves)
    ends = [wait[-max(1, round(2 * END * wait.size)) :].mean() for _, wait in halves]
    is_long = float(np.mean(ends)) > LONG_WAIT * service_ns
    return growing >= GROWING_SHARE * len(halves) and is_long


def gap_errors(arrivals_ns: ArrayLike, starts_ns: ArrayLike, idle: NDArray[np.bool_]) -> Floats:
    """Return how far the distances of starts differ from those of arrivals, in ns.

    Only those of two samples that found the server idle count.
    """
    errors = np.abs(np.diff(starts_ns) - np.diff(arrivals_ns))
    return np.asarray(errors[idle[1:] & idle[:-1]], dtype=np.float64)


def spacing_p_value(gaps_ns: ArrayLike, mean_ns: float, shape: float) -> float:
    """Return how likely gaps at least as far from a gamma law are if they follow it.

    The test is that of Kolmogorov and Smirnov.
    """
    law = scipy.stats.gamma(shape, scale=mean_ns / shape)
    return float(scipy.stats.kstest(np.asarray(gaps_ns, dtype=np.float64), law.cdf).pvalue)


def serve(
    arrivals_ns: ArrayLike,
    services_ns: ArrayLike,
    policy: AnyPolicy = "queue",
    deadline_ns: int | None = None,
    queue_limit: int | None = None,
) -> Moments:
    """Return how long each arrival waits for one server, [N] in ns; -1 where it is dropped.

    Whenever the server is free it looks at those that have arrived, that of the same moment among
    them. ``queue`` takes the oldest; ``newest`` the last, and drops all others; ``skip_late`` the
    oldest that has not waited longer than ``deadline_ns``, and drops those before it; ``idle`` the
    next one, and drops all that have waited. Of arrivals of one moment the last is the newest. An
    arrival that finds ``queue_limit`` waiting is dropped; one that finds the server idle does not
    wait.

    Arrivals ascend and services are positive, both [N] in whole ns: all of it is exact. Without a
    limit the queue is Lindley's recursion. Otherwise arrivals that start at once and end before the
    next one are left as they are, and only the stretches between them are gone through one by one.

    >>> serve([0, 10, 20, 100], [25, 10, 10, 10], "newest")
    array([ 0, -1,  5,  0])
    """
    arrivals, services = (np.asarray(one, dtype=np.int64) for one in (arrivals_ns, services_ns))
    if policy == "queue" and queue_limit is None:
        return waits(arrivals, services)
    meets = np.append(services[:-1] >= np.diff(arrivals), True)[: arrivals.size]
    crowded = np.flatnonzero(meets).tolist()
    starts, lost = arrivals.tolist(), bytearray(arrivals.size)
    patience = 0 if policy == "idle" else deadline_ns
    limit, longest = (NO_LIMIT if one is None else one for one in (queue_limit, patience))
    stream, newest = (arrivals.tolist(), services.tolist(), crowded), policy == "newest"
    _serve_crowds(*stream, newest, limit, longest, starts, lost)
    dropped = np.frombuffer(lost, dtype=np.bool_)
    return np.where(dropped, -1, np.array(starts, dtype=np.int64) - arrivals)


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
    """Go through every stretch of arrivals that meet others, until the server is idle again.

    ``crowded`` are the places of arrivals that do not end before the next one; ``starts`` and
    ``lost`` are filled in.
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
            while len(waiting) > 1 if newest else waiting and now - arrivals[waiting[0]] > longest:
                lost[waiting.popleft()] = 1
            if not waiting:
                break
            number = waiting.popleft()
            starts[number] = now
            now += services[number]
            room = limit
