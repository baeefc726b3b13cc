from __future__ import annotations

import math
from functools import cache, lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy

BINS = 2048
STAGES = 7
LONGEST_TIME = 0.1
RUNGS = 12
VANISHES = 746.0
"""exp of minus this, and of anything longer, is 0 in double precision."""

FloatArray = npt.NDArray[np.float64]


def bin_linearly(points: FloatArray, weights: FloatArray, low: float, width: float, bins: int) -> FloatArray:
    """Share the weight of every point between the two bins whose centres enclose it.

    Unlike plain counting this is continuous in the points, so that a rounding error in one of them cannot move a whole count.

    Parameters
    ----------
    points, weights
        shape [n], any order.
    low, width, bins
        the grid: bin j reaches from ``low + j width`` to ``low + (j + 1) width``.

    Returns
    -------
    Array of shape [bins]. Points beyond the outermost centres are left out.
    """
    position = (points - low) / width - 0.5
    inside = (position >= 0) & (position < bins - 1)
    position, weights = position[inside], weights[inside]
    left = position.astype(np.int64)
    right_share = (position - left) * weights
    masses = np.bincount(left, weights - right_share, bins) + np.bincount(left + 1, right_share, bins)
    return masses.astype(np.float64)


def solve_bandwidth(masses: FloatArray, width: float, resolution: float) -> float | None:
    """Return the Improved Sheather-Jones bandwidth of binned points, or None where its equation has no root.

    The squared bandwidth, in units of the grid's length, is the diffusion time t* that solves t = xi gamma(t): equation (31) of
    Botev, Grotowski and Kroese, "Kernel density estimation via diffusion", Annals of Statistics 38 (2010), with seven stages as
    in the authors' program. Of several roots the smallest is taken, so that narrow modes far apart are not smeared into one. On
    normal data it lies 5.3 % above 1.059 sigma n^(-1/5) at n = 1,000 (mean of 1,500 simulated sets) and 0.2 % at n = 100,000.

    Parameters
    ----------
    masses
        shape [bins], weight of the points in each bin of a regular grid that reaches well beyond them.
    width
        width of one bin, in the points' unit.
    resolution
        the least difference that the points can show, in their unit. Roots below it describe the ticks of the clock and not the
        density; 0 takes any root.
    """
    length = width * masses.size
    size = float(masses.sum())
    decay, powers = _frequencies(masses.size)
    power = (scipy.fft.dct(masses / size)[1:] / 2) ** 2
    weighted = {order: power * powers[order] for order in range(2, STAGES + 1)}
    faded = np.empty_like(decay)
    scales = {order: _scale(order) / (size * math.sqrt(math.pi / 2)) for order in range(2, STAGES)}

    def roughness(order: int, time: float) -> np.float64:
        """Return the squared norm of the density's derivative of this order, after diffusion for ``time``."""
        felt = int(math.sqrt(VANISHES / time) / math.pi) + 1 if VANISHES / masses.size**2 < time * math.pi**2 else masses.size
        left = faded[:felt]
        np.exp(np.multiply(decay[:felt], time, out=left), out=left)
        return np.float64(2 * (weighted[order][:felt] @ left))

    @cache
    def excess(time: float) -> float:
        """Return t - xi gamma(t): below zero where t is too short a diffusion time."""
        norm = roughness(STAGES, time)
        for order in range(STAGES - 1, 1, -1):
            norm = roughness(order, (scales[order] / norm) ** (2 / (3 + 2 * order)))
        return float(time - (2 * size * np.sqrt(np.pi) * norm) ** -0.4)

    shortest = (resolution / length) ** 2
    ladder = [shortest, *_rungs(max(shortest, (0.25 / masses.size) ** 2))]
    with np.errstate(divide="ignore"):  # so few points that all is diffused away: the next time is infinite and no root is near
        for below, above in pairwise(ladder):
            if excess(below) < 0 <= excess(above):
                root = scipy.optimize.brentq(excess, below, above, xtol=1e-300, rtol=1e-12)
                return float(np.sqrt(root) * length)
        return resolution if excess(shortest) >= 0 else None


@lru_cache(maxsize=8)
def _frequencies(bins: int) -> tuple[FloatArray, tuple[FloatArray, ...]]:
    """Return minus the squared frequencies of a grid, and the powers of these from 0 on: the same for all points."""
    squared: FloatArray = np.asarray((np.pi * np.arange(1, bins)) ** 2, dtype=np.float64)
    return -squared, tuple(np.asarray(squared**order, dtype=np.float64) for order in range(STAGES + 1))


@lru_cache(maxsize=64)
def _rungs(shortest: float) -> tuple[float, ...]:
    return tuple(np.geomspace(shortest, LONGEST_TIME, RUNGS).tolist())


def _scale(order: int) -> float:
    """Return (1 + 2^-(order + 1/2)) / 3 times 1 x 3 x ... x (2 order - 1): the stage's constant in equation (31)."""
    return (1 + math.pow(0.5, order + 0.5)) / 3 * math.prod(range(1, 2 * order, 2))
