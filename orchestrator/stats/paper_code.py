from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.stats.density import Floats, mixture
from orchestrator.stats.divergence import jensen_shannon_distance
from orchestrator.stats.fit import NS_PER_S, Fit

GRID_POINTS = 1000
ADDED = 1e-8
CELLS_PER_BANDWIDTH = 2
KERNEL_REACH = 7


def as_in_paper_code(current: Fit, earlier: Sequence[Fit], shortest_ns: float, longest_ns: float) -> float:
    """Return the figure that the paper's program calls rJSD: sqrt(mean of Jensen-Shannon *distances*).

    The program of Yang et al. (arXiv 2212.13925v3) averages SciPy's ``jensenshannon``, which is already the square root of the
    divergence, and takes the root once more. It compares densities of time in seconds on 1,000 equidistant points from the
    shortest time to the longest, 1e-8 added to each. Here they are evaluated from counts in cells of at most half a bandwidth
    at the median, so that the work does not grow with history; and the bandwidth is ours, the program's (KDEpy) being wrong in
    scale.

    Parameters
    ----------
    current, earlier
        the fit of all times and the fits of the window.
    shortest_ns, longest_ns
        ends of the grid.
    """
    grid = np.linspace(shortest_ns, longest_ns, GRID_POINTS) / NS_PER_S
    densities = np.stack([_density(fit, grid) for fit in [current, *earlier]]) + ADDED
    return float(np.sqrt(jensen_shannon_distance(densities[0], densities[1:]).mean()))


def _density(fit: Fit, grid_s: Floats) -> Floats:
    """Return the density per second of a fit at points in seconds."""
    median_s = np.exp(fit.cells.quantiles(0.5)) / NS_PER_S
    wanted = fit.bandwidth_s / float(median_s) / CELLS_PER_BANDWIDTH
    factor = 2 ** max(0, int(np.floor(np.log2(wanted / fit.cells.step))))
    centres, counts = fit.cells.coarsened(factor).occupied()
    return mixture(np.exp(centres) / NS_PER_S, counts / counts.sum(), grid_s, fit.bandwidth_s, KERNEL_REACH)
