"""What counts as a unit of replication, and how well a mean over units is known."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.constants import COSINES, COSINES_GROW, FEWEST_UNITS, ROUNDING
from orchestrator.stats.laws import ranks

Floats: TypeAlias = NDArray[np.float64]
Units: TypeAlias = NDArray[np.integer]
"""Number of the unit that each round belongs to, [R], never falling: a visit, a stream or a round."""


class Spread(NamedTuple):
    """How well the mean of each series is known.

    variance : [M]
        of the mean.
    degrees
        of freedom of that variance.
    units
        how many there are.
    """

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
    """Return the unit of each round, [R]: each round by itself in one stretch, that is without units or with too few."""
    return units if units is not None and enough_units(units) else np.arange(rounds)


def degrees_of(units: int) -> int:
    """Return the degrees of freedom of the variance of a mean over so many units: max(4, 0.4 V^(2/3)).

    Examples
    --------
    >>> [degrees_of(units) for units in (3, 30, 60, 120)]
    [2, 4, 6, 10]
    """
    growing = max(COSINES, round(COSINES_GROW * math.pow(units, 2 / 3)))
    return max(1, min(growing, units - 1))


def spread(series: ArrayLike, units: Units, degrees: int | None = None) -> Spread:
    """Return the variance of the mean of each series, the larger of two estimates, and its degrees of freedom.

    Of V units with the means Q_v, weighted by their sizes: the variance with units as clusters, s^2/V (Cochran, *Sampling
    Techniques*, section 9A.1), and omega^2/V by equally weighted cosines, X_j = sqrt(2/V) sum of Q_v cos(pi j (v - 1/2)/V) and
    omega^2 = mean of X_j^2 over j = 1..nu (Lazarus, Lewis, Stock, Watson, JBES 36, 2018).

    Parameters
    ----------
    series : [M, R]
        one value per round, in order.
    units : [R]
        unit of each round.
    degrees
        nu; by default `degrees_of` the number of units.

    Raises
    ------
    InputError
        if a series has fewer than two units.

    Examples
    --------
    >>> found = spread([[0.0] * 30 + [1.0] * 30], np.arange(60) // 2)
    >>> found.variance.round(3), found.degrees, found.units
    (array([0.056]), 4, 30)
    """
    values = np.asarray(series, dtype=np.float64)
    means, sizes = means_of_units(values, units)
    count = sizes.size
    if count < 2:
        raise InputError(f"variance of a mean over {count} units: at least 2 are needed; measure in visits")
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

    Examples
    --------
    >>> means_of_units([[1.0, 3.0, 5.0]], np.array([0, 0, 1]))[0]
    array([[2., 5.]])
    """
    values = np.asarray(series, dtype=np.float64)
    starts, sizes = np.unique(units, return_index=True, return_counts=True)[1:]
    return np.add.reduceat(values, starts, axis=1) / sizes, sizes.astype(np.int64)


def constant(values: Floats) -> NDArray[np.bool_]:
    """Return which series do not vary beyond the rounding of sums, [M]."""
    found: NDArray[np.bool_] = np.ptp(values, axis=1) <= ROUNDING * np.maximum(np.abs(values).max(axis=1), ROUNDING)
    return found


def correlation_of_neighbours(series: ArrayLike) -> Floats:
    """Return the lag-1 autocorrelation of each series, [M]; 0 for a constant one. Infinite values count by rank.

    Examples
    --------
    >>> correlation_of_neighbours([[0, 0, 0, 1, 1, 1], [0, 1, 0, 1, 0, 1]]).round(2)
    array([ 0.5 , -0.83])
    """
    values = np.array(series, dtype=np.float64)
    infinite = np.isinf(values).any(axis=1)
    if infinite.any():
        values[infinite] = ranks(values[infinite])
    still = constant(values)
    centred = values - values.mean(axis=1, keepdims=True)
    power = np.where(still, 1.0, (centred**2).sum(axis=1))
    found: Floats = np.where(still, 0.0, (centred[:, 1:] * centred[:, :-1]).sum(axis=1) / power)
    return found
