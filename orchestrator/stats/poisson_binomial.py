"""The exact law of a sum of independent events: each counts 1, or a weight of its own."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats

LEAF = 32
"""Laws of up to this many events are found one event at a time, without rounding to speak of; larger ones by transforms."""
BLOCK = 2**18
"""Probabilities looked at in one step: enough to spare Python's overhead, few enough to bound memory."""
LATTICE, FEWEST_LEVELS = 2**15, 60
"""Points of the law of a weighted sum, and least steps of its largest weight: a multiple of 60, so that few right answers of one
batch lie on the lattice."""


def poisson_binomial_pmf(probabilities: ArrayLike) -> Floats:
    """Return the law of how many of n independent events happen, each with a probability of its own: [M, n + 1] of [M, n].

    Groups of 32 events one event at a time, then pairs of groups by fast Fourier transforms, level by level (Biscarri, Zhao and
    Brunner, "A simple and fast method for computing the Poisson binomial distribution function", Computational Statistics and Data
    Analysis 122, 2018). Masses are right to about n x 1e-16, not in relation to their own size.

    Examples
    --------
    >>> poisson_binomial_pmf([[0.5, 0.5], [0.0, 1.0]])
    array([[0.25, 0.5 , 0.25],
           [0.  , 1.  , 0.  ]])
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    if chances.ndim != 2 or not ((chances >= 0) & (chances <= 1)).all():  # NaN compares false as well
        raise ValueError(f"probabilities of shape {chances.shape}: the shape must be [laws, events], all within 0 and 1")
    laws, events = chances.shape
    groups = _power_of_two(-(-events // LEAF))
    size = -(-events // groups)
    masses = np.empty((laws, events + 1))
    step = max(1, BLOCK // max(1, events))
    for start in range(0, laws, step):
        some = chances[start : start + step]
        padded = np.zeros((len(some), groups * size))  # an event that cannot happen adds nothing
        padded[:, :events] = some
        masses[start : start + step] = _summed(_one_by_one(padded.reshape(len(some), groups, size)))[:, : events + 1]
    return masses


def weighted_sum_pmf(probabilities: Floats, weights: Floats) -> tuple[Floats, float]:
    """Return the law of the sum of the weights of those events that happen, [n] each, on a lattice from 0, and the lattice's step.

    The generalised Poisson-binomial law (Zhang, Hong, Balakrishnan, Journal of Statistical Computation and Simulation 88, 2018). A
    weight between two points is shared between them, so that the mean is exact.

    Examples
    --------
    >>> law, step = weighted_sum_pmf(np.array([0.5, 0.5]), np.array([1.0, 2.0]))
    >>> places = np.flatnonzero(law > 1e-9)
    >>> (places * step).round(9).tolist(), law[places].round(9).tolist()
    ([0.0, 1.0, 2.0, 3.0], [0.25, 0.25, 0.25, 0.25])
    """
    events = weights.size
    levels = max(1, LATTICE // (FEWEST_LEVELS * events)) * FEWEST_LEVELS
    step = float(weights.max()) / levels or 1.0
    place = np.floor(weights / step).astype(np.int64)
    beyond = probabilities * (weights / step - place)
    laws = np.zeros((1, _power_of_two(events), levels + 2))
    laws[0, :, 0] = 1
    of = laws[0, :events]
    of[:, 0] -= probabilities
    of[np.arange(events), place] += probabilities - beyond
    of[np.arange(events), place + 1] += beyond
    return _summed(laws)[0], step


def _power_of_two(count: int) -> int:
    """Return the least power of two that is at least a count."""
    return 1 << max(count - 1, 0).bit_length()


def _one_by_one(probabilities: Floats) -> Floats:
    """Return the laws of groups of events, [..., size + 1], adding one event after the other."""
    happens = np.ascontiguousarray(np.moveaxis(probabilities, -1, 0))
    law = np.zeros((len(happens) + 1, *happens.shape[1:]))
    law[0] = 1
    for count, chance in enumerate(happens, start=1):
        law[1 : count + 1] = law[1 : count + 1] * (1 - chance) + law[:count] * chance
        law[0] *= 1 - chance
    return np.moveaxis(law, 0, -1)


def _summed(laws: Floats) -> Floats:
    """Return the laws of sums of counts, [m, length], from those of a power of two of independent counts each, [m, counts, size]."""
    while laws.shape[1] > 1:
        first, second = laws[:, 0::2], laws[:, 1::2]
        length = 2 * laws.shape[2] - 1
        size = scipy.fft.next_fast_len(length, real=True)
        product = scipy.fft.rfft(first, size) * scipy.fft.rfft(second, size)
        laws = np.maximum(scipy.fft.irfft(product, size)[..., :length], 0)  # what transforms leave below 0
        laws /= laws.sum(axis=-1, keepdims=True)
    law = laws[:, 0]
    return np.asarray(law / law.sum(axis=-1, keepdims=True))
