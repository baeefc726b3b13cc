"""The convergence loop of the paper's program (``run_tq.py``), in seconds: the unit matters.

Yang et al., arXiv 2212.13925v3; github.com/Jason-Young-AI/Tail-Quality, commit cfcf8c8
(Apache-2.0), re-implemented from what it does, with none of its text.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.stats.convergence import jensen_shannon_distance
from orchestrator.stats.density import Floats, kde_on_grid

NS_PER_S = 1e9
GRID_POINTS, ADDED = 1000, 1e-8  # what is added to each density, so that none is 0
# In the unit of the data, whatever that is: of times in seconds the mesh reaches 6 s beyond.
MESH_POINTS, PADDING = 1024, 6.0
STAGES, LONGEST_TIME = 7, 1.0
FEW_PAIRS = 2**18  # Of a time and a point: so many are evaluated one by one.
NEGLIGIBLE = 1e-17
WINDOW = 5
# Defaults of the scripts: rounds before the first fit, rounds between fits, largest final rJSD.
WARM, FIT_EVERY, THRESHOLD = 1, 2, 0.05

SQUARES = np.arange(1, MESH_POINTS, dtype=np.float64) ** 2
WEIGHTS = {s: 0.5 * np.pi ** (2 * s) * SQUARES**s for s in range(2, STAGES + 1)}


def kdepy_bandwidth(pool: Floats, distinct: int) -> float:
    """Return the bandwidth that KDEpy 1.1.12 calls improved Sheather-Jones, in the data's unit.

    Its mesh reaches 6 units beyond the data, and the diffusion time, in units of the mesh's length,
    is scaled by the data's range. ValueError with KDEpy's own message, if there is no root below a
    diffusion time of 1. ``distinct`` is how many different values there are.
    """
    low, high = float(pool.min()), float(pool.max())
    padding = max(PADDING, 0.5 * (high - low))
    mesh = np.linspace(low - padding, high + padding, MESH_POINTS)
    position = (pool - mesh[0]) / ((mesh[-1] - mesh[0]) / (MESH_POINTS - 1))
    left = position.astype(np.int64)
    to_the_right = np.bincount(left, position - left, MESH_POINTS)
    shared = np.bincount(left, minlength=MESH_POINTS) - to_the_right
    shared[1:] += to_the_right[:-1]
    power = scipy.fft.dct(shared / pool.size)[1:] ** 2
    weighted = {order: weights * power for order, weights in WEIGHTS.items()}

    def roughness(order: int, time: float) -> np.float64:
        return np.float64(np.sum(weighted[order] * np.exp(-SQUARES * np.pi**2 * time)))

    def excess(time: float) -> float:  # t - xi(t)
        norm = roughness(STAGES, time)
        for order in range(STAGES - 1, 1, -1):
            odd = math.prod(range(1, 2 * order, 2)) / math.sqrt(2 * np.pi)
            scale = 2 * (1 + 0.5 ** (order + 0.5)) / 3 * odd
            norm = roughness(order, (scale / (distinct * norm)) ** (2 / (3 + 2 * order)))
        return float(time - (2 * distinct * math.sqrt(np.pi) * norm) ** -0.4)

    longest = 1e-11 + 0.01 * (min(max(distinct, 50), 1050) - 50) / 1000
    with np.errstate(divide="ignore", over="ignore"):
        while longest < LONGEST_TIME:
            try:
                root = float(scipy.optimize.brentq(excess, 0.0, longest))
            except ValueError:
                root = 0.0
            if root > 0:
                return math.sqrt(root) * (high - low)
            longest *= 2
    raise ValueError("Root finding did not converge. Need more data.")


class Density(NamedTuple):
    """A Gaussian kernel density of times, [n] in any order: scikit-learn's ``KernelDensity``."""

    times: Floats
    bandwidth: float

    def at(self, grid: Floats) -> Floats:
        """Return the density at equidistant rising points that enclose all times."""
        step = float(grid[1] - grid[0])
        if 0 < step <= self.bandwidth and self.times.size * grid.size > FEW_PAIRS:
            return _by_moments(self.times, grid, step, self.bandwidth)
        return kde_on_grid(self.times, grid, self.bandwidth)


def _by_moments(times: Floats, grid: Floats, step: float, bandwidth: float) -> Floats:
    """Return what `kde_on_grid` does, within 1e-15 of a kernel's height, for step <= bandwidth.

    With u from the nearest point of the grid to another, and d from there to a time, in bandwidths,
    a kernel is exp(-u^2/2) exp(-d^2/2) sum over k of (u d)^k / k!, d being at most a half: each
    order of moments of d is shared by all times near a point and takes one convolution. Greengard
    and Strain, "The Fast Gauss Transform", SIAM J. Sci. Stat. Comput. 12 (1991).
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


def distances(current: Density, others: Sequence[Density], low: float, high: float) -> Floats:
    """Return SciPy's ``jensenshannon`` of a density and each other one, on 1,000 points."""
    grid = np.linspace(low, high, GRID_POINTS)
    of_others = np.stack([other.at(grid) for other in others])
    return jensen_shannon_distance(current.at(grid) + ADDED, of_others + ADDED)


def rjsd(of_window: Floats) -> float:
    """Return the program's rJSD: the root of the mean *distance*, a fourth root of divergences."""
    return math.sqrt(float(of_window.mean()))


class Fit(NamedTuple):
    """One fit of all records so far; ``range`` and ``bandwidth`` are in seconds."""

    rounds: int
    records: int
    distinct: int
    range: float
    bandwidth: float


class Comparison(NamedTuple):
    """A fit beside those of the window, the oldest first, on a grid between two times.

    ``earlier`` : rounds of these fits.
    """

    rounds: int
    rjsd: float
    distances: Floats
    earlier: tuple[int, ...]
    shortest: float
    longest: float


class PaperLoop:
    """The program's loop for one clock, one round after the other.

    The pool holds all records of all rounds; the ``warm`` first ones only put the first fit off. A
    fit comes after round r > warm where r - warm is a multiple of ``fit_every``. It is compared
    with the ``window`` before it only at fits 6, 11, 16 and so on.
    """

    def __init__(self, warm: int = WARM, fit_every: int = FIT_EVERY, window: int = WINDOW) -> None:
        self._warm, self._fit_every, self._window = warm, fit_every, window
        self._rounds = self._fits = 0
        self._pool: Floats = np.empty(0)
        self._earlier: deque[Fit] = deque(maxlen=window)

    def add(self, times_s: ArrayLike) -> tuple[Fit | None, Comparison | None]:
        """Take in a round's records, without those of +inf; return its fit and comparison.

        ValueError where the program ends with one, because there is no bandwidth; the round counts.
        """
        times = np.asarray(times_s, dtype=np.float64).ravel()
        self._rounds += 1
        self._pool = pool = np.concatenate([self._pool, times[np.isfinite(times)]])
        after = self._rounds - self._warm
        if after <= 0 or after % self._fit_every or not pool.size:
            return None, None
        values = np.unique(pool)
        low, high = float(values[0]), float(values[-1])
        bandwidth = kdepy_bandwidth(pool, values.size)
        fit = Fit(self._rounds, pool.size, values.size, high - low, bandwidth)
        comparison = None
        if self._fits and self._fits % self._window == 0:
            # The pools of earlier fits are the first records of this one.
            fits = (fit, *self._earlier)
            current, *others = [Density(pool[: one.records], one.bandwidth) for one in fits]
            found = distances(current, others, low, high)
            rounds = tuple(one.rounds for one in self._earlier)
            comparison = Comparison(fit.rounds, rjsd(found), found, rounds, low, high)
        self._fits += 1
        self._earlier.append(fit)
        return fit, comparison
