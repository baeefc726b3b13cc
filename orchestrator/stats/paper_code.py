from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.stats.divergence import jensen_shannon_distance
from orchestrator.stats.fit import MOST_CELLS, NS_PER_S, Fit
from orchestrator.stats.sheather_jones import bin_linearly
from orchestrator.stats.smoothing import REACH, smoothed

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
