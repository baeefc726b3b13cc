from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.stats.long_run import depend, depend_by_quality_or_time, dependence, weights_of_dependence
from orchestrator.stats.neighbours import moments_of_products, scores_by_three_moments, third_moment_of_products

VISITS = np.repeat(np.arange(12), 5)


def centred(series: np.ndarray) -> np.ndarray:
    found = series - series.mean(axis=1, keepdims=True)
    return np.asarray(found / np.abs(found).max(axis=1, keepdims=True))


def products(series: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    return np.asarray((series * np.roll(series, -1, axis=1))[:, neighbours].sum(axis=1))


@pytest.mark.parametrize("in_visits", [False, True])
@pytest.mark.parametrize("rounds", [3, 4, 5, 6, 7])
def test_moments_of_products_are_those_of_every_order(rounds: int, in_visits: bool) -> None:
    values = np.random.default_rng(rounds).exponential(size=rounds)
    values -= values.mean()
    neighbours = np.arange(rounds) % 4 != 3 if in_visits else np.ones(rounds, dtype=bool)
    neighbours[-1] &= not in_visits
    every = products(np.array(list(itertools.permutations(values))), neighbours)
    mean, variance = moments_of_products(values[None], neighbours)
    assert mean[0] == pytest.approx(np.mean(every))
    assert variance[0] == pytest.approx(np.var(every))
    if rounds > 5:
        assert third_moment_of_products(values[None], neighbours)[0] == pytest.approx(np.mean(every**3))


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_are_those_of_pearsons_law_of_three_moments(sign: int) -> None:
    """Of a lopsided series the law leans to the right; of one with both extremes it may lean to the left."""
    random = np.random.default_rng(3)
    lopsided, both = random.exponential(size=(20, 30)) ** 2, random.normal(size=(20, 6)) ** 3
    series = centred(lopsided if sign > 0 else both)
    neighbours = np.ones(series.shape[1], dtype=bool)
    sums, (mean, variance) = products(series, neighbours), moments_of_products(series, neighbours)
    skewness = (third_moment_of_products(series, neighbours) - 3 * mean * variance - mean**3) / variance**1.5
    assert (sign * skewness > 0).sum() > 3
    law = scipy.stats.pearson3(skewness, loc=mean, scale=np.sqrt(variance))
    found = scores_by_three_moments(sums, series, neighbours)
    assert scipy.stats.norm.sf(found) == pytest.approx(law.sf(sums), abs=1e-6)


def test_of_few_rounds_scores_are_normal_and_of_one_that_differs_there_are_none() -> None:
    series = centred(np.array([[1.0, 1.0, 4.0, 5.0, 0.0]]))
    neighbours = np.array([True, True, True, True, False])
    mean, variance = moments_of_products(series, neighbours)
    sums = products(series, neighbours)
    assert scores_by_three_moments(sums, series, neighbours) == pytest.approx((sums - mean) / np.sqrt(variance), abs=1e-12)
    alone = centred(np.eye(8)[:1])
    assert scores_by_three_moments(products(alone, np.ones(8, dtype=bool)), alone, np.ones(8, dtype=bool)) == -np.inf


def test_laws_that_are_hardly_skewed_have_the_scores_of_pearsons_law_too() -> None:
    series = centred(np.random.default_rng(6).normal(size=(20_000, 24)))
    neighbours = np.ones(24, dtype=bool)
    mean, variance = moments_of_products(series, neighbours)
    skewness = (third_moment_of_products(series, neighbours) - 3 * mean * variance - mean**3) / variance**1.5
    hardly = (np.abs(skewness) > 2e-5) & (np.abs(skewness) < 1e-4)
    assert {1, -1} <= set(np.sign(skewness[hardly]).tolist())
    sums = (mean + 2.5 * np.sqrt(variance))[hardly]
    found = scores_by_three_moments(sums, series[hardly], neighbours)
    assert found == pytest.approx(scipy.stats.norm.isf(scipy.stats.pearson3(skewness[hardly]).sf(2.5)), abs=1e-7)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(["even", "few", "far"]), st.sampled_from([6, 24, 60]), st.booleans())
def test_scores_rise_with_the_sum_and_do_not_jump_with_a_value(seed: int, law: str, rounds: int, in_visits: bool) -> None:
    random = np.random.default_rng(seed)
    drawn = {"even": random.random(rounds), "few": random.random(rounds) < 0.1, "far": random.exponential(size=rounds) ** 3}[law]
    series = centred(np.asarray([np.append(drawn[1:], drawn[0] + 0.5)]))
    neighbours = np.arange(rounds) % 2 == 0 if in_visits else np.ones(rounds, dtype=bool)
    mean, variance = moments_of_products(series, neighbours)
    assume(variance[0] > 1e-6)  # not so of a series of which one value alone differs
    sums = mean + np.linspace(-3, 4, 71) * np.sqrt(variance)
    found = scores_by_three_moments(sums, np.repeat(series, 71, axis=0), neighbours)
    assert (np.diff(found[np.isfinite(found)]) > 0).all()
    moved = centred(series + 1e-7 * random.random(rounds))
    known = np.abs(found) < 3
    nearby = scores_by_three_moments(sums, np.repeat(moved, 71, axis=0), neighbours)
    assert nearby[known] == pytest.approx(found[known], abs=1e-3)


@pytest.mark.parametrize("visits", [None, VISITS])
def test_few_losses_in_random_order_widen_no_more_often_than_they_should(visits: np.ndarray | None) -> None:
    """By the normal law twice as often; at a score of 2.05, which one in fifty should exceed, weights are 0.32."""
    losses = np.random.default_rng(4).binomial(18, 0.01, (8_000, 60)) / 20
    beyond = (weights_of_dependence(0.9 - losses, np.zeros(60), visits) > (2.054 - 1.8) / 0.8).mean()
    assert beyond == pytest.approx(0.02, abs=0.006)
    assert depend(losses, visits).mean() > 0.03


@pytest.mark.parametrize("visits", [None, VISITS])
def test_weights_grow_in_proportion_to_the_evidence_of_times(visits: np.ndarray | None) -> None:
    """Quality that never varies says nothing, so that times alone count: of several orders some reach each part of the way."""
    random = np.random.default_rng(5)
    neighbours = np.ones(60, dtype=bool) if visits is None else np.append(np.diff(visits) == 0, False)
    slow = np.repeat(random.random(30), 2)
    seen = []
    for _ in range(60):
        times = slow + random.normal(0, 0.5, 60)
        mean, variance = moments_of_products(centred(times[None]), neighbours)
        z = (products(centred(times[None]), neighbours) - mean) / np.sqrt(variance)
        found = weights_of_dependence(np.full((2, 60), 0.9), times, visits)
        assert found == pytest.approx(np.repeat(np.clip((z - 1.8) / 0.8, 0, 1), 2))
        seen += found.tolist()
    assert min(seen) == 0
    assert max(seen) == 1
    assert any(0.2 < weight < 0.8 for weight in seen)


def test_the_figure_or_the_times_may_give_the_evidence() -> None:
    slow, mixed = np.repeat([0.8, 0.9], 30), np.tile([0.8, 0.9], 30)
    assert weights_of_dependence([slow, mixed], np.zeros(60)).tolist() == [1, 0]
    assert weights_of_dependence([mixed], slow).tolist() == [1]
    assert weights_of_dependence([[0.8, 0.9]], [0.0, 1.0]).tolist() == [0]


def test_both_are_found_at_once_as_each_alone() -> None:
    random = np.random.default_rng(6)
    qualities, times = 0.9 - random.binomial(18, 0.05, (40, 60)).cumsum(axis=1) % 7 / 20, random.random(60)
    found = dependence(qualities, times)
    assert found.found.tolist() == depend_by_quality_or_time(qualities, times).tolist()
    assert 0 < found.found.mean() < 1
    assert found.weights.tolist() == weights_of_dependence(qualities, times).tolist()
