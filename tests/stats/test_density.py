from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats.density import Bandwidth, bin_linearly, kde_on_grid, log_times, select_bandwidth

# KDEpy 1.1.12's improved_sheather_jones x (range + 2 max(range / 2, 6)) / range, which undoes its two errors of scale.
KDEPY_CORRECTED = {
    "normal 1": 0.26329883063503745,
    "normal 2": 0.2852311655346671,
    "normal 3": 0.20150992699805997,
    "bimodal": 0.14880452016020718,
    "gamma": 0.26130719363886556,
}


def normal(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def known_data(name: str) -> np.ndarray:
    if name == "bimodal":
        rng = np.random.default_rng(4)
        return np.concatenate([rng.normal(0, 1, 1500), rng.normal(8, 0.5, 1500)])
    if name == "gamma":
        return np.random.default_rng(5).gamma(3, 1, 3000)
    seed = int(name.split()[1])
    return normal(seed, 5000 if seed == 3 else 1000)


@pytest.mark.parametrize("n", [1000, 100_000])
def test_bandwidth_of_normal_data_is_near_the_optimum(n: int) -> None:
    mean = np.mean([select_bandwidth(normal(seed, n)).value for seed in range(50)])
    assert mean == pytest.approx(1.059 * n**-0.2, rel=0.05)


@pytest.mark.parametrize("name", KDEPY_CORRECTED)
def test_bandwidth_agrees_with_kdepy_once_its_scale_is_put_right(name: str) -> None:
    assert select_bandwidth(known_data(name)).value == pytest.approx(KDEPY_CORRECTED[name], rel=0.012)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 400),
    exponent=st.floats(-9, 12),
    shape=st.sampled_from(["normal", "lognormal", "two modes", "ties"]),
)
def test_bandwidth_scales_with_the_data(seed: int, n: int, exponent: float, shape: str) -> None:
    rng = np.random.default_rng(seed)
    x = {
        "normal": rng.normal(10, 1, n),
        "lognormal": rng.lognormal(0, 1, n),
        "two modes": rng.normal(0, 1, n) + 20 * rng.integers(0, 2, n),
        "ties": rng.integers(1, 30, n).astype(float),
    }[shape]
    scale = 10**exponent
    before, after = select_bandwidth(x), select_bandwidth(x * scale)
    if np.ptp(x) > 0:
        assert after.method == before.method
        assert after.value == pytest.approx(before.value * scale, rel=1e-9)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-100, 100))
def test_bandwidth_does_not_depend_on_the_origin(seed: int, shift: float) -> None:
    x = normal(seed, 200)
    assert select_bandwidth(x + shift).value == pytest.approx(select_bandwidth(x).value, rel=1e-6)


@pytest.mark.parametrize("sigma", [0.01, 0.1, 0.5])
def test_one_outlier_hardly_moves_the_bandwidth_of_log_time(sigma: float) -> None:
    times = np.random.default_rng(7).lognormal(16, sigma, 3000)
    before = select_bandwidth(log_times(times)).value
    times[0] = 100 * np.median(times)
    assert select_bandwidth(log_times(times)).value == pytest.approx(before, rel=0.05)


def test_order_and_repetition_are_weights() -> None:
    values, counts = np.unique(np.round(normal(1, 2000), 2), return_counts=True)
    repeated = np.random.default_rng(0).permutation(np.repeat(values, counts))
    assert select_bandwidth(values[::-1], counts[::-1]).value == pytest.approx(select_bandwidth(repeated).value, rel=1e-9)
    assert select_bandwidth(np.append(values, 1e6), np.append(counts, 0)) == select_bandwidth(values, counts)


def test_the_ticks_of_a_clock_are_not_taken_for_modes() -> None:
    x = normal(1, 3000) * 8
    ticked = np.round(x)
    assert select_bandwidth(ticked).value < 0.1
    assert select_bandwidth(ticked, resolution=1).value == pytest.approx(select_bandwidth(x).value, rel=0.2)


def test_two_narrow_modes_are_not_smeared_into_one() -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 0.001, 1500), rng.normal(1, 0.001, 1500)])
    assert select_bandwidth(x).value < 0.003
    assert select_bandwidth(x, resolution=0.01) == Bandwidth(0.01, "isj")


def test_silverman_stands_in_and_says_so() -> None:
    few_values = np.tile(np.arange(1.0, 10), 20)
    iqr = 7.0 - 3.0
    expected = 0.9 * min(few_values.std(), iqr / 1.349) * 180**-0.2
    assert select_bandwidth(few_values) == Bandwidth(pytest.approx(expected), "silverman")

    half_tied = np.append(np.full(80, 5.0), np.arange(20.0))
    assert select_bandwidth(half_tied) == Bandwidth(pytest.approx(0.9 * half_tied.std() * 100**-0.2), "silverman")


@pytest.mark.parametrize("weight", [1e-2, 1e-9])
def test_silverman_stands_in_where_the_equation_has_no_root(weight: float) -> None:
    x, weights = normal(0, 100), np.full(100, weight)
    assert select_bandwidth(x, weights).method == "silverman"


def test_no_bandwidth_is_below_the_resolution_or_zero() -> None:
    assert select_bandwidth([5.0, 5.0], resolution=0.5) == Bandwidth(0.5, "silverman")
    assert 0 < select_bandwidth([5.0]).value <= 1e-15
    assert select_bandwidth(normal(0, 1000), resolution=10).value == 10


def test_linear_binning_keeps_mass_and_mean() -> None:
    points, weights = np.random.default_rng(0).uniform(1, 9, 100), np.random.default_rng(1).uniform(0, 3, 100)
    masses = bin_linearly(points, weights, 0.0, 0.5, 20)
    assert masses.sum() == pytest.approx(weights.sum())
    assert masses @ (np.arange(20) + 0.5) * 0.5 == pytest.approx(weights @ points)
    assert not bin_linearly(np.array([0.2, 9.8]), np.ones(2), 0.0, 0.5, 20).any()


def test_kde_equals_scipy() -> None:
    x = np.random.default_rng(3).gamma(2, 1, 500)
    reference = stats.gaussian_kde(x, bw_method=0.3)
    grid = np.random.default_rng(4).permutation(np.linspace(-2, 14, 333))
    bandwidth = float(np.sqrt(reference.covariance[0, 0]))
    np.testing.assert_allclose(kde_on_grid(x, grid, bandwidth), reference(grid), rtol=1e-10)


def test_kde_of_a_bandwidth_far_below_the_grid_is_exact() -> None:
    x, grid = normal(6, 300), np.linspace(-4, 4, 50)
    for bandwidth in (1e-3, 0.02, 3.0):
        exact = stats.norm.pdf((grid[:, None] - x) / bandwidth).mean(axis=1) / bandwidth
        np.testing.assert_allclose(kde_on_grid(x, grid, bandwidth), exact, rtol=1e-10)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 50), bandwidth=st.floats(0.01, 10))
def test_kde_is_a_density(seed: int, n: int, bandwidth: float) -> None:
    x = np.random.default_rng(seed).normal(3, 2, n)
    grid = np.linspace(x.min() - 9 * bandwidth, x.max() + 9 * bandwidth, 20_000)
    values = kde_on_grid(x, grid, bandwidth)
    assert (values >= 0).all()
    assert np.trapezoid(values, grid) == pytest.approx(1, abs=1e-6)


def test_kde_far_from_all_points_is_zero() -> None:
    assert kde_on_grid(np.zeros(1), np.array([1e9]), 1.0).tolist() == [0.0]
    assert kde_on_grid(np.zeros(1), np.empty(0), 1.0).shape == (0,)


def test_log_times_leave_late_samples_out() -> None:
    assert log_times([[1.0, np.inf], [np.e, np.inf]]).tolist() == [0.0, 1.0]
    assert log_times(np.array([10**18], dtype=np.int64))[0] == pytest.approx(18 * np.log(10))


@pytest.mark.parametrize("bad", [np.nan, 0.0, -3.0])
def test_log_times_refuse_what_is_no_time(bad: float) -> None:
    with pytest.raises(InputError):
        log_times([1.0, bad])
