"""What counts as a unit of replication, and how well a mean over units is known.

Student's t and ranks are here without the slow import of `scipy.stats`.
"""

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.constants import COSINES, COSINES_GROW, FEWEST_UNITS, ROUNDING

Floats: TypeAlias = NDArray[np.float64]
# The unit of each round, [R], never falling: its visit, its stream or the round itself.
Units: TypeAlias = NDArray[np.integer]


class Spread(NamedTuple):
    """The variance of the mean of each series, [M], its degrees of freedom, and the units."""

    variance: Floats
    degrees: int
    units: int


def number_of_units(units: Units | None) -> int:
    """Return how many units there are; 0 without any."""
    return 0 if units is None else int(np.unique(units).size)


def enough_units(units: Units | None) -> bool:
    """Return whether there are enough units to say something about later rounds."""
    return number_of_units(units) >= FEWEST_UNITS


def units_of(rounds: int, units: Units | None) -> Units:
    """Return the unit of each round, [R]; with too few units, or none, each round is one."""
    return units if units is not None and enough_units(units) else np.arange(rounds)


def degrees_of(units: int) -> int:
    """Return the degrees of freedom of the variance of a mean: max(4, 0.4 V^(2/3)).

    >>> [degrees_of(units) for units in (3, 30, 60, 120)]
    [2, 4, 6, 10]
    """
    growing = max(COSINES, round(COSINES_GROW * math.pow(units, 2 / 3)))
    return max(1, min(growing, units - 1))


def spread(series: ArrayLike, units: Units, degrees: int | None = None) -> Spread:
    """Return the variance of the mean of each series, [M, R], the larger of two estimates.

    Of V units with the means Q_v, weighted by their sizes: the variance with units as clusters,
    s^2/V (Cochran, *Sampling Techniques*, section 9A.1), and omega^2/V by equally weighted cosines,
    X_j = sqrt(2/V) sum of Q_v cos(pi j (v - 1/2)/V), omega^2 = mean of X_j^2 over j = 1..nu
    (Lazarus, Lewis, Stock, Watson, JBES 36, 2018). nu is ``degrees``, or `degrees_of` V.

    Raises InputError for fewer than two units.

    >>> found = spread([[0.0] * 30 + [1.0] * 30], np.arange(60) // 2)
    >>> found.variance.round(3), found.degrees, found.units
    (array([0.056]), 4, 30)
    """
    values = np.asarray(series, dtype=np.float64)
    means, sizes = means_of_units(values, units)
    count = sizes.size
    if count < 2:
        raise InputError(
            f"variance of a mean over {count} units: at least 2 are needed; measure in visits"
        )
    nu = min(degrees_of(count) if degrees is None else degrees, count - 1)
    # Deviations of the units' means, weighted so that their mean is that of all rounds.
    deviations = sizes * count / values.shape[1] * (means - values.mean(axis=1, keepdims=True))
    cluster = (deviations**2).sum(axis=1) / (count - 1)
    cosine = (scipy.fft.dct(deviations, norm="ortho")[:, 1 : nu + 1] ** 2).mean(axis=1)
    variance = np.maximum(cluster, cosine) / count
    variance[constant(means)] = 0
    return Spread(variance, nu, count)


def means_of_units(series: ArrayLike, units: Units) -> tuple[Floats, NDArray[np.int64]]:
    """Return the mean of each series over each unit, [M, V], and the rounds of each unit, [V].

    >>> means_of_units([[1.0, 3.0, 5.0]], np.array([0, 0, 1]))[0]
    array([[2., 5.]])
    """
    values = np.asarray(series, dtype=np.float64)
    starts, sizes = np.unique(units, return_index=True, return_counts=True)[1:]
    return np.add.reduceat(values, starts, axis=1) / sizes, sizes.astype(np.int64)


def constant(values: Floats) -> NDArray[np.bool_]:
    """Return which series do not vary beyond the rounding of sums, [M]."""
    scale = np.maximum(np.abs(values).max(axis=1), ROUNDING)
    return np.asarray(np.ptp(values, axis=1) <= ROUNDING * scale)


def correlation_of_neighbours(series: ArrayLike) -> Floats:
    """Return the lag-1 autocorrelation of each series, [M]; 0 for a constant one.

    A series with infinite values counts by rank.

    >>> correlation_of_neighbours([[0, 0, 0, 1, 1, 1], [0, 1, 0, 1, 0, 1]]).round(2)
    array([ 0.5 , -0.83])
    """
    values = np.array(series, dtype=np.float64)
    infinite = np.isinf(values).any(axis=1)
    values[infinite] = ranks(values[infinite])
    still = constant(values)
    centred = values - values.mean(axis=1, keepdims=True)
    power = np.where(still, 1.0, (centred**2).sum(axis=1))
    found = (centred[:, 1:] * centred[:, :-1]).sum(axis=1) / power
    return np.where(still, 0.0, found)


def t_sf(t: float | Floats, degrees: float | Floats) -> Floats:
    """Return the probability that Student's t exceeds ``t``."""
    return np.asarray(scipy.special.stdtr(degrees, -t), dtype=np.float64)


def t_quantile(probability: float | Floats, degrees: float | Floats) -> Floats:
    """Return the value that Student's t does not exceed with a probability.

    >>> round(float(t_quantile(0.975, 10)), 3)
    2.228
    """
    p = np.asarray(probability, dtype=np.float64)
    # There SciPy's function returns no infinity of the right sign.
    at_an_end = ((p == 0) | (p == 1)) & (np.asarray(degrees) > 0)
    return np.where(at_an_end, scipy.special.ndtri(p), scipy.special.stdtrit(degrees, p))


def ranks(values: ArrayLike, ties: Literal["average", "least", "dense"] = "average") -> Floats:
    """Return the rank of each value in its row, from 1; NaN has none.

    Equal values share the average or the least of their ranks; ``dense`` ranks have no gaps.

    >>> ranks([20.0, 10.0, 20.0, 30.0]), ranks([20.0, 10.0, 20.0, 30.0], "dense")
    (array([2.5, 1. , 2.5, 4. ]), array([2., 1., 2., 3.]))
    """
    table = np.asarray(values, dtype=np.float64)
    order = np.argsort(table, axis=-1, kind="stable")
    ordered = np.take_along_axis(table, order, axis=-1)
    is_new = np.ones(table.shape, dtype=np.bool_)
    is_new[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    counts = np.diff(np.flatnonzero(is_new), append=table.size)
    least = np.broadcast_to(np.arange(1.0, table.shape[-1] + 1), table.shape)[is_new]
    places = {
        "average": least + (counts - 1) / 2,
        "least": least,
        "dense": np.cumsum(is_new, axis=-1)[is_new],
    }[ties]
    found = np.empty(table.shape)
    np.put_along_axis(found, order, np.repeat(places, counts).reshape(table.shape), axis=-1)
    found[np.isnan(table)] = np.nan
    return found


def evenly_chosen(count: int, most: int) -> NDArray[np.intp]:
    """Return at most ``most`` evenly spaced numbers below ``count``, with the first and the last.

    >>> evenly_chosen(10, 4)
    array([0, 3, 6, 9])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))
