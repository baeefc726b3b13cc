"""Whether the density of times has settled: of all times together, and of each sample's own."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.stats.density import Bandwidth, Floats
from orchestrator.stats.divergence import Fit, divergences, fit_density, fit_times
from orchestrator.stats.histogram import LogHistogram
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.times import Times, checked_times

SHARES = (80.0, 85.0, 90.0, 95.0)
Of = TypeVar("Of")


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
        self.threshold = threshold
        self.fit_every = fit_every
        self.rounds = 0
        self._history = LogHistogram()
        self._earlier: deque[Fit] = deque(maxlen=window)

    def update(self, times_ns: ArrayLike) -> Check:
        """Add one round and check after every ``fit_every``-th."""
        self.add(times_ns)
        return self.check() if self.rounds % self.fit_every == 0 else Check(self.rounds)

    def add(self, times_ns: ArrayLike) -> None:
        """Add one round of times in ns, +inf without one; InputError for what is no time."""
        self._history.add(times_ns)
        self.rounds += 1

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


def rounds_needed_by_share(
    rounds: ArrayLike, shares: Sequence[float] = SHARES
) -> dict[float, float]:
    """Return after how many rounds so many percent of samples have settled; +inf where fewer have.

    Examples
    --------
    >>> rounds_needed_by_share([60, 65, 70, 75, np.inf])
    {80.0: 75.0, 85.0: inf, 90.0: inf, 95.0: inf}
    """
    return {share: percentile_inverted_cdf(rounds, share) for share in shares}
