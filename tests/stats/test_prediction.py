import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from scipy import stats

from orchestrator.stats.prediction import (
    Prediction,
    poisson_binomial_pmf,
    predict_independent,
    predict_rounds,
    ratio_of_variances,
    shares_on_time,
    weighted_sum_pmf,
)
from orchestrator.stats.tail_quality import quality_curve

INF = math.inf


def predict_quality(scores, times, thresholds, *, rounds, method="block-bootstrap", units=None) -> Prediction:
    score, times = np.asarray(scores, dtype=float), np.asarray(times)
    qualities = quality_curve(score, times, thresholds)
    if method == "block-bootstrap":
        return predict_rounds(qualities, rounds, units, (0.0, float(score.mean())))
    return predict_independent(score, shares_on_time(times, thresholds), len(times), rounds)


def variance_ratio(scores, times, thresholds) -> np.ndarray:
    score = np.asarray(scores, dtype=float)
    return ratio_of_variances(score, quality_curve(score, times, thresholds), shares_on_time(times, thresholds))


def lognormal(rounds: int, samples: int, round_sd: float = 0.0, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 1e7 * np.exp(random.normal(0, 0.1, (rounds, samples)) + random.normal(0, round_sd, (rounds, 1)))


@st.composite
def campaigns(draw):
    rounds, samples = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    scores = draw(st.lists(st.sampled_from(draw(st.sampled_from([(0.0, 1.0), (0.0, 0.25, 1.0)]))), min_size=samples, max_size=samples))
    time = st.one_of(st.integers(1, 4).map(float), st.just(INF))
    times = draw(st.lists(st.lists(time, min_size=samples, max_size=samples), min_size=rounds, max_size=rounds))
    return np.array(scores), np.array(times), draw(st.integers(1, 40))


def law_under_independence(scores, times, threshold):
    """Quality of every combination of rounds, one round per sample, all equally likely."""
    rounds, samples = times.shape
    picked = itertools.product(range(rounds), repeat=samples)
    return np.array([sum(scores[i] for i, r in enumerate(pick) if times[r, i] <= threshold) / samples for pick in picked])


def median_minimum(qualities, rounds: int) -> float:
    """The smallest q that the minimum of so many rounds reaches or undercuts in at least half of all cases."""
    return next(q for q in np.unique(qualities) if 1 - np.mean(qualities > q) ** rounds >= 0.5 - 1e-12)


@settings(max_examples=30)
@given(campaigns())
def test_exact_independence_equals_every_combination_of_rounds(campaign) -> None:
    scores, times, rounds = campaign
    thresholds = [0.5, 2, 3]
    found = predict_quality(scores, times, thresholds, rounds=rounds, method="poisson-binomial")
    laws = [law_under_independence(scores, times, theta) for theta in thresholds]
    unbiased = len(times) / (len(times) - 1)
    np.testing.assert_allclose(found.figures.mean, [law.mean() for law in laws], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.figures.variance, [law.var() * unbiased for law in laws], rtol=0, atol=1e-12)
    assert found.figures.minimum == pytest.approx([median_minimum(law, rounds) for law in laws], abs=1e-9)
    assert found.degrees == len(times) - 1


@settings(max_examples=30)
@given(campaigns())
def test_block_bootstrap_equals_the_law_of_one_round_among_those_observed(campaign) -> None:
    scores, times, rounds = campaign
    thresholds = [2, INF]
    found = predict_quality(scores, times, thresholds, rounds=rounds)
    for index, theta in enumerate(thresholds):
        observed = np.array([sum(s for s, t in zip(scores, row, strict=True) if t <= theta and t < INF) / len(scores) for row in times])
        assert found.figures.mean[index] == pytest.approx(observed.mean(), abs=1e-12)
        assert found.figures.variance[index] == pytest.approx(observed.var(ddof=1), abs=1e-12)
        assert found.figures.minimum[index] == pytest.approx(median_minimum(observed, rounds), abs=1e-12)


@given(st.integers(2, 60), st.integers(1, 200))
def test_bootstrap_minimum_is_an_order_statistic(observed: int, rounds: int) -> None:
    times = 1e6 + np.triu(np.full((observed, observed), 1e9))  # round r has r samples on time
    found = predict_quality(np.ones(observed), times, [1e8], rounds=rounds).figures.minimum[0]
    rank = next(k for k in range(1, observed + 1) if 1 - (1 - k / observed) ** rounds >= 0.5 - 1e-9)
    assert found == pytest.approx((rank - 1) / observed)


@pytest.mark.parametrize("samples", [10, 1000])
def test_the_minimum_of_any_scores_is_that_of_draws(samples: int) -> None:
    times, thresholds, scores = lognormal(25, samples), [0.97e7, 1.05e7], np.linspace(0.01, 1, samples) ** 2
    found = predict_quality(scores, times, thresholds, rounds=30, method="poisson-binomial")
    random, shares = np.random.default_rng(3), (times[:, :, None] <= thresholds).mean(axis=0)
    drawn = np.array([(random.random((4000, samples)) < share) @ scores / samples for share in shares.T])
    np.testing.assert_allclose(found.figures.mean, drawn.mean(axis=1), atol=4 * drawn.std() / math.sqrt(4000))
    np.testing.assert_allclose(found.figures.variance, drawn.var(axis=1) * 25 / 24, rtol=0.1)
    level = 1 - 2 ** (-1 / 30)
    near = [np.quantile(drawn, level + apart, axis=1) for apart in (-0.01, 0.01)]  # 4 standard errors
    assert (near[0] <= found.figures.minimum).all()
    assert (found.figures.minimum <= near[1]).all()


def test_ratio_by_hand() -> None:
    scores, times, theta = np.array([1.0, 0.5, 0.0]), lognormal(120, 3), 1.02e7
    on_time = (times <= theta) * scores
    independent = sum(on_time[:, i].var(ddof=1) for i in range(3))
    expected = on_time.sum(axis=1).var(ddof=1) / independent
    found = variance_ratio(scores, times, [theta, 1.0])
    assert found[0] == pytest.approx(expected)
    assert math.isnan(found[1])
    assert math.isnan(variance_ratio([1], [[5]], [9])[0])


def test_equal_qualities_vary_by_nothing_in_spite_of_rounding() -> None:
    assert np.full(14, 0.9).var() > 0
    found = predict_quality([0.9], np.ones((14, 1)), [1, 0.5], rounds=3)
    assert found.figures.variance.tolist() == [0, 0]
    assert np.isnan(variance_ratio([0.9], np.ones((14, 1)), [1, 0.5])).all()


def test_qualities_that_are_not_finite_are_refused() -> None:
    with refused("invalid"):
        predict_rounds(np.array([[1.0, math.nan]]), 3)


def test_the_worst_of_later_rounds_is_that_of_whole_units():
    qualities = np.tile([0.9, 0.8, 0.7, 0.6], 6)[None]
    of_rounds, of_units = (predict_rounds(qualities, 2, units) for units in (None, np.arange(24) // 2))
    assert of_rounds.figures.minimum == [0.7]  # 7 of 24 rounds or fewer are worse than the median minimum of two
    assert of_units.figures.minimum == [0.6]  # two rounds are one unit, whose minimum is 0.8 or 0.6
    assert of_units.figures.mean == of_rounds.figures.mean == pytest.approx([0.75])
    assert of_units.figures.difference(of_rounds.figures).minimum == pytest.approx([0.1])


chances = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5, 1e-300, 1e-308, 1 - 2**-53]))


def law_of(probabilities) -> np.ndarray:
    return poisson_binomial_pmf(np.reshape(np.array(probabilities, dtype=float), (1, -1)))[0]


def by_enumeration(probabilities) -> list[float]:
    """The definition: the probability of every one of the 2^n outcomes, added up by their number of events."""
    terms: list[list[float]] = [[] for _ in range(len(probabilities) + 1)]
    for outcome in itertools.product([0, 1], repeat=len(probabilities)):
        terms[sum(outcome)].append(math.prod(p if hit else 1 - p for p, hit in zip(probabilities, outcome, strict=True)))
    return [math.fsum(term) for term in terms]


def in_fractions(probabilities) -> list[float]:
    """The recursion over events without any rounding."""
    law = [Fraction(1)]
    for p in map(Fraction, probabilities):
        law = [(1 - p) * a + p * b for a, b in zip([*law, Fraction(0)], [Fraction(0), *law], strict=True)]
    return [float(mass) for mass in law]


@settings(max_examples=30)
@given(st.lists(chances, min_size=1, max_size=10))
def test_small_laws_equal_the_sum_over_all_outcomes(probabilities) -> None:
    np.testing.assert_allclose(law_of(probabilities), by_enumeration(probabilities), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 65, 100])
def test_laws_of_every_depth_equal_exact_arithmetic(n: int) -> None:
    probabilities = np.random.default_rng(n).beta(0.5, 0.5, n)
    np.testing.assert_allclose(law_of(probabilities), in_fractions(probabilities), rtol=0, atol=1e-15)


@pytest.mark.parametrize(("n", "p"), [(7, 0.3), (1000, 0.97), (5000, 0.001), (40, 0.0), (40, 1.0)])
def test_equal_probabilities_give_a_binomial(n: int, p: float) -> None:
    expected = stats.binom.pmf(np.arange(n + 1), n, p)
    np.testing.assert_allclose(law_of(np.full(n, p)), expected, rtol=0, atol=1e-13)


@settings(max_examples=30)
@given(st.lists(st.tuples(chances, st.sampled_from([0.0, 0.25, 1.0, 1.5])), min_size=1, max_size=7))
def test_weights_add_up_as_over_all_outcomes(events) -> None:
    probabilities, weights = (np.array(of) for of in zip(*events, strict=True))
    law, step = weighted_sum_pmf(probabilities, weights)
    expected: dict[float, float] = {}
    for outcome in itertools.product([0, 1], repeat=len(events)):
        mass = math.prod(p if hit else 1 - p for p, hit in zip(probabilities, outcome, strict=True))
        total = float(np.dot(outcome, weights))
        expected[total] = expected.get(total, 0.0) + mass
    at = np.arange(law.size) * step
    for total, mass in expected.items():
        assert law[np.abs(at - total) < 2 * step].sum() == pytest.approx(mass, abs=1e-9)


def test_weights_between_points_keep_mean_and_nearly_the_variance() -> None:
    random = np.random.default_rng(0)
    probabilities, weights = random.beta(9, 1, 5000), random.random(5000)
    law, step = weighted_sum_pmf(probabilities, weights)
    at = np.arange(law.size) * step
    assert law @ at == pytest.approx(probabilities @ weights, rel=1e-10)
    assert law @ (at - law @ at) ** 2 == pytest.approx((probabilities * (1 - probabilities)) @ weights**2, rel=2e-3)


def test_many_laws_at_once_equal_each_alone() -> None:
    probabilities = np.random.default_rng(1).random((7, 70))
    alone = np.stack([law_of(row) for row in probabilities])
    np.testing.assert_allclose(poisson_binomial_pmf(probabilities), alone, rtol=0, atol=1e-16)


def test_laws_of_nothing() -> None:
    assert poisson_binomial_pmf(np.empty((2, 0))).tolist() == [[1], [1]]
    assert poisson_binomial_pmf(np.empty((0, 3))).shape == (0, 4)
