from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats

LEAF = 32
"""Laws of up to this many events are found one event at a time, without rounding to speak of; larger ones by transforms."""
IMPOSSIBLE = 1e-300
"""Binomials of a probability below this overflow on their way, and are certainly 0 in double precision."""
DIRECT = 64
"""Sums with a law of up to this many counts are convolved as they stand, which is exact and faster than transforms."""
BLOCK = 2**18
"""Probabilities looked at in one step: enough to spare Python's overhead, few enough to bound memory."""


def poisson_binomial_pmf(probabilities: ArrayLike) -> Floats:
    """Return the exact law of how many of n independent events happen, each with a probability of its own.

    The law of a sum is the convolution of the laws of its parts: groups of 32 events one event at a time, then pairs of groups by
    fast Fourier transforms, level by level (Biscarri, Zhao and Brunner, "A simple and fast method for computing the Poisson
    binomial distribution function", Computational Statistics and Data Analysis 122, 2018). n log^2 n steps for each of the M
    laws. Masses are right to about n x 1e-16, not in relation to their own size: one far below 1e-16 may come out as 0.

    Parameters
    ----------
    probabilities : [M, n]
        of the events, within 0 and 1; each row is a law of its own.

    Returns
    -------
    [M, n + 1] probability of 0, 1, ..., n events, each row summing to 1.

    Raises
    ------
    ValueError
        if the shape is another, or a probability is NaN or not within 0 and 1.

    Examples
    --------
    >>> poisson_binomial_pmf([[0.5, 0.5], [0.0, 1.0]])
    array([[0.25, 0.5 , 0.25],
           [0.  , 1.  , 0.  ]])
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    if chances.ndim != 2:
        raise ValueError(f"probabilities of shape {chances.shape}: the shape must be [laws, events]")
    _check(chances)
    laws, events = chances.shape
    masses = np.empty((laws, events + 1))
    step = max(1, BLOCK // max(1, events))
    for start in range(0, laws, step):
        masses[start : start + step] = _tree(chances[start : start + step])
    return masses


def binomial_sum_pmf(probabilities: ArrayLike, sizes: ArrayLike) -> Floats:
    """Return the same law where many events share a probability: the sum of one binomial per distinct probability.

    What is certain or impossible shifts the law and takes no part in the convolution.

    Parameters
    ----------
    probabilities : [G]
        of the events of each group, within 0 and 1.
    sizes : [G]
        number of events in each group, whole and not negative.

    Returns
    -------
    [n + 1] probability of 0, 1, ..., n events, n the sum of the sizes.

    Raises
    ------
    ValueError
        if the shapes differ, a probability is NaN or not within 0 and 1, or a size is negative or no whole number.

    Examples
    --------
    >>> binomial_sum_pmf([0.5, 1.0], [2, 1])
    array([0.  , 0.25, 0.5 , 0.25])
    """
    chances, counts = np.asarray(probabilities, dtype=np.float64), np.asarray(sizes)
    if chances.ndim != 1 or chances.shape != counts.shape:
        raise ValueError(f"probabilities of shape {chances.shape} and sizes of shape {counts.shape}: both must be [groups]")
    _check(chances)
    if counts.size and (counts.dtype.kind not in "iu" or counts.min() < 0):
        raise ValueError("sizes of groups must be whole numbers, not negative")
    uncertain = (chances > IMPOSSIBLE) & (chances < 1) & (counts > 0)
    inner = _summed(_binomials(chances[uncertain], counts[uncertain])) if uncertain.any() else np.ones(1)
    certain = int(counts[chances == 1].sum())
    law = np.zeros(int(counts.sum()) + 1)
    law[certain : certain + inner.size] = inner
    return law


def _check(probabilities: Floats) -> None:
    if not ((probabilities >= 0) & (probabilities <= 1)).all():  # NaN compares false as well
        raise ValueError("probabilities must lie within 0 and 1")


def _tree(probabilities: Floats) -> Floats:
    """Return the laws of rows of events, [m, n + 1], pairing groups until one is left."""
    rows, events = probabilities.shape
    groups = 1 << ((events - 1) // LEAF).bit_length() if events else 1
    size = -(-events // groups)
    padded = np.zeros((rows, groups * size))  # an event that cannot happen adds nothing
    padded[:, :events] = probabilities
    laws = _one_by_one(padded.reshape(rows, groups, size))
    while laws.shape[1] > 1:
        laws = _convolved(laws[:, 0::2], laws[:, 1::2])
    masses = laws[:, 0, : events + 1]
    return np.asarray(masses / masses.sum(axis=-1, keepdims=True))


def _one_by_one(probabilities: Floats) -> Floats:
    """Return the laws of groups of events, [..., size + 1], adding one event after the other."""
    happens = np.ascontiguousarray(np.moveaxis(probabilities, -1, 0))
    law = np.zeros((len(happens) + 1, *happens.shape[1:]))
    law[0] = 1
    for count, chance in enumerate(happens, start=1):
        law[1 : count + 1] = law[1 : count + 1] * (1 - chance) + law[:count] * chance
        law[0] *= 1 - chance
    return np.moveaxis(law, 0, -1)


def _binomials(probabilities: Floats, sizes: ArrayLike) -> list[Floats]:
    """Return the binomial law of each group, freed of what SciPy's masses of very small probabilities miss of 1 (about 1e-14)."""
    lengths = np.asarray(sizes) + 1
    ends = np.cumsum(lengths)
    events = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
    masses = scipy.stats.binom.pmf(events, np.repeat(lengths - 1, lengths), np.repeat(probabilities, lengths))
    return [law / law.sum() for law in np.split(np.asarray(masses), ends[:-1])]


def _summed(laws: list[Floats]) -> Floats:
    """Return the law of a sum, short laws first so that no transform is longer than it need be."""
    while len(laws) > 1:
        laws = sorted(laws, key=len)
        paired = [
            np.convolve(first, second) if len(first) <= DIRECT else _convolved(first, second)
            for first, second in zip(laws[0::2], laws[1::2], strict=False)
        ]
        laws = paired + laws[2 * len(paired) :]
    return laws[0]


def _convolved(first: Floats, second: Floats) -> Floats:
    """Return the law of the sum of two independent counts, over the last axis, freed of what transforms leave below 0."""
    length = first.shape[-1] + second.shape[-1] - 1
    size = scipy.fft.next_fast_len(length, real=True)
    masses = np.maximum(scipy.fft.irfft(scipy.fft.rfft(first, size) * scipy.fft.rfft(second, size), size)[..., :length], 0)
    return np.asarray(masses / masses.sum(axis=-1, keepdims=True))
