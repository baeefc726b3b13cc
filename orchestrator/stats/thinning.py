"""Which few of many stand for all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def evenly_chosen(count: int, most: int) -> NDArray[np.intp]:
    """Return at most ``most`` of the numbers below ``count``, evenly chosen and rising, the first and the last among them.

    Examples
    --------
    >>> evenly_chosen(10, 4)
    array([0, 3, 6, 9])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))
