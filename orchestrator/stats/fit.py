from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orchestrator.stats.density import REACH_IQRS, Bandwidth, Floats, select_bandwidth
from orchestrator.stats.divergence import jensen_shannon_divergence
from orchestrator.stats.histogram import REACH, LogHistogram, smoothed
from orchestrator.stats.sheather_jones import BINS

NS_PER_S = 1e9
CELLS_PER_BIN = 4
"""How many cells of kept counts make a bin of the grid on which a bandwidth is found."""
MOST_CELLS = 2**15
"""Densities are compared on at most this many cells, so that no outlier can make a check slow. Where times reach over more than
8,000 bandwidths, cells are wider than a quarter of one, and densities seem slightly more alike than they are."""


@dataclass(frozen=True)
class Fit:
    """A Gaussian kernel density of log time, kept as counts and bandwidth so that it can be evaluated on any later grid."""

    cells: LogHistogram
    bandwidth: Bandwidth

    @cached_property
    def bandwidth_s(self) -> float:
        """Bandwidth of a density over time in seconds, as the paper's code fits it."""
        centres, counts = self.cells.occupied()
        median_s = np.exp(self.cells.quantiles(0.5)) / NS_PER_S
        resolution = max(self.cells.step * float(median_s), 1 / NS_PER_S)
        return select_bandwidth(np.exp(centres) / NS_PER_S, counts, resolution).value


def fit_density(history: LogHistogram) -> Fit:
    """Return the density of all times counted so far.

    The counts are first merged into cells of at most a quarter of a bin of the bandwidth's grid, so that the work depends on
    the shape of the times and not on their number.

    Parameters
    ----------
    history
        counts of log time, at least one.
    """
    q1, median, q3 = history.quantiles([0.25, 0.5, 0.75])
    wanted = (2 * REACH_IQRS + 1) * (q3 - q1) / BINS / CELLS_PER_BIN
    factor = 2 ** max(0, int(np.floor(np.log2(max(wanted, history.step) / history.step))))
    cells = history.coarsened(factor)
    one_ns = float(np.exp(-median))
    return Fit(cells, select_bandwidth(*cells.occupied(), resolution=max(cells.step, one_ns)))


def masses_on_common_grid(fits: Sequence[Fit]) -> Floats:
    """Return the probability that each density gives to every cell of one grid over log time.

    The grid reaches 8 bandwidths beyond all times; a cell holds the integral of the density and not a value of it.

    Returns
    -------
    [fits, cells] masses, each row summing to 1.
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
    masses = smoothed(np.stack([fit.cells.on_grid(step, first, size) for fit in fits]), bandwidths / step)
    return np.asarray(masses / masses.sum(axis=1, keepdims=True))


def divergences(current: Fit, earlier: Sequence[Fit]) -> Floats:
    """Return the Jensen-Shannon divergence between the current density and each earlier one, [earlier]."""
    masses = masses_on_common_grid([current, *earlier])
    return jensen_shannon_divergence(masses[0], masses[1:])
