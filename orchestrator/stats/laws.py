"""Student's t, ranks and thinning, without `scipy.stats`, which takes longer to import than all else."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Numbers = float | Floats


def t_cdf(t: Numbers, degrees: Numbers) -> Floats:
    """Return how likely Student's t is at most ``t``.

    Examples
    --------
    >>> round(float(t_cdf(2.0, 10)), 4)
    0.9633
    """
    return np.asarray(scipy.special.stdtr(degrees, t), dtype=np.float64)


def t_sf(t: Numbers, degrees: Numbers) -> Floats:
    """Return how likely Student's t exceeds ``t``.

    Examples
    --------
    >>> round(float(t_sf(2.0, 10)), 4)
    0.0367
    """
    return t_cdf(-t, degrees)


def t_quantile(probability: Numbers, degrees: Numbers) -> Floats:
    """Return the value that Student's t exceeds with a probability of 1 - ``probability``.

    Examples
    --------
    >>> round(float(t_quantile(0.975, 10)), 3)
    2.228
    """
    p = np.asarray(probability, dtype=np.float64)
    at_an_end = ((p == 0) | (p == 1)) & (np.asarray(degrees) > 0)  # there SciPy's function returns no infinity of the right sign
    return np.where(at_an_end, scipy.special.ndtri(p), scipy.special.stdtrit(degrees, p))


def t_isf(probability: Numbers, degrees: Numbers) -> Floats:
    """Return the value that Student's t exceeds with a probability.

    Examples
    --------
    >>> round(float(t_isf(0.025, 10)), 3)
    2.228
    """
    return -t_quantile(probability, degrees)


def ranks(values: ArrayLike, ties: Literal["average", "least", "dense"] = "average") -> Floats:
    """Return the place of each value in its row, from 1; NaN has none.

    Values that are equal share the average of their places, the least of them, or a place after which the next one follows at once.

    Examples
    --------
    >>> ranks([20.0, 10.0, 20.0, 30.0]), ranks([20.0, 10.0, 20.0, 30.0], "least"), ranks([20.0, 10.0, 20.0, 30.0], "dense")
    (array([2.5, 1. , 2.5, 4. ]), array([2., 1., 2., 4.]), array([2., 1., 2., 3.]))
    """
    table = np.asarray(values, dtype=np.float64)
    order = np.argsort(table, axis=-1, kind="stable")
    ordered = np.take_along_axis(table, order, axis=-1)
    is_new = np.ones(table.shape, dtype=np.bool_)
    is_new[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    counts = np.diff(np.flatnonzero(is_new), append=table.size)
    least = np.broadcast_to(np.arange(1.0, table.shape[-1] + 1), table.shape)[is_new]
    places = {"average": least + (counts - 1) / 2, "least": least, "dense": np.cumsum(is_new, axis=-1)[is_new]}[ties]
    found = np.empty(table.shape)
    np.put_along_axis(found, order, np.repeat(places, counts).reshape(table.shape), axis=-1)
    found[np.isnan(table)] = np.nan
    return found


def evenly_chosen(count: int, most: int) -> NDArray[np.intp]:
    """Return at most ``most`` of the numbers below ``count``, evenly chosen and rising, the first and the last among them.

    Examples
    --------
    >>> evenly_chosen(10, 4)
    array([0, 3, 6, 9])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))
