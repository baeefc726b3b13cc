from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.contracts import InputError
from orchestrator.stats.density import Bandwidth
from orchestrator.stats.divergence import Fit, divergences, fit_density
from orchestrator.stats.histogram import LogHistogram
from orchestrator.stats.times import checked_times


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
    converged
        ``rjsd`` is within the threshold.
    """

    rounds: int
    bandwidth: Bandwidth | None = None
    rjsd: float | None = None
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
        rounds from one fit to the next, for `update`.

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

    def check(self) -> Check:
        """Fit all times so far and compare the fit with those of the window."""
        if not self._history.counts.size:
            return Check(self.rounds)
        fit, earlier = fit_density(self._history), list(self._earlier)
        self._earlier.append(fit)
        if len(earlier) < self._window:
            return Check(self.rounds, fit.bandwidth)
        rjsd = float(np.sqrt(divergences(fit, earlier).mean()))
        return Check(self.rounds, fit.bandwidth, rjsd, rjsd <= self.threshold)
