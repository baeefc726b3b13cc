"""The variance of a mean over units, against its definition and against series whose variance is known."""

import math

import numpy as np
import pytest
import scipy
from effort import EFFORT
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from refusals import refused
from scipy.signal import lfilter

from orchestrator.stats.units import (
    correlation_of_neighbours,
    degrees_of,
    enough_units,
    means_of_units,
    ranks,
    spread,
    t_quantile,
    t_sf,
    units_of,
)

Floats = np.ndarray
SERIES = hnp.arrays(np.float64, st.integers(24, 60), elements=st.floats(-100, 100, width=16))


def by_definition(values: Floats, units: Floats, degrees: int) -> float:
    """Variance of the mean, summed unit by unit: the larger of clusters' and of cosines'."""
    numbers = sorted(set(units.tolist()))
    count, mean = len(numbers), values.mean()
    deviations = [count / values.size * (values[units == number] - mean).sum() for number in numbers]
    cluster = sum(one**2 for one in deviations) / (count - 1)
    squares = []
    for j in range(1, degrees + 1):
        x = sum(one * math.cos(math.pi * j * (place - 0.5) / count) for place, one in enumerate(deviations, start=1))
        squares.append(2 / count * x**2)
    return max(cluster, sum(squares) / degrees) / count


@given(SERIES, st.integers(1, 4))
def test_the_variance_is_its_definition(values: Floats, rounds: int) -> None:
    units = np.arange(values.size) // rounds
    found = spread(values[None], units)
    assert found.units == units[-1] + 1
    scale = np.ptp(values) ** 2
    assert found.variance[0] == pytest.approx(by_definition(values, units, found.degrees), rel=1e-9, abs=1e-20 * max(scale, 1))


def test_units_of_unequal_length_weigh_by_their_rounds() -> None:
    random = np.random.default_rng(2)
    units = np.repeat(np.arange(16), random.integers(1, 6, 16))
    values = random.normal(size=(3, units.size))
    found = spread(values, units, degrees=3)
    assert found.degrees == 3
    assert found.variance == pytest.approx([by_definition(row, units, 3) for row in values])


@pytest.mark.parametrize(("units", "degrees"), [(2, 1), (5, 4), (30, 4), (60, 6), (240, 15), (1000, 40)])
def test_degrees_grow_with_the_units(units: int, degrees: int) -> None:
    assert degrees_of(units) == degrees


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_variance_of_an_autoregressive_series_is_not_missed(correlation: float) -> None:
    """Its cosines have the variances that its autocovariances r^|s - t| give them, and the larger of both estimates is no less."""
    noise = np.random.default_rng(1).normal(size=(2000, 540)) * math.sqrt(1 - correlation**2)
    series = lfilter([1], [1, -correlation], noise, axis=1)[:, 300:]
    places = np.arange(240)
    basis = np.cos(np.pi * np.arange(1, 16)[:, None] * (places + 0.5) / 240) * math.sqrt(2 / 240)
    expected = np.mean([x @ correlation ** np.abs(places[:, None] - places) @ x for x in basis]) / 240
    assert expected > 0.75 * (1 + correlation) / (1 - correlation) / 240
    assert 0.97 * expected < spread(series, places).variance.mean() < 1.25 * expected


def test_a_constant_series_has_no_variance_whatever_its_rounding() -> None:
    values = np.full((1, 40), 0.1) + 1e-17 * np.arange(40)
    assert spread(values, np.arange(40)).variance.tolist() == [0.0]


def test_fewer_than_twelve_units_are_one_stretch() -> None:
    few, enough = np.arange(22) // 2, np.arange(24) // 2
    assert (enough_units(None), enough_units(few), enough_units(enough)) == (False, False, True)
    assert units_of(22, few).tolist() == units_of(22, None).tolist() == list(range(22))
    assert units_of(24, enough) is enough


def test_one_unit_says_nothing_of_others() -> None:
    with refused("invalid"):
        spread([[0.1, 0.2]], np.zeros(2, dtype=int))


def test_means_of_units_are_those_of_their_rounds() -> None:
    units = np.array([3, 3, 4, 7, 7, 7])
    means, sizes = means_of_units([[1.0, 2.0, 5.0, 0.0, 3.0, 6.0]], units)
    assert (means.tolist(), sizes.tolist()) == ([[1.5, 5.0, 3.0]], [2, 1, 3])


@given(hnp.arrays(np.float64, (3, 30), elements=st.floats(-5, 5)))
def test_neighbours_correlate_as_numpy_says(values: Floats) -> None:
    found = correlation_of_neighbours(values)
    for one, row in zip(found, values, strict=True):
        centred = row - row.mean()
        power = centred @ centred
        if np.ptp(row) > 1e-9:
            assert one == pytest.approx(centred[1:] @ centred[:-1] / power, abs=1e-9)


def test_infinite_values_correlate_by_rank_and_constant_ones_not_at_all() -> None:
    rising = np.arange(1.0, 11.0)
    infinite = rising.copy()
    infinite[-1] = np.inf
    assert correlation_of_neighbours([infinite]) == pytest.approx(correlation_of_neighbours([rising]))
    assert correlation_of_neighbours([np.ones(10)]).tolist() == [0.0]


DRAWS = 20_000 * EFFORT
rng = np.random.default_rng(14)
degrees = np.concatenate([10 ** rng.uniform(-2, 7, DRAWS), rng.integers(1, 400, DRAWS), [np.inf, 0.0, -1.0, np.nan] * 3])
probabilities = np.concatenate(
    [rng.uniform(0, 1, DRAWS), rng.choice([0.0, 1e-9, 0.025, 0.5, 0.975, 1 - 1e-9, 1.0], DRAWS), [0.0, 0.975, 1.0] * 4]
)
values = np.concatenate([rng.standard_t(2, 2 * DRAWS), [np.inf, -np.inf, np.nan] * 4])


def test_students_t() -> None:
    np.testing.assert_array_equal(t_quantile(probabilities, degrees), scipy.stats.t.ppf(probabilities, degrees))
    np.testing.assert_array_equal(t_sf(values, degrees), scipy.stats.t.sf(values, degrees))


@pytest.mark.parametrize("shape", [(30,), (5, 40), (0, 3), (3, 0), (1,)])
def test_ranks(shape: tuple[int, ...]) -> None:
    table = rng.choice([-np.inf, -1.5, 0.0, 2.0, 7.0, np.inf], shape)
    for ties, its_name in (("average", "average"), ("least", "min"), ("dense", "dense")):
        np.testing.assert_array_equal(ranks(table, ties), scipy.stats.rankdata(table, its_name, axis=-1))  # type: ignore[arg-type]
    table[..., :1] = np.nan
    np.testing.assert_array_equal(ranks(table), scipy.stats.rankdata(table, axis=-1, nan_policy="omit"))
