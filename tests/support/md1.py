"""Theory of M/D/1: Poisson arrivals, one server, a constant service."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import poisson


def md1_waits_up_to(time_s: ArrayLike, rate_per_s: float, service_s: float) -> NDArray[np.float64]:
    """Return P(wait <= t) for each time t >= 0 in s: sums of positive terms, where Erlang's series alternates.

    Franx, A simple solution for the M/D/c waiting time distribution (Operations Research Letters 29, 2001).
    """
    load, times = rate_per_s * service_s, np.atleast_1d(np.asarray(time_s, dtype=np.float64))
    steps = np.floor(times / service_s).astype(np.int64) + 1
    most = int(steps.max())
    beyond = poisson.sf(np.arange(most + 1), load)
    inside = np.zeros(most + 1)  # how many are in the system, by a recursion of positive terms (Tijms)
    inside[0] = 1 - load
    for number in range(1, most + 1):
        inside[number] = (beyond[number - 1] * inside[0] + beyond[1:number][::-1] @ inside[1:number]) / math.exp(-load)
    waiting = np.cumsum(np.concatenate([[inside[0] + inside[1]], inside[2:]]))
    left = rate_per_s * (steps * service_s - times)
    found = np.empty(times.size)
    for number in np.unique(steps):
        chosen = steps == number
        found[chosen] = waiting[number - 1 :: -1][:number] @ poisson.pmf(np.arange(number)[:, np.newaxis], left[chosen])
    return found.reshape(np.shape(time_s))
