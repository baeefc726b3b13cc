"""After how many rounds each sample's own density has settled: the paper's rule per sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats
from orchestrator.stats.divergence import Fit, divergences, fit_density
from orchestrator.stats.histogram import FewTimes
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.times import checked_times

SHARES = (80.0, 85.0, 90.0, 95.0)


def rounds_each_sample_needs(times: ArrayLike, initial: int = 30, step: int = 5, window: int = 5, largest_distance: float = 0.2) -> Floats:
    """Return the least number of rounds after which each sample's own density has settled, [S]; +inf where R are not enough.

    The times of a sample, a column of [R, S] in ns, are fitted after ``initial + step`` rounds and after every ``step`` more; it has
    settled at the first fit whose Jensen-Shannon *distance* to each of the ``window`` fits before is at most ``largest_distance``
    (Yang et al., arXiv 2212.13925v3). The densities are ours, of log time.

    Examples
    --------
    >>> rounds_each_sample_needs(np.random.default_rng(0).lognormal(16, 0.1, (60, 1)))
    array([60.])
    """
    needed = []
    for own in checked_times(times).T:
        fits: list[Fit] = []
        settled = math.inf
        for end in range(initial + step, own.size + 1, step):
            if not np.isfinite(own[:end]).any():
                continue
            fit = fit_density(FewTimes(own[:end]))
            if len(fits) >= window and np.sqrt(divergences(fit, fits[-window:]).max()) <= largest_distance:
                settled = end
                break
            fits.append(fit)
        needed.append(settled)
    return np.array(needed, dtype=np.float64)


def rounds_needed_by_share(rounds: ArrayLike, shares: Sequence[float] = SHARES) -> dict[float, float]:
    """Return after how many rounds 80, 85, 90 and 95 % of the samples have settled; +inf where fewer have.

    Examples
    --------
    >>> rounds_needed_by_share([60, 65, 70, 75, np.inf])
    {80.0: 75.0, 85.0: inf, 90.0: inf, 95.0: inf}
    """
    return {share: percentile_inverted_cdf(rounds, share) for share in shares}
