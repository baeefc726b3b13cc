from __future__ import annotations

import math

import numpy as np
import pytest
import scipy

from orchestrator.study.factors import concordance, spearman_of_pairs

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("ties", [False, True])
def test_w_is_friedman_s_chi_square_over_its_largest(ties: bool) -> None:
    values = RANDOM.integers(0, 4, (5, 12)) if ties else RANDOM.random((5, 12))
    chi_square = scipy.stats.friedmanchisquare(*values.T).statistic
    assert concordance(values, RANDOM, 1)[0] == pytest.approx(chi_square / (5 * 11))


def test_spearman_is_scipy_s_for_every_pair() -> None:
    values = RANDOM.integers(0, 9, (4, 30)).astype(float)
    found = spearman_of_pairs(values)
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    assert found == pytest.approx([scipy.stats.spearmanr(values[a], values[b]).statistic for a, b in pairs])
    values[0] = 1
    assert np.isnan(spearman_of_pairs(values)[:3]).all()


def test_agreement_is_found_and_chance_is_not() -> None:
    shared = RANDOM.random(40)
    agreeing, p_value = concordance(shared + 0.3 * RANDOM.random((4, 40)), np.random.default_rng(0))
    assert agreeing > 0.7
    assert p_value == pytest.approx(1 / 2000)
    p_values = [concordance(RANDOM.random((4, 12)), np.random.default_rng(k), 99)[1] for k in range(60)]
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) <= 0.2) < 0.4


def test_the_permutation_test_agrees_with_the_exact_law_of_three_items() -> None:
    """Of 2 judges and 3 items the second has 6 orders, all alike under no agreement; one of them agrees fully."""
    found = concordance([[1, 2, 3], [1, 2, 3]], np.random.default_rng(0), 5999)
    assert found[1] == pytest.approx(1 / 6, abs=0.02)


def test_nobody_tells_apart() -> None:
    found = concordance([[1, 1, 1], [2, 2, 2]], np.random.default_rng(0))
    assert all(map(math.isnan, found))
