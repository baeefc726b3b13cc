"""A limit of a mean that holds whatever its law: against exact tails, random weights, and laws whose mean lies just below."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from orchestrator.stats.certificate import risk_of_mean, units_to_show


@pytest.mark.parametrize(("units", "bad"), [(1, 0), (10, 0), (77, 0), (77, 1), (300, 5), (5000, 20)])
def test_of_units_that_gain_all_or_nothing_it_is_a_binomial_tail(units: int, bad: int) -> None:
    gains = np.append(np.ones(units - bad), np.zeros(bad))
    for at_least in (0.5, 0.9, 0.99):
        assert risk_of_mean(gains, at_least) == pytest.approx(stats.binom.cdf(bad, units, 1 - at_least), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("at_least", [0.8, 0.9, 0.93])
def test_it_is_the_tail_of_a_mean_under_random_weights(at_least: float) -> None:
    random = np.random.default_rng(0)
    gains = np.append(random.uniform(0.9, 1.05, 40), [0.3, 0.6])
    weights = random.dirichlet(np.ones(43), 40_000)
    drawn = float((weights @ np.append(gains, 0.0) < at_least).mean())
    assert risk_of_mean(gains, at_least) == pytest.approx(drawn, abs=4 * np.sqrt(drawn * (1 - drawn) / 40_000) + 1e-4)


def test_units_to_show_are_the_fewest() -> None:
    gains = [1.0] * 29 + [0.8]
    found = units_to_show(gains, 0.95, 0.02)
    assert found is not None
    assert risk_of_mean(gains, 0.95, found / 30) <= 0.02 < risk_of_mean(gains, 0.95, (found - 1) / 30)
    assert units_to_show(gains, 0.9999, 0.02) is None
