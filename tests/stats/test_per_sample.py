from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats.density import select_bandwidth
from orchestrator.stats.per_sample import EmpiricalTimes, SmoothedTimes, per_sample_times

INF = math.inf


def lognormal(rounds: int, samples: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 1e7 * np.exp(random.normal(np.linspace(0, 1, samples), np.linspace(0.05, 0.3, samples), (rounds, samples)))


def kde_by_hand(times, threshold: float, bandwidth: float) -> float:
    """The mean of one normal distribution function per round, a round without a time counting as 0."""
    cdfs = [0.0 if math.isinf(t) else stats.norm.cdf(math.log(threshold), math.log(t), bandwidth) for t in times]
    return math.fsum(cdfs) / len(cdfs)


def test_few_rounds_stand_for_themselves_and_many_are_smoothed() -> None:
    assert per_sample_times(np.ones((1000, 1))).source == "empirical"
    assert per_sample_times(np.ones((4, 1)), smooth_from=5).source == "empirical"
    assert per_sample_times(np.ones((5, 1)), smooth_from=5).source == "kde"


@given(st.lists(st.lists(st.one_of(st.integers(1, 9).map(float), st.just(INF)), min_size=2, max_size=2), min_size=1, max_size=8))
def test_empirical_probability_is_the_share_of_rounds_on_time(times) -> None:
    found = EmpiricalTimes(np.array(times)).on_time([0, 4, 9, INF])
    expected = [[sum(row[i] <= bound and row[i] < INF for row in times) / len(times) for i in (0, 1)] for bound in (0, 4, 9, INF)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)


def test_empirical_draws_are_times_of_the_sample_and_independent_of_the_others() -> None:
    times = np.array([[1, 10], [2, 20], [3, 30]])
    drawn = EmpiricalTimes(times).draw(np.random.default_rng(0), 9000)
    assert drawn.dtype == np.int64
    _, counts = np.unique(drawn[:, 0] * 100 + drawn[:, 1], return_counts=True)
    assert counts.size == 9
    assert stats.chisquare(counts).pvalue > 1e-4


def test_smoothed_probability_is_the_mean_of_normal_distribution_functions() -> None:
    times = lognormal(120, 3)
    times[:30, 1] = INF
    smoothed = SmoothedTimes(times)
    thresholds = [1e6, 9e6, 1.1e7, 2e7, 4e7]
    expected = [[kde_by_hand(times[:, i], theta, smoothed.bandwidths[i]) for i in range(3)] for theta in thresholds]
    np.testing.assert_allclose(smoothed.on_time(thresholds), expected, rtol=0, atol=1e-14)


def test_a_kernel_wider_than_the_log_of_time_itself() -> None:
    times = np.exp(np.random.default_rng(2).normal(20, 6, (60, 2)))
    smoothed = SmoothedTimes(times)
    assert smoothed.bandwidths.min() > 2
    thresholds = np.exp(np.arange(-5.0, 46.0))
    expected = [[kde_by_hand(times[:, i], theta, smoothed.bandwidths[i]) for i in range(2)] for theta in thresholds]
    np.testing.assert_allclose(smoothed.on_time(thresholds), expected, rtol=0, atol=1e-14)


def test_bandwidth_is_silvermans() -> None:
    times = lognormal(121, 4)
    times[:20, 2] = INF
    logs = [np.log(column[np.isfinite(column)]) for column in times.T]
    expected = [0.9 * min(x.std(), np.subtract(*np.quantile(x, [0.75, 0.25], method="inverted_cdf")) / 1.349) * x.size**-0.2 for x in logs]
    np.testing.assert_allclose(SmoothedTimes(times).bandwidths, expected, rtol=1e-12)


@pytest.mark.parametrize("column", [np.repeat([10, 20, 30, 40], 25), np.append(np.full(90, 10), np.arange(20, 30)), [10] * 99 + [11]])
def test_bandwidth_is_the_one_that_stands_in_where_pooled_times_have_none_of_their_own(column) -> None:
    """With fewer than 10 distinct values or no interquartile range `select_bandwidth` takes the same rule."""
    expected = select_bandwidth(np.log(column), resolution=1 / np.quantile(column, 0.5, method="inverted_cdf"))
    assert expected.method == "silverman"
    assert SmoothedTimes(np.array(column)[:, None]).bandwidths[0] == pytest.approx(expected.value, rel=1e-12)


def test_bandwidth_is_at_least_one_tick_of_the_clock() -> None:
    times = np.full((100, 1), 1000)
    times[0] = 1001
    assert SmoothedTimes(times).bandwidths[0] == pytest.approx(1 / 1000)


@pytest.mark.parametrize("time", [3, 10**7, 123_456_789, 2**60 + 1])
def test_a_sample_that_never_varies_is_on_time_to_the_nanosecond(time: int) -> None:
    times = np.full((100, 2), time)
    smoothed = SmoothedTimes(times)
    assert smoothed.on_time(np.array([time - 1, time])).tolist() == [[0, 0], [1, 1]]
    floats = SmoothedTimes(times.astype(float))
    assert (floats.draw(np.random.default_rng(0), 50) == float(time)).all()


def test_rounds_without_a_time_keep_their_share() -> None:
    times = lognormal(200, 4)
    times[:50, 0], times[:, 1], times[1:, 2] = INF, INF, INF
    smoothed = SmoothedTimes(times)
    assert smoothed.on_time([INF, 1e300]).tolist() == [[0.75, 0, 1 / 200, 1]] * 2
    assert smoothed.bandwidths[1] == smoothed.bandwidths[2] == 0
    drawn = smoothed.draw(np.random.default_rng(0), 4000)
    lost = np.isinf(drawn).mean(axis=0)
    assert lost[0] == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 4000))
    assert lost[1] == 1
    assert set(drawn[:, 2]) <= {times[0, 2], INF}
    assert lost[3] == 0


def test_draws_have_the_smoothed_distribution() -> None:
    smoothed = SmoothedTimes(lognormal(100, 2))
    drawn = smoothed.draw(np.random.default_rng(1), 20_000)
    for i in (0, 1):
        assert stats.kstest(drawn[:, i], lambda x, i=i: smoothed.on_time(x)[:, i]).pvalue > 1e-3
    assert abs(stats.spearmanr(drawn).statistic) < 4 / math.sqrt(20_000)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e6))
def test_probabilities_rise_with_the_threshold_and_do_not_depend_on_the_unit(seed: int, scale: float) -> None:
    times = lognormal(100, 3, seed)
    thresholds = np.geomspace(times.min() / 2, times.max() * 2, 25)
    found = SmoothedTimes(times).on_time(thresholds)
    assert (np.diff(found, axis=0) >= 0).all()
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(SmoothedTimes(times * scale).on_time(thresholds * scale), found, rtol=0, atol=1e-7)


def test_thresholds_below_every_time() -> None:
    assert SmoothedTimes(lognormal(100, 1)).on_time([-5, 0, 1, -INF]).tolist() == [[0], [0], [0], [0]]
    a_few_ns = SmoothedTimes(np.arange(1, 101)[:, None] % 9 + 1)
    assert a_few_ns.on_time([-1, 0]).tolist() == [[0], [0]]
    assert a_few_ns.on_time([1])[0, 0] > 0.05
    assert SmoothedTimes(lognormal(100, 2)).on_time([]).shape == (0, 2)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="no rounds"):
        per_sample_times(np.empty((0, 3)))
    with pytest.raises(InputError, match="positive"):
        per_sample_times([[1.0, math.nan]])
    with pytest.raises(ValueError, match="rounds, samples"):
        per_sample_times([1.0, 2.0])
    with pytest.raises(InputError, match="thresholds"):
        SmoothedTimes(lognormal(100, 1)).on_time([math.nan])
