"""How the paper's program fits a density to times, and how far it takes two of them to be apart (see `study.program`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats, mixture
from orchestrator.stats.divergence import jensen_shannon_distance

GRID_POINTS = 1000
ADDED = 1e-8
"""To each density, so that none is 0."""
MESH_POINTS = 1024
PADDING = 6.0
"""In the unit of the data, whatever that is: for times in seconds the mesh reaches 6 s beyond them."""
STAGES = 7
LONGEST_TIME = 1.0
FEW_PAIRS = 2**18
"""Of a time and a point: so many are evaluated one by one."""
NEGLIGIBLE = 1e-17
WITHOUT_ROOT = "Root finding did not converge. Need more data."

SQUARES = np.arange(1, MESH_POINTS, dtype=np.float64) ** 2
DECAY = -SQUARES * np.pi**2
WEIGHTS = {order: 0.5 * np.pi ** (2 * order) * SQUARES**order for order in range(2, STAGES + 1)}
SCALES = {
    order: 2 * (1 + 0.5 ** (order + 0.5)) / 3 * math.prod(range(1, 2 * order, 2)) / math.sqrt(2 * np.pi) for order in range(2, STAGES)
}


def kdepy_bandwidth(pool: ArrayLike, distinct: int | None = None) -> float:
    """Return the bandwidth that KDEpy 1.1.12 calls improved Sheather-Jones, in the unit of the data, on which it depends.

    Its mesh reaches 6 units beyond the data, and the diffusion time, in units of the mesh's length, is scaled by the data's range.

    Parameters
    ----------
    pool : any shape
        finite data.
    distinct
        how many different ones there are, if that is known.

    Raises
    ------
    ValueError
        with KDEpy's own message, if there is no root below a diffusion time of 1.
    """
    values = np.asarray(pool, dtype=np.float64).ravel()
    low, high = float(values.min()), float(values.max())
    padding = max(PADDING, 0.5 * (high - low))
    mesh = np.linspace(low - padding, high + padding, MESH_POINTS)
    position = (values - mesh[0]) / ((mesh[-1] - mesh[0]) / (MESH_POINTS - 1))
    left = position.astype(np.int64)
    to_the_right = np.bincount(left, position - left, MESH_POINTS)
    shared = np.bincount(left, minlength=MESH_POINTS) - to_the_right
    shared[1:] += to_the_right[:-1]
    power = scipy.fft.dct(shared / values.size)[1:] ** 2
    return math.sqrt(_diffusion_time(power, distinct or np.unique(values).size)) * (high - low)


def _diffusion_time(power: Floats, distinct: int) -> float:
    """Return the root of t - xi(t) that ``brentq`` finds with its default tolerance, from squared cosine coefficients, [1023]."""
    weighted = {order: weights * power for order, weights in WEIGHTS.items()}
    faded = np.empty_like(DECAY)

    def roughness(order: int, time: float) -> np.float64:
        np.exp(np.multiply(DECAY, time, out=faded), out=faded)
        return np.float64(np.sum(np.multiply(weighted[order], faded, out=faded)))

    def excess(time: float) -> float:
        norm = roughness(STAGES, time)
        for order in range(STAGES - 1, 1, -1):
            norm = roughness(order, (SCALES[order] / (distinct * norm)) ** (2 / (3 + 2 * order)))
        return float(time - (2 * distinct * math.sqrt(np.pi) * norm) ** -0.4)

    longest = 1e-11 + 0.01 * (min(max(distinct, 50), 1050) - 50) / 1000
    with np.errstate(divide="ignore", over="ignore"):
        while longest < LONGEST_TIME:
            try:
                root = float(scipy.optimize.brentq(excess, 0.0, longest))
            except ValueError:
                root = 0.0
            if root > 0:
                return root
            longest *= 2
    raise ValueError(WITHOUT_ROOT)


@dataclass(frozen=True)
class Density:
    """A Gaussian kernel density of times, [n] in any order: scikit-learn's ``KernelDensity``, which refuses a bandwidth of 0."""

    times: Floats
    bandwidth: float

    def __post_init__(self) -> None:
        if not self.bandwidth > 0:
            raise ValueError(f"bandwidth={self.bandwidth}: must be above 0, as scikit-learn wants it")

    def at(self, grid: Floats) -> Floats:
        """Return the density at equidistant rising points [m] from the shortest time or below to the longest or above."""
        step = float(grid[1] - grid[0])
        if 0 < step <= self.bandwidth and self.times.size * grid.size > FEW_PAIRS:
            return _by_moments(self.times, grid, step, self.bandwidth)
        return mixture(self.times, np.full(self.times.size, 1 / self.times.size), grid, self.bandwidth)


def _by_moments(times: Floats, grid: Floats, step: float, bandwidth: float) -> Floats:
    """Return what `density.mixture` does, within 1e-15 of a kernel's height, where the step is at most the bandwidth.

    With u from the nearest point of the grid to another, and d from there to a time, in bandwidths, a kernel is
    exp(-u^2/2) exp(-d^2/2) sum over k of (u d)^k / k!, d being at most a half: each order of moments of d is shared by all times
    near a point and takes one convolution. Greengard and Strain, "The Fast Gauss Transform", SIAM J. Sci. Stat. Comput. 12 (1991).
    """
    nearest = np.rint((times - grid[0]) / step).astype(np.int64)
    away = (times - grid[nearest]) / bandwidth
    apart = np.arange(1 - grid.size, grid.size) * step / bandwidth
    moments, kernel = np.exp(-0.5 * away**2), np.exp(-0.5 * apart**2)
    density = np.zeros(grid.size)
    order, left_out = 0, 1.0
    while left_out > NEGLIGIBLE:
        density += np.convolve(np.bincount(nearest, moments, grid.size), kernel, "valid")
        order += 1
        moments, kernel = moments * away, kernel * apart / order
        left_out *= 0.5 * step / bandwidth / math.sqrt(order)
    return np.asarray(density / (times.size * bandwidth * math.sqrt(2 * np.pi)))


def distances(current: Density, others: Sequence[Density], shortest: float, longest: float) -> Floats:
    """Return SciPy's ``jensenshannon`` between a density and each other one, on 1,000 points from the shortest time to the longest."""
    grid = np.linspace(shortest, longest, GRID_POINTS)
    return distances_at(current.at(grid), np.stack([other.at(grid) for other in others]))


def distances_at(current: Floats, others: Floats) -> Floats:
    """Return the distances of densities at the same points, [m] and [others, m], with 1e-8 added to each."""
    return jensen_shannon_distance(current + ADDED, others + ADDED)


def rjsd(of_window: Floats) -> float:
    """Return what the program calls rJSD: the root of the mean *distance*, so a fourth root of divergences."""
    return math.sqrt(float(of_window.mean()))
