from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.stats.density import Floats
from orchestrator.stats.fit import Fit, divergences, fit_density
from orchestrator.stats.histogram import LogHistogram
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.times import Times, checked_times

SHARES = (80.0, 85.0, 90.0, 95.0)


def rounds_each_sample_needs(times: ArrayLike, initial: int = 30, step: int = 5, window: int = 5, largest_distance: float = 0.2) -> Floats:
    """Return the least number of rounds after which each sample's own density has settled: the paper's rule per sample.

    A sample's times are fitted after ``initial`` rounds and after every ``step`` more; it has settled at the first fit whose
    Jensen-Shannon *distance* to each of the ``window`` fits before is at most ``largest_distance`` (Yang et al., arXiv
    2212.13925v3; with its values at 55 rounds at the earliest).

    Parameters
    ----------
    times : [R, S]
        times in ns, +inf for samples without one.

    Returns
    -------
    [S] numbers of rounds; +inf where R rounds are not enough.

    Raises
    ------
    InputError
        if a time is NaN, zero or negative.

    Examples
    --------
    >>> rounds_each_sample_needs(np.random.default_rng(0).lognormal(16, 0.1, (60, 1)))
    array([55.])
    """
    checked = checked_times(times)
    if checked.ndim != 2:
        raise ValueError(f"times of shape {checked.shape}: the shape must be [rounds, samples]")
    return np.array([_rounds_needed(own, initial, step, window, largest_distance) for own in checked.T], dtype=np.float64)


def rounds_needed_by_share(rounds: ArrayLike, shares: Sequence[float] = SHARES) -> dict[float, float]:
    """Return after how many rounds 80, 85, 90 and 95 % of the samples have settled.

    Parameters
    ----------
    rounds : [S]
        what `rounds_each_sample_needs` returns, at least one.
    shares
        in percent.

    Returns
    -------
    Number of rounds by share; +inf where fewer samples have settled.

    Examples
    --------
    >>> rounds_needed_by_share([55, 60, 65, 70, np.inf])
    {80.0: 70.0, 85.0: inf, 90.0: inf, 95.0: inf}
    """
    return {share: percentile_inverted_cdf(rounds, share) for share in shares}


def _rounds_needed(times: Times, initial: int, step: int, window: int, largest_distance: float) -> float:
    """Apply the rule to one sample's times, [R]."""
    history = LogHistogram()
    fits: list[Fit] = []
    begin = 0
    for end in range(initial, times.size + 1, step):
        history.add(times[begin:end])
        begin = end
        if not history.counts.size:
            continue
        fit = fit_density(history)
        if len(fits) >= window and np.sqrt(divergences(fit, fits[-window:]).max()) <= largest_distance:
            return end
        fits.append(fit)
    return math.inf
