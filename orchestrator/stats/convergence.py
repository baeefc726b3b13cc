"""How far densities of time are apart, and whether one has settled: of all times, or a sample's."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import scipy
from numpy.typing import ArrayLike

from orchestrator.stats.density import (
    BINS,
    REACH,
    REACH_IQRS,
    Bandwidth,
    Floats,
    LogHistogram,
    select_bandwidth,
    smoothed,
)
from orchestrator.stats.times import Times, checked_times

Of = TypeVar("Of")
# How many cells of kept counts make a bin of the grid on which a bandwidth is found.
CELLS_PER_BIN = 4
# Densities are compared on at most so many cells, so that no outlier can make a check slow. Where
# times reach over more than 8,000 bandwidths, cells are wider than a quarter of one, and
# densities seem slightly more alike than they are.
MOST_CELLS = 2**15


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the Jensen-Shannon divergence of masses [..., n], in natural units: within 0 and ln 2.

    Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information Theory
    37 (1991). With d = (p - q) / (p + q) a place contributes
    (p + q) / 4 x ((1 + d) log(1 + d) + (1 - d) log(1 - d)), which keeps its digits where p and q
    are nearly equal. Masses are divided by their sums; leading axes broadcast.

    Examples
    --------
    >>> float(jensen_shannon_divergence([1, 0], [0, 1]).round(4))
    0.6931
    """
    first, second = (np.asarray(of) / np.sum(of, axis=-1, keepdims=True) for of in (p, q))
    total = first + second
    d = np.divide(first - second, total, out=np.zeros_like(total), where=total > 0)
    terms = scipy.special.xlog1py(1 + d, d) + scipy.special.xlog1py(1 - d, -d)
    return np.asarray(np.clip((total / 4 * terms).sum(axis=-1), 0, np.log(2)))


def jensen_shannon_distance(p: ArrayLike, q: ArrayLike) -> Floats:
    """Return the square root of the divergence, which is a metric: SciPy's ``jensenshannon``.

    Endres and Schindelin, "A New Metric for Probability Distributions", IEEE Transactions on
    Information Theory 49 (2003).
    """
    return np.sqrt(jensen_shannon_divergence(p, q))


class Fit(NamedTuple):
    """A Gaussian kernel density of log time, kept as counts so that any later grid can hold it."""

    cells: LogHistogram
    bandwidth: Bandwidth


def fit_density(history: LogHistogram) -> Fit:
    """Return the density of all times counted so far, at least one.

    Counts are first merged into cells of at most a quarter of a bin of the bandwidth's grid, so
    that the work depends on the shape of the times and not on their number.
    """
    q1, median, q3 = history.quantiles([0.25, 0.5, 0.75])
    wanted = (2 * REACH_IQRS + 1) * (q3 - q1) / BINS / CELLS_PER_BIN
    factor = 2 ** int(np.floor(np.log2(max(wanted / history.step, 1))))
    cells = history.coarsened(factor)
    one_ns = float(np.exp(-median))
    return Fit(cells, select_bandwidth(*cells.occupied(), resolution=max(cells.step, one_ns)))


def fit_times(times_ns: ArrayLike) -> Fit:
    """Return the density of the log of those times that samples have, at least one."""
    history = LogHistogram()
    history.add(times_ns)
    return fit_density(history)


def masses_on_common_grid(fits: Sequence[Fit]) -> Floats:
    """Return the probability that each density gives to every cell of one grid, [fits, cells].

    The grid reaches 8 bandwidths beyond all times; a cell holds the integral of the density.
    """
    bandwidths = np.array([fit.bandwidth.value for fit in fits])
    margin = REACH * bandwidths.max()
    low = min(fit.cells.first * fit.cells.step for fit in fits) - margin
    high = max(fit.cells.end * fit.cells.step for fit in fits) + margin
    step = min(fit.cells.step for fit in fits)
    while (high - low) / step > MOST_CELLS:
        step *= 2
    first = int(np.floor(low / step))
    size = int(np.ceil(high / step)) - first
    weights = np.stack([fit.cells.on_grid(step, first, size) for fit in fits])
    masses = smoothed(weights, bandwidths / step)
    return np.asarray(masses / masses.sum(axis=1, keepdims=True))


def divergences(current: Fit, earlier: Sequence[Fit]) -> Floats:
    """Return the Jensen-Shannon divergence of the current density from each earlier one."""
    masses = masses_on_common_grid([current, *earlier])
    return jensen_shannon_divergence(masses[0], masses[1:])


class Check(NamedTuple):
    """Whether the density of all times so far has settled.

    bandwidth
        of log time; None where this round brought no fit.
    rjsd
        root of the mean Jensen-Shannon divergence of this fit from those of the window; None
        without a fit or before the window is full.
    """

    rounds: int
    bandwidth: Bandwidth | None = None
    rjsd: float | None = None
    converged: bool = False


class DensityConvergence:
    """Convergence of the density of all times: equation (5) of Yang et al., arXiv 2212.13925v3.

    A check fits a Gaussian kernel density in log time to all times so far and compares it with the
    fits of the last ``window`` checks. These are kept as counts and bandwidth and evaluated anew on
    a grid over all times so far, so that the work of a check does not grow with history. A small
    value says that the pooled density is stable and nothing about its tail.

    Examples
    --------
    >>> convergence = DensityConvergence()
    >>> times = np.random.default_rng(0).lognormal(16, 0.1, (10, 1000))
    >>> [convergence.update(round_ns).converged for round_ns in times].index(True)
    5
    """

    def __init__(self, window: int = 5, threshold: float = 0.05, fit_every: int = 1) -> None:
        self.threshold, self.fit_every, self.rounds = threshold, fit_every, 0
        self._history = LogHistogram()
        self._earlier: deque[Fit] = deque(maxlen=window)

    def update(self, times_ns: ArrayLike) -> Check:
        """Add one round and check after every ``fit_every``-th."""
        self.add(times_ns)
        return self.check() if self.rounds % self.fit_every == 0 else Check(self.rounds)

    def add(self, times_ns: ArrayLike, rounds: int = 1) -> None:
        """Add rounds of times in ns, +inf without one; InputError for what is no time."""
        self._history.add(times_ns)
        self.rounds += rounds

    def check(self) -> Check:
        """Fit all times so far and compare the fit with those of the window."""
        if not self._history.counts.size:
            return Check(self.rounds)
        fit, earlier = fit_density(self._history), list(self._earlier)
        self._earlier.append(fit)
        if len(earlier) < (self._earlier.maxlen or 0):
            return Check(self.rounds, fit.bandwidth)
        rjsd = float(np.sqrt(divergences(fit, earlier).mean()))
        return Check(self.rounds, fit.bandwidth, rjsd, rjsd <= self.threshold)


def settling(
    times: Times,
    fit: Callable[[Times], Of],
    distances: Callable[[Of, Sequence[Of]], Floats],
    initial: int = 30,
    step: int = 5,
    window: int = 5,
) -> Iterator[tuple[int, Floats]]:
    """Yield after how many rounds one sample's fit is compared, and its distances to earlier fits.

    Its times, [R], are fitted after ``initial + step`` rounds and after every ``step`` more, and
    each fit is compared with the ``window`` before it, the oldest first (Yang et al., arXiv
    2212.13925v3). While the sample has no time there is no fit.
    """
    fits: list[Of] = []
    for rounds in range(initial + step, times.size + 1, step):
        if np.isfinite(times[:rounds]).any():
            fits.append(fit(times[:rounds]))
            if len(fits) > window:
                yield rounds, distances(fits[-1], fits[-window - 1 : -1])


def rounds_each_sample_needs(
    times: ArrayLike, initial: int = 30, step: int = 5, window: int = 5, largest: float = 0.2
) -> Floats:
    """Return after how many rounds each sample's own density has settled, [S]; +inf if it has not.

    That of a column of times, [R, S] in ns, has at the first fit of log time whose Jensen-Shannon
    *distance* to each of the ``window`` fits before is at most ``largest``; see `settling`.

    Examples
    --------
    >>> rounds_each_sample_needs(np.random.default_rng(0).lognormal(16, 0.1, (60, 1)))
    array([60.])
    """
    needed = []
    for own in checked_times(times).T:
        compared = settling(own, fit_times, divergences, initial, step, window)
        settled = (rounds for rounds, found in compared if np.sqrt(found.max()) <= largest)
        needed.append(float(next(settled, math.inf)))
    return np.array(needed)
