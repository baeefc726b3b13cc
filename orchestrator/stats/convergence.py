from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.density import Bandwidth
from orchestrator.stats.divergence import MOST_CELLS, NS_PER_S, Fit, divergences, fit_density, jensen_shannon_distance
from orchestrator.stats.histogram import REACH, LogHistogram, smoothed
from orchestrator.stats.sheather_jones import bin_linearly
from orchestrator.stats.times import checked_times

GRID_POINTS = 1000
ADDED = 1e-8
CELLS_PER_BANDWIDTH = 4


def as_in_paper_code(current: Fit, earlier: Sequence[Fit], shortest_ns: float, longest_ns: float) -> float:
    """Return the figure that the paper's program calls rJSD: sqrt(mean of Jensen-Shannon *distances*).

    The program of Yang et al. (arXiv 2212.13925v3) averages SciPy's ``jensenshannon``, which is already the square root of the
    divergence, and takes the root once more. It compares Gaussian kernel densities of time in seconds at 1,000 equidistant
    points from the shortest time to the longest, 1e-8 added to each. Here they are evaluated from counts, on a lattice of those
    points and, where a bandwidth is narrow, others between them, so that the work does not grow with history (which moves the
    figure by less than 1 %); and the bandwidth is ours, the program's (KDEpy) being wrong in scale.

    Parameters
    ----------
    current, earlier
        the fit of all times and the fits of the window.
    shortest_ns, longest_ns
        ends of the grid.
    """
    if longest_ns == shortest_ns:
        return 0.0
    fits = [current, *earlier]
    bandwidths = np.array([fit.bandwidth_s for fit in fits])
    spacing = (longest_ns - shortest_ns) / NS_PER_S / (GRID_POINTS - 1)
    refined = min(int(np.ceil(spacing / bandwidths.min() * CELLS_PER_BANDWIDTH)), MOST_CELLS // GRID_POINTS)
    step = spacing / refined
    margin = int(np.ceil(REACH * bandwidths.max() / step)) + 1
    size = (GRID_POINTS - 1) * refined + 1 + 2 * margin
    low = shortest_ns / NS_PER_S - (margin + 0.5) * step
    weights = np.stack([_weights(fit, low, step, size) for fit in fits])
    density = smoothed(weights, bandwidths / step)[:, margin : size - margin : refined] / step
    return float(np.sqrt(jensen_shannon_distance(density[0] + ADDED, density[1:] + ADDED).mean()))


def _weights(fit: Fit, low_s: float, step_s: float, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the share of times at every point of a lattice, each cell of a fit shared between its two neighbours."""
    centres, counts = fit.cells.occupied()
    return bin_linearly(np.exp(centres) / NS_PER_S, counts / counts.sum(), low_s, step_s, size)


@dataclass(frozen=True)
class Check:
    """Whether the density of all times so far has settled.

    rounds
        number of rounds seen.
    bandwidth
        of log time, and the method that found it; None where this round brought no fit.
    rjsd
        square root of the mean Jensen-Shannon divergence between this fit and those of the window; None without a fit or before
        the window is full.
    rjsd_as_in_paper_code
        the figure of the paper's program, see `as_in_paper_code`.
    converged
        ``rjsd`` is within the threshold.
    """

    rounds: int
    bandwidth: Bandwidth | None = None
    rjsd: float | None = None
    rjsd_as_in_paper_code: float | None = None
    converged: bool = False

    @property
    def fitted(self) -> bool:
        """Whether this round brought a fit."""
        return self.bandwidth is not None


class DensityConvergence:
    """Convergence of the pooled density of all times: equation (5) of Yang et al., arXiv 2212.13925v3.

    A check fits a Gaussian kernel density in log time to all times so far and compares it with the fits of the last ``window``
    checks. The fits are kept as counts and bandwidth and evaluated anew on a grid over all times so far, so that the work of a
    check does not grow with history. Samples without a time take no part. A small value says that the pooled density is stable
    and nothing about its tail.

    Parameters
    ----------
    window
        number of earlier fits.
    threshold
        largest rJSD that counts as converged.
    fit_every
        rounds from one fit to the next, for `update`. The paper's program takes 2.

    Raises
    ------
    InputError
        if a parameter is out of range.
    """

    def __init__(self, window: int = 5, threshold: float = 0.05, fit_every: int = 1) -> None:
        for name, value in {"window": window, "threshold": threshold, "fit_every": fit_every}.items():
            if not value > 0:
                raise InputError(f"{name}={value}: must be a positive number")
        self.threshold = threshold
        self.fit_every = fit_every
        self.rounds = 0
        self._history = LogHistogram()
        self._shortest_ns, self._longest_ns = math.inf, 0.0
        self._window = window
        self._earlier: deque[Fit] = deque(maxlen=window)

    def update(self, times_ns: ArrayLike) -> Check:
        """Add one round and check after every ``fit_every``-th.

        Parameters
        ----------
        times_ns : any shape
            times of one round in ns, +inf for samples without one.

        Raises
        ------
        InputError
            if a time is NaN, zero or negative.

        Examples
        --------
        >>> convergence = DensityConvergence()
        >>> times = np.random.default_rng(0).lognormal(16, 0.1, (10, 1000))
        >>> [convergence.update(round_ns).converged for round_ns in times].index(True)
        5
        """
        self.add(times_ns)
        return self.check() if self.rounds % self.fit_every == 0 else Check(self.rounds)

    def add(self, times_ns: ArrayLike) -> None:
        """Add one round without a check; parameters and errors are those of `update`."""
        times = checked_times(times_ns)
        measured = times[np.isfinite(times)]
        self.rounds += 1
        if measured.size:
            self._history.add(measured)
            self._shortest_ns = min(self._shortest_ns, float(measured.min()))
            self._longest_ns = max(self._longest_ns, float(measured.max()))

    def check(self) -> Check:
        """Fit all times so far and compare the fit with those of the window."""
        if not self._history.counts.size:
            return Check(self.rounds)
        fit, earlier = fit_density(self._history), list(self._earlier)
        self._earlier.append(fit)
        if len(earlier) < self._window:
            return Check(self.rounds, fit.bandwidth)
        rjsd = float(np.sqrt(divergences(fit, earlier).mean()))
        in_paper_code = as_in_paper_code(fit, earlier, self._shortest_ns, self._longest_ns)
        return Check(self.rounds, fit.bandwidth, rjsd, in_paper_code, rjsd <= self.threshold)


def rjsd_of_rounds(times_ns: ArrayLike, window: int = 5, fit_every: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return after how many rounds the density was compared with those of the window, and each rJSD: what `DensityConvergence` finds.

    Parameters
    ----------
    times_ns : [R, ...]
        times in ns, +inf for samples without one.
    window, fit_every
        as in `DensityConvergence`.

    Returns
    -------
    [K] numbers of rounds and [K] values; none where there are too few rounds.

    Examples
    --------
    >>> rounds, rjsd = rjsd_of_rounds(np.random.default_rng(0).lognormal(16, 0.1, (8, 1000)))
    >>> rounds.tolist(), (rjsd < 0.05).tolist()
    ([6, 7, 8], [True, True, True])
    """
    times = checked_times(times_ns)
    history, earlier = LogHistogram(), deque[Fit](maxlen=window)
    found: list[tuple[int, float]] = []
    for number, of_round in enumerate(times, start=1):
        history.add(of_round)
        if number % fit_every or not history.counts.size:
            continue
        fit = fit_density(history)
        if len(earlier) == window:
            found.append((number, float(np.sqrt(divergences(fit, list(earlier)).mean()))))
        earlier.append(fit)
    return np.array([number for number, _ in found], dtype=np.int64), np.array([value for _, value in found])
