from __future__ import annotations

import math

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orchestrator.contracts import InputError
from orchestrator.stats.long_run import (
    MIN_VISITS,
    cosine_variance,
    depend,
    drift_p_values,
    long_run_spreads,
    means_of_visits,
    variance_ratios,
    visits_alike,
)


def autoregressive(random: np.random.Generator, series: int, rounds: int, correlation: float) -> np.ndarray:
    fresh = random.standard_normal((series, rounds))
    fresh[:, 1:] *= math.sqrt(1 - correlation**2)
    found: np.ndarray = scipy.signal.lfilter([1.0], [1.0, -correlation], fresh, axis=1)
    return found


def test_the_variance_is_the_definition_summed_by_hand() -> None:
    series = np.random.default_rng(0).random(40)
    by_hand = [
        math.sqrt(2 / 40) * sum(q * math.cos(math.pi * j * (r - 0.5) / 40) for r, q in enumerate(series, start=1)) for j in (1, 2, 3)
    ]
    assert cosine_variance([series])[0] == pytest.approx(np.mean(np.square(by_hand)))


@pytest.mark.parametrize(("correlation", "ratio"), [(0.0, 1.0), (0.5, 3.0), (0.8, 9.0)])
def test_its_mean_is_the_long_run_variance_of_an_autoregressive_process(correlation: float, ratio: float) -> None:
    found = cosine_variance(autoregressive(np.random.default_rng(1), 4000, 400, correlation))
    assert found.mean() == pytest.approx(ratio, rel=0.06)
    law = scipy.stats.kstest(3 * found / ratio, scipy.stats.chi2(3).cdf)
    assert law.statistic < 0.05


@pytest.mark.parametrize("visits", [None, np.repeat(np.arange(24), 5)])
def test_independent_rounds_are_called_dependent_in_one_of_fifty(visits: np.ndarray | None) -> None:
    found = depend(np.random.default_rng(2).standard_normal((20_000, 120)), visits)
    assert found.mean() == pytest.approx(0.02, abs=0.006)


def test_likeness_is_found_and_its_contrary_is_none() -> None:
    random = np.random.default_rng(3)
    assert depend(autoregressive(random, 500, 60, 0.8)).mean() > 0.99
    assert not depend(autoregressive(random, 500, 60, -0.8)).any()


def test_a_single_round_unlike_the_others_is_no_likeness_wherever_it_stands() -> None:
    series = np.ones((40, 40)) + np.eye(40)
    assert not depend(series).any()
    assert depend(np.full((1, 40), math.inf)).tolist() == [False]


def test_infinite_values_count_by_their_rank() -> None:
    series = np.concatenate([np.full(20, math.inf), np.arange(1.0, 21.0)])
    assert depend(series[None]).all()
    assert drift_p_values(series[None])[0] < 0.05


def test_few_visits_leave_the_cosines_and_many_take_their_place() -> None:
    random = np.random.default_rng(4)
    series = random.random((1, 60)) + np.repeat(np.tile([0.0, 0.5], 6), 5)
    few, many = (np.repeat(np.arange(count), 60 // count) for count in (MIN_VISITS - 2, MIN_VISITS))
    assert [long_run_spreads(series, visits)[0].unit for visits in (None, few, many)] == ["cosines", "cosines", "visits"]
    [found] = long_run_spreads(series, many)
    means = means_of_visits(series, many)[0]
    assert found.variance == pytest.approx(means.var(ddof=1) / 12)
    assert found.degrees == 4


def test_visits_that_resemble_their_neighbours_are_no_units_by_themselves() -> None:
    visits = np.repeat(np.arange(12), 2)
    slow = np.repeat([0.0] * 6 + [1.0] * 6, 2)[None] + np.random.default_rng(6).normal(0, 0.01, 24)
    [found] = long_run_spreads(slow, visits)
    assert found.degrees == 2
    assert found.unit == "visits"
    assert found.variance == pytest.approx(cosine_variance(means_of_visits(slow, visits), 2)[0] / 12)


def test_visits_are_alike_where_the_times_of_dependent_rounds_or_the_figure_say_so() -> None:
    visits, noise = np.repeat(np.arange(12), 2), np.random.default_rng(6).normal(0, 0.01, (2, 24))
    slow = np.repeat([0.0] * 6 + [1.0] * 6, 2) + noise[0]
    apart = np.repeat(np.tile([0.0, 1.0], 6), 2) + noise[1]
    unlike = np.repeat([0.0] * 6 + [1.0] * 6, 2) + np.tile([0.0, 3.0], 12)
    rare = np.zeros(24)
    for times, expected in ((slow, True), (apart, False), (unlike, False)):
        assert visits_alike(times, visits) is expected
    assert depend(means_of_visits(unlike[None], visits)).all(), "rounds that do not depend on each other say nothing of visits"
    assert visits_alike(slow, visits // 2) is False, "too few visits"
    assert [found.degrees for found in long_run_spreads([slow, apart, rare], visits)] == [2, 4, 4]
    assert [found.degrees for found in long_run_spreads([slow, apart, rare], visits, alike=True)] == [2, 2, 2]
    assert [found.degrees for found in long_run_spreads([slow, apart, rare], visits, alike=[False, False, True])] == [2, 4, 2]


@pytest.mark.parametrize(("rounds", "gap"), [(60, 14), (30, 14)])
def test_slow_spells_that_outlast_the_pauses_between_visits_are_covered(rounds: int, gap: int) -> None:
    """Visits of 2 rounds among those of seven other trials: round effects of AR(1) 0.95 link them."""
    whole = autoregressive(np.random.default_rng(7), 1000, rounds // 2 * (gap + 2), 0.95)
    series = whole.reshape(1000, rounds // 2, gap + 2)[:, :, :2].reshape(1000, rounds)
    spreads = long_run_spreads(series, np.repeat(np.arange(rounds // 2), 2))
    half = [scipy.stats.t.ppf(0.975, spread.degrees) * math.sqrt(spread.variance) for spread in spreads]
    assert (np.abs(series.mean(axis=1)) <= half).mean() >= 0.93


def test_visits_that_resemble_their_neighbours_are_worth_as_little_as_their_means_show() -> None:
    slow = autoregressive(np.random.default_rng(8), 1, 24, 0.9)
    rounds = np.repeat(slow, 2, axis=1) + 0.1 * np.random.default_rng(9).standard_normal((1, 48))
    visits = np.repeat(np.arange(24), 2)
    means = rounds.reshape(24, 2).mean(axis=1)
    clustered = 24 * means.var() * 24 / 23 / 24**2 / (rounds.var(ddof=1) / 48)
    centred = means - means.mean()
    x = [math.sqrt(2 / 24) * np.sum(means * np.cos(math.pi * j * (np.arange(24) + 0.5) / 24)) for j in range(1, 9)]
    alike = np.sum(centred[1:] * centred[:-1]) / np.sum(centred**2)
    of_means = max(np.mean(np.square(x)) / means.var(ddof=1), (1 + alike) / (1 - alike))
    assert of_means > 3
    assert variance_ratios(rounds, visits)[0] == pytest.approx(clustered * of_means)
    assert variance_ratios(rounds, visits, reserve=1.5)[0] == pytest.approx(clustered * of_means * 1.5)
    shuffled = np.random.default_rng(10).permutation(24)
    assert variance_ratios(rounds.reshape(24, 2)[shuffled].reshape(1, 48), visits, reserve=1.5)[0] == pytest.approx(clustered)


@pytest.mark.parametrize("seed", [1, 5])
def test_visits_that_are_a_little_alike_are_worth_as_little_less(seed: int) -> None:
    """Once the cosines of their means say by how much, and once the correlation of neighbours."""
    visits = np.repeat(np.arange(24), 2)
    rounds = np.repeat(autoregressive(np.random.default_rng(seed), 1, 24, 0.3), 2, axis=1)
    rounds += 0.1 * np.random.default_rng(9).standard_normal((1, 48))
    means = means_of_visits(rounds, visits)
    centred = means[0] - means.mean()
    alike = np.sum(centred[1:] * centred[:-1]) / np.sum(centred**2)
    of_cosines, of_neighbours = cosine_variance(means, 8)[0] / means.var(ddof=1), (1 + alike) / (1 - alike)
    assert (of_cosines > of_neighbours) == (seed == 1)
    assert 1 < max(of_cosines, of_neighbours) < 2.1
    clustered = means.var(ddof=1) / 24 / (rounds.var(ddof=1) / 48)
    assert variance_ratios(rounds, visits)[0] == pytest.approx(clustered * max(of_cosines, of_neighbours))


def test_a_slow_swing_under_much_noise_shows_in_cosines() -> None:
    series = 8 * np.cos(np.pi * 2 * (np.arange(120) + 0.5) / 120) + 10 * np.random.default_rng(1).standard_normal(120)
    expected = cosine_variance([series], 8)[0] / series.var(ddof=1)
    assert variance_ratios([series])[0] == pytest.approx(expected)
    assert expected > 5


def test_rounds_unlike_their_neighbours_are_worth_no_more_than_they_are() -> None:
    apart = [[0.0, 1.0] * 12]
    assert variance_ratios(apart).tolist() == variance_ratios(apart, np.repeat(np.arange(12), 2)).tolist() == [1]


def test_independent_rounds_have_as_many_degrees_of_freedom_less_one() -> None:
    series = np.random.default_rng(5).random((1, 12))
    assert long_run_spreads(series, dependent=False)[0].degrees == 11
    assert [long_run_spreads(series[:, :rounds])[0].degrees for rounds in (1, 2, 3)] == [1, 1, 2]


def test_visits_of_unequal_length_weigh_by_their_rounds() -> None:
    visits = np.array([0, 0, 0, *range(1, 13)])
    series = np.random.default_rng(5).random((1, 15))
    series[0, 3:] += np.tile([0.0, 1.0], 6)
    residuals = series[0] - series.mean()
    totals = [residuals[:3].sum(), *residuals[3:]]
    assert long_run_spreads(series, visits)[0].variance == pytest.approx(13 / 12 * np.square(totals).sum() / 15**2)


@given(arrays(np.float64, (3, 24), elements=st.floats(0, 1)), st.floats(0.1, 10))
def test_a_spread_scales_and_is_never_below_that_of_independent_rounds(series: np.ndarray, factor: float) -> None:
    for visits in (None, np.repeat(np.arange(12), 2)):
        plain, scaled = long_run_spreads(series, visits), long_run_spreads(factor * series, visits)
        for row, one, other in zip(series, plain, scaled, strict=True):
            assert other.variance == pytest.approx(factor**2 * one.variance, abs=1e-15)
            assert one.variance >= row.var(ddof=1) / 24 * (1 - 1e-9) - 1e-15
        assert (variance_ratios(series, visits) >= 1).all()


def test_few_rounds_have_no_cosines() -> None:
    assert [found.unit for found in long_run_spreads([[1.0, 2.0, 3.0]])] == ["rounds"]
    assert long_run_spreads([[1.0]])[0].variance == 0
    with pytest.raises(InputError, match="3 cosines of 3 rounds"):
        cosine_variance([[1.0, 2.0, 3.0]])


def test_a_drift_is_told_from_likeness_of_neighbours() -> None:
    random = np.random.default_rng(6)
    steady = autoregressive(random, 3000, 120, 0.8)
    assert (drift_p_values(steady) < 0.05).mean() < 0.08
    assert (drift_p_values(steady + np.linspace(0, 6, 120)) < 0.01).mean() > 0.5
    assert (drift_p_values(random.standard_normal((3000, 120))) < 0.05).mean() == pytest.approx(0.05, abs=0.015)


def test_what_says_nothing() -> None:
    assert drift_p_values([[1.0] * 30, list(range(30))]).tolist()[0] == 1
    assert drift_p_values([[1.0, 2.0, 3.0]]).tolist() == [1]
    assert depend([[1.0, 2.0]]).tolist() == [False]
    assert depend([[1.0] * 9]).tolist() == [False]
    assert variance_ratios([[1.0] * 20]).tolist() == [1]


@pytest.mark.parametrize("function", [depend, drift_p_values, cosine_variance, long_run_spreads, variance_ratios])
def test_nan_and_other_shapes_are_refused(function: object) -> None:
    assert callable(function)
    with pytest.raises(InputError, match="every round needs a value"):
        function([[1.0, math.nan, 2.0, 3.0]])
    with pytest.raises(ValueError, match=r"the shape must be \[series, rounds\]"):
        function([1.0, 2.0])


def test_of_few_rounds_each_is_worth_itself() -> None:
    assert variance_ratios([[0.0, 1.0] * 4]).tolist() == [1.0]
