import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from orchestrator.stats.density import LOG_STEP, Bandwidth, LogHistogram, bin_linearly, kde_on_grid, select_bandwidth, smoothed


def normal(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def test_bandwidth_of_normal_data_is_near_the_optimum() -> None:
    mean = np.mean([select_bandwidth(normal(seed, 1000)).value for seed in range(50)])
    assert mean == pytest.approx(1.059 * 1000**-0.2, rel=0.05)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (normal(1, 1000), 0.26329883063503745),
        (normal(2, 1000), 0.2852311655346671),
        (normal(3, 5000), 0.20150992699805997),
        (normal(4, 3000) * np.repeat([1, 0.5], 1500) + np.repeat([0, 8], 1500), 0.14880452016020718),
        (np.random.default_rng(5).gamma(3, 1, 3000), 0.26130719363886556),
    ],
    ids=["normal 1", "normal 2", "normal 3", "bimodal", "gamma"],
)
def test_bandwidth_agrees_with_kdepy_once_its_scale_is_put_right(data: np.ndarray, expected: float) -> None:
    """KDEpy 1.1.12's improved_sheather_jones x (range + 2 max(range / 2, 6)) / range, which undoes its two errors of scale."""
    assert select_bandwidth(data).value == pytest.approx(expected, rel=0.012)


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

    assert select_bandwidth(normal(0, 100), np.full(100, 1e-9)).method == "silverman"  # its equation has no root
    half_tied = np.append(np.full(80, 5.0), np.arange(20.0))
    assert select_bandwidth(half_tied) == Bandwidth(pytest.approx(0.9 * half_tied.std() * 100**-0.2), "silverman")


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


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), bandwidth=st.floats(0.05, 12))
def test_a_cell_receives_the_integral_of_every_kernel(seed: int, bandwidth: float) -> None:
    weights = np.zeros(300)
    weights[100:200] = np.random.default_rng(seed).random(100)
    edges = np.arange(301) - 0.5
    expected = sum(weight * np.diff(stats.norm.cdf(edges, place, bandwidth)) for place, weight in enumerate(weights))
    np.testing.assert_allclose(smoothed(weights[np.newaxis], np.array([bandwidth]))[0], expected, rtol=0, atol=1e-12)


def test_a_kernel_wider_than_the_grid_does_not_wrap_onto_itself_twice() -> None:
    assert smoothed(np.array([[0.0, 1.0, 0.0]]), np.array([50.0])).max() < 0.01


some_times = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(1e3, 2e4) | st.just(np.inf))


def histogram_of(*rounds: np.ndarray) -> LogHistogram:
    histogram = LogHistogram()
    for times in rounds:
        histogram.add(times)
    return histogram


def counted(histogram: LogHistogram) -> dict[int, int]:
    return {histogram.first + i: int(n) for i, n in enumerate(histogram.counts) if n}


@settings(max_examples=20)
@given(st.lists(some_times, min_size=1, max_size=4))
def test_counts_of_rounds_add_up(rounds: list[np.ndarray]) -> None:
    pooled = np.concatenate(rounds)
    finite = pooled[np.isfinite(pooled)]
    bins, numbers = np.unique(np.floor(np.log(finite) / LOG_STEP).astype(int), return_counts=True)
    assert counted(histogram_of(*rounds)) == dict(zip(bins.tolist(), numbers.tolist(), strict=True))
    assert counted(histogram_of(*rounds[::-1])) == counted(histogram_of(*rounds))


@settings(max_examples=20)
@given(some_times, st.sampled_from([1, 2, 8, 1024]))
def test_wider_bins_hold_what_their_parts_held(times: np.ndarray, factor: int) -> None:
    finite = times[np.isfinite(times)]
    coarse = histogram_of(times).coarsened(factor)
    bins, numbers = np.unique(np.floor(np.log(finite) / LOG_STEP).astype(int) // factor, return_counts=True)
    assert counted(coarse) == dict(zip(bins.tolist(), numbers.tolist(), strict=True))
    assert coarse.step == factor * LOG_STEP


def test_on_grid_spreads_wide_bins_and_merges_narrow_ones() -> None:
    histogram = LogHistogram(step=0.5, first=2, counts=np.array([4, 0, 2]))
    np.testing.assert_array_equal(histogram.on_grid(0.25, 3, 8), [0, 2, 2, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(histogram.on_grid(0.5, 1, 5), [0, 4, 0, 2, 0])
    np.testing.assert_array_equal(histogram.on_grid(1.0, 0, 4), [0, 4, 2, 0])
