from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from orchestrator.stats.prediction import poisson_binomial_pmf, weighted_sum_pmf

chances = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5, 1e-300, 1e-308, 1 - 2**-53]))
rows = st.lists(chances, min_size=0, max_size=100)


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


def direct_transform(probabilities) -> np.ndarray:
    """Hong (2013): the characteristic function at n + 1 points, transformed back by the sum as it is written."""
    points = len(probabilities) + 1
    angles = 2 * np.pi * np.arange(points) / points
    characteristic = np.prod(1 - probabilities + probabilities * np.exp(1j * angles)[:, None], axis=1)
    return np.real(np.exp(-1j * np.outer(np.arange(points), angles)) @ characteristic) / points


@settings(max_examples=30, deadline=None)
@given(st.lists(chances, min_size=1, max_size=10))
def test_small_laws_equal_the_sum_over_all_outcomes(probabilities) -> None:
    np.testing.assert_allclose(law_of(probabilities), by_enumeration(probabilities), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 64, 65, 150])
def test_laws_of_every_depth_equal_exact_arithmetic(n: int) -> None:
    probabilities = np.random.default_rng(n).beta(0.5, 0.5, n)
    np.testing.assert_allclose(law_of(probabilities), in_fractions(probabilities), rtol=0, atol=1e-15)


@pytest.mark.parametrize("shape", [(1, 1), (9, 1), (1, 30)])
def test_equals_the_direct_transform(shape) -> None:
    probabilities = np.random.default_rng(0).beta(*shape, 300)
    np.testing.assert_allclose(law_of(probabilities), direct_transform(probabilities), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "p"), [(7, 0.3), (1000, 0.97), (5000, 0.001), (40, 0.0), (40, 1.0)])
def test_equal_probabilities_give_a_binomial(n: int, p: float) -> None:
    expected = stats.binom.pmf(np.arange(n + 1), n, p)
    np.testing.assert_allclose(law_of(np.full(n, p)), expected, rtol=0, atol=1e-13)


def test_agrees_with_a_hundred_thousand_draws() -> None:
    random = np.random.default_rng(3)
    probabilities = random.beta(9, 1, 200)
    counts = np.concatenate([(random.random((10_000, 200)) < probabilities).sum(axis=1) for _ in range(10)])
    drawn = np.cumsum(np.bincount(counts, minlength=201)) / 100_000
    furthest = np.abs(np.cumsum(law_of(probabilities)) - drawn).max()
    assert furthest < math.sqrt(math.log(2 / 1e-4) / 2 / 100_000)  # Dvoretzky, Kiefer, Wolfowitz: beyond this once in 10,000


@settings(deadline=None)
@given(rows)
def test_a_law_has_mass_one_and_the_moments_of_its_events(probabilities) -> None:
    law, p, events = law_of(probabilities), np.array(probabilities), np.arange(len(probabilities) + 1)
    assert law.shape == (len(probabilities) + 1,)
    assert (law >= 0).all()
    assert law.sum() == pytest.approx(1, abs=1e-14)
    mean = law @ events
    assert mean == pytest.approx(p.sum(), rel=1e-12, abs=1e-12)
    assert law @ (events - mean) ** 2 == pytest.approx((p * (1 - p)).sum(), rel=1e-10, abs=1e-11)


@settings(deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(probabilities, random) -> None:
    shuffled = random.sample(probabilities, len(probabilities))
    np.testing.assert_allclose(law_of(shuffled), law_of(probabilities), rtol=0, atol=1e-14)


@settings(deadline=None)
@given(rows, st.integers(0, 40), st.integers(0, 40))
def test_certain_events_shift_a_law_and_impossible_ones_lengthen_it(probabilities, certain: int, impossible: int) -> None:
    longer = law_of([1.0] * certain + probabilities + [0.0] * impossible)
    expected = np.pad(law_of(probabilities), (certain, impossible))
    np.testing.assert_allclose(longer, expected, rtol=0, atol=1e-14)


@settings(deadline=None)
@given(rows)
def test_the_law_of_what_does_not_happen_is_mirrored(probabilities) -> None:
    others = [1 - p for p in probabilities]
    np.testing.assert_allclose(law_of(others), law_of(probabilities)[::-1], rtol=0, atol=1e-14)


@settings(max_examples=30, deadline=None)
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


def test_weights_of_nothing() -> None:
    law, _ = weighted_sum_pmf(np.array([0.5]), np.array([0.0]))
    assert law[0] == 1


def test_many_laws_at_once_equal_each_alone() -> None:
    probabilities = np.random.default_rng(1).random((7, 70))
    alone = np.stack([law_of(row) for row in probabilities])
    np.testing.assert_allclose(poisson_binomial_pmf(probabilities), alone, rtol=0, atol=1e-16)


def test_laws_of_nothing() -> None:
    assert poisson_binomial_pmf(np.empty((2, 0))).tolist() == [[1], [1]]
    assert poisson_binomial_pmf(np.empty((0, 3))).shape == (0, 4)


def test_events_given_are_left_as_they_were() -> None:
    probabilities = np.full((1, 40), 0.25)
    poisson_binomial_pmf(probabilities)
    assert (probabilities == 0.25).all()
