from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtr

from orchestrator.stats.density import Floats

REACH = 8
"""In bandwidths: what lies further away is below 1e-15 of a kernel."""


def smoothed(weights: Floats, bandwidths: Floats) -> Floats:
    """Return the mass in every cell of a regular grid after Gaussian smoothing.

    Weight stands in the middle of its cell; a cell receives the integral of the kernel over it, so that the result is a
    distribution whatever the bandwidth. The work is that of a few fast Fourier transforms.

    Parameters
    ----------
    weights : [densities, cells]
        the outermost 8 bandwidths on either side must be empty.
    bandwidths : [densities]
        standard deviations of the kernels, in cells.

    Returns
    -------
    [densities, cells] masses, each row of the same sum as its weights.

    Examples
    --------
    >>> smoothed(np.array([[0.0, 0.0, 1.0, 0.0, 0.0]]), np.array([0.2])).round(4)
    array([[0.    , 0.0062, 0.9876, 0.0062, 0.    ]])
    """
    cells = weights.shape[1]
    size = next_fast_len(cells, real=True)
    reach = min(int(np.ceil(REACH * bandwidths.max())), (size - 1) // 2)
    offsets = np.arange(-reach, reach + 1)
    distance, half_cell = np.abs(offsets) / bandwidths[:, np.newaxis], 0.5 / bandwidths[:, np.newaxis]
    kernels = np.zeros((len(bandwidths), size))
    kernels[:, offsets % size] = ndtr(half_cell - distance) - ndtr(-half_cell - distance)
    masses = irfft(rfft(weights, size) * rfft(kernels), size)[:, :cells]
    return np.maximum(masses, 0)
