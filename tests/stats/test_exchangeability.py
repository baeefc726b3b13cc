from __future__ import annotations

import doctest
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats import comparison, exchangeability
from orchestrator.stats.comparison import holm_adjusted
from orchestrator.stats.exchangeability import autocorrelation_p_value, exchangeability_flag, trend_p_value


@pytest.mark.parametrize("module", [exchangeability, comparison])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def mann_kendall_s(x):
    return sum(int(b > a) - int(b < a) for a, b in itertools.combinations(x, 2))


def neighbour_products(x):
    centred = [value - math.fsum(x) / len(x) for value in x]
    return math.fsum(a * b for a, b in itertools.pairwise(centred))


def share_of_orders_as_far(statistic, x):
    values = [statistic(order) for order in itertools.permutations(x)]
    middle = math.fsum(values) / len(values)
    return sum(abs(value - middle) >= abs(statistic(x) - middle) - 1e-9 for value in values) / len(values)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=3, max_size=6))
def test_short_series_by_every_order(x):
    if len(set(x)) == 1:
        assert trend_p_value(x) == autocorrelation_p_value(x) == 1
    else:
        assert trend_p_value(x) == pytest.approx(share_of_orders_as_far(mann_kendall_s, x))
        assert autocorrelation_p_value(x) == pytest.approx(share_of_orders_as_far(neighbour_products, x))


@pytest.mark.parametrize("rounds", [12, 33, 34, 200])
@pytest.mark.parametrize("ties", [False, True])
def test_trend_equals_kendalls_tau_against_time(rounds, ties):
    random = np.random.default_rng(rounds)
    x = random.integers(0, 5, rounds) if ties else random.normal(size=rounds)
    assert trend_p_value(x) == pytest.approx(stats.kendalltau(x, np.arange(rounds)).pvalue, rel=1e-9)


def test_trend_of_long_series_by_mann_and_kendalls_formula():
    x = np.random.default_rng(7).integers(0, 6, 300)
    n, ties = 300, np.bincount(x)
    variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    # SciPy's variance adds two terms of lower order that vanish where time has no ties
    assert trend_p_value(x) == pytest.approx(2 * stats.norm.sf(abs(mann_kendall_s(x.tolist())) / math.sqrt(variance)), rel=1e-6)


def test_trend_does_not_see_monotone_transformations_and_takes_infinity():
    x = np.random.default_rng(8).normal(size=40)
    assert trend_p_value(x) == trend_p_value(np.exp(x))
    with_lost = np.where(x == x.max(), math.inf, x)
    assert trend_p_value(with_lost) == trend_p_value(x)


@pytest.mark.parametrize("block", [1, 1000, 2**17])
def test_shuffles_are_as_many_as_said_and_hold_the_same_values(monkeypatch, block):
    monkeypatch.setattr(exchangeability, "BLOCK", block * 12)
    monkeypatch.setattr(exchangeability, "SHUFFLES", 1999)
    x = np.random.default_rng(3).normal(size=12)
    shuffled = np.concatenate(list(exchangeability._shuffles(x)))
    assert shuffled.shape == (1999, 12)
    assert (np.sort(shuffled, axis=1) == np.sort(x)).all()


@pytest.mark.parametrize("block", [7, 2**17])
@pytest.mark.parametrize("seed", range(6))
def test_shuffling_ends_once_enough_series_lie_as_far_out(monkeypatch, seed, block):
    x = np.random.default_rng(seed).normal(size=30) + 0.4 * np.sin(np.arange(30) / 4)
    monkeypatch.setattr(exchangeability, "BLOCK", block * 30)
    monkeypatch.setattr(exchangeability, "SHUFFLES", 2000)
    products = [neighbour_products(row) for row in np.concatenate(list(exchangeability._shuffles(x - x.mean()))).tolist()]
    mean, _ = exchangeability._moments(x - x.mean())
    as_far = np.abs(np.array(products) - mean) >= abs(neighbour_products((x - x.mean()).tolist()) - mean) - 1e-9
    expected = 100 / (np.flatnonzero(as_far)[99] + 1) if as_far.sum() >= 100 else (as_far.sum() + 1) / 2001
    assert autocorrelation_p_value(x) == pytest.approx(expected)


def test_shuffles_agree_with_the_normal_law():
    x = np.cumsum(np.random.default_rng(9).normal(size=600)) * 0.05 + np.random.default_rng(10).normal(size=600)
    centred = x - x.mean()
    mean, variance = exchangeability._moments(centred)
    normal = 2 * stats.norm.sf(abs(neighbour_products(x.tolist()) - mean) / math.sqrt(variance))
    assert autocorrelation_p_value(x) == pytest.approx(normal, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=3, max_size=6).filter(lambda x: len(set(x)) > 1))
def test_moments_over_all_orders(x):
    centred = np.array(x) - np.mean(x)
    values = [neighbour_products(order) for order in itertools.permutations(x)]
    mean, variance = exchangeability._moments(centred)
    assert mean == pytest.approx(np.mean(values), abs=1e-9)
    assert variance == pytest.approx(np.var(values), abs=1e-9)


def test_long_series_are_compared_with_the_normal_law():
    white = np.random.default_rng(11).normal(size=5000)
    assert autocorrelation_p_value(white) > 0.001
    r1 = np.corrcoef(white[:-1], white[1:])[0, 1]
    assert autocorrelation_p_value(white) == pytest.approx(2 * stats.norm.sf(abs(r1) * math.sqrt(5000)), abs=0.02)
    assert autocorrelation_p_value(np.convolve(white, [1, 0.3], "valid")) < 1e-6


def test_autocorrelation_sees_neighbours_alike_and_neighbours_unlike():
    blocks, alternating = np.repeat([0.0, 1.0, 0.0], 10), np.tile([0.0, 1.0], 15)
    assert autocorrelation_p_value(blocks) < 0.001
    assert autocorrelation_p_value(alternating) < 0.001
    assert autocorrelation_p_value(alternating * 1e-9 + 5) < 0.001


def test_autocorrelation_takes_ranks_where_a_round_has_no_median():
    x = np.arange(40.0)
    assert autocorrelation_p_value(np.append(x, math.inf)) == autocorrelation_p_value(np.append(x, 40.0))


@pytest.mark.parametrize("test", [trend_p_value, autocorrelation_p_value])
@pytest.mark.parametrize("series", [[], [1.0], [1.0, 2.0], [0.1] * 50, [math.inf] * 5])
def test_series_that_say_nothing(test, series):
    assert test(series) == 1


@pytest.mark.parametrize("test", [trend_p_value, autocorrelation_p_value])
def test_nan_refused(test):
    with pytest.raises(InputError, match="NaN"):
        test([1, math.nan, 2])


def test_equal_series_give_equal_p_values():
    x = np.random.default_rng(12).normal(size=50)
    assert exchangeability_flag(x, x) == exchangeability_flag(x, x)


def test_drift_is_flagged_and_its_p_values_named():
    random = np.random.default_rng(13)
    drifting = np.linspace(0, 4, 40) + random.normal(size=40)
    found = exchangeability_flag(drifting, np.full(40, 0.9))
    assert found.flagged
    assert found.trend_log_median == trend_p_value(drifting) < 0.0025
    assert found.autocorrelation_log_median == autocorrelation_p_value(drifting)
    assert found.trend_quality == found.autocorrelation_quality == 1
    other = exchangeability_flag(np.full(40, 0.9), drifting)
    assert other.flagged
    assert (other.trend_quality, other.autocorrelation_quality) == (found.trend_log_median, found.autocorrelation_log_median)


def test_four_tests_share_the_level():
    x = np.arange(40)
    x[::2] = x[::2][::-1]  # a weak trend
    p = min(trend_p_value(x), autocorrelation_p_value(x))
    constant = np.ones(40)
    assert exchangeability_flag(x, constant, level=p * 4).flagged
    assert not exchangeability_flag(x, constant, level=p * 4 * 0.999).flagged


def test_few_false_flags_and_drift_found():
    random = np.random.default_rng(14)
    still = [exchangeability_flag(random.normal(size=30), random.binomial(20, 0.9, 30) / 20).flagged for _ in range(100)]
    ramp = np.linspace(0, 3, 30)
    moving = [exchangeability_flag(ramp + random.normal(size=30), random.binomial(20, 0.9, 30) / 20).flagged for _ in range(50)]
    assert sum(still) <= 5  # at most 2 expected at 2 %
    assert sum(moving) >= 40


def test_rounding_of_sums_is_no_trend():
    noise = np.arange(30) * 1e-16
    assert exchangeability_flag(np.ones(30), 0.9 - noise).trend_quality == 1


def test_one_round_and_shapes():
    assert not exchangeability_flag([1.0], [0.9]).flagged
    assert not exchangeability_flag([], []).flagged
    with pytest.raises(ValueError, match="must be"):
        exchangeability_flag([1.0, 2.0], [0.9])
    with pytest.raises(ValueError, match="must be"):
        exchangeability_flag([[1.0]], [[0.9]])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_by_its_steps(p_values):
    adjusted = holm_adjusted(p_values)
    assert all(p <= p_adjusted <= 1 for p, p_adjusted in zip(p_values, adjusted, strict=True))
    for level in (0.01, 0.05, 0.3, 0.999):
        rejected = set()
        for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[index] * (len(p_values) - step) > level:
                break
            rejected.add(index)
        assert {index for index, p in enumerate(adjusted) if p <= level} == rejected
