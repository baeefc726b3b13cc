from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from orchestrator.stats.density import smoothed


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), bandwidth=st.floats(0.05, 12))
def test_a_cell_receives_the_integral_of_every_kernel(seed: int, bandwidth: float) -> None:
    weights = np.zeros(300)
    weights[100:200] = np.random.default_rng(seed).random(100)
    edges = np.arange(301) - 0.5
    expected = sum(weight * np.diff(stats.norm.cdf(edges, place, bandwidth)) for place, weight in enumerate(weights))
    np.testing.assert_allclose(smoothed(weights[np.newaxis], np.array([bandwidth]))[0], expected, rtol=0, atol=1e-12)


def test_every_density_has_its_own_bandwidth_and_keeps_its_mass() -> None:
    weights = np.zeros((2, 400))
    weights[:, 200] = 3.0
    masses = smoothed(weights, np.array([2.0, 20.0]))
    assert (masses >= 0).all()
    assert masses.sum(axis=1) == pytest.approx([3, 3])
    places = np.arange(400) - 200
    assert (masses * places**2).sum(axis=1) / 3 == pytest.approx([4 + 1 / 12, 400 + 1 / 12])


def test_a_kernel_wider_than_the_grid_does_not_wrap_onto_itself_twice() -> None:
    assert smoothed(np.array([[0.0, 1.0, 0.0]]), np.array([50.0])).max() < 0.01
