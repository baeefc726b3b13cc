from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError


def holm_adjusted(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted for being several: reject, at a family-wise level, the tests adjusted to at most that.

    In ascending order, p~_k = max over j <= k of min(1, (m - j + 1) p_j). Holm, "A Simple Sequentially Rejective Multiple Test
    Procedure", Scandinavian Journal of Statistics 6, 1979.

    Parameters
    ----------
    p_values : [m]
        of the tests of one family.

    Returns
    -------
    [m] adjusted values in the order given.

    Examples
    --------
    >>> holm_adjusted([0.01, 0.5, 0.02]).round(3)
    array([0.03, 0.5 , 0.04])
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise InputError(f"p-values of shape {p.shape}: must be [tests], each between 0 and 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return adjusted
