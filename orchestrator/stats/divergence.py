from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Return the Jensen-Shannon divergence in natural units: the mean of KL(p, m) and KL(q, m) with m = (p + q) / 2.

    Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information Theory 37 (1991). 0 log 0 is 0, so
    nothing is added to empty places. With d = (p - q) / (p + q) a place contributes
    (p + q) / 4 x ((1 + d) log(1 + d) + (1 - d) log(1 - d)), which keeps its digits where p and q are nearly equal.

    Parameters
    ----------
    p, q : [..., n]
        probability masses over the last axis; they are divided by their sums. Leading axes broadcast.

    Returns
    -------
    [...] divergences within 0 and ln 2.

    Raises
    ------
    ValueError
        if a mass is negative or not finite, or all masses are 0.

    Examples
    --------
    >>> float(jensen_shannon_divergence([1, 0], [0, 1]).round(4))
    0.6931
    """
    first, second = _masses(p), _masses(q)
    total = first + second
    d = np.divide(first - second, total, out=np.zeros_like(total), where=total > 0)
    divergence = (total / 4 * (xlog1py(1 + d, d) + xlog1py(1 - d, -d))).sum(axis=-1)
    return np.asarray(np.clip(divergence, 0, np.log(2)))


def jensen_shannon_distance(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    """Return the Jensen-Shannon distance, the square root of the divergence: what SciPy calls ``jensenshannon``.

    Endres and Schindelin, "A New Metric for Probability Distributions", IEEE Transactions on Information Theory 49 (2003).
    Parameters and errors are those of `jensen_shannon_divergence`; the result lies within 0 and sqrt(ln 2).
    """
    return np.sqrt(jensen_shannon_divergence(p, q))


def _masses(weights: ArrayLike) -> NDArray[np.float64]:
    """Return weights divided by their sum over the last axis."""
    masses = np.asarray(weights, dtype=np.float64)
    sums = masses.sum(axis=-1, keepdims=True)
    if not (np.isfinite(sums).all() and (masses >= 0).all() and (sums > 0).all()):
        raise ValueError("probability masses must be finite, not negative, and not all zero")
    return np.asarray(masses / sums)
