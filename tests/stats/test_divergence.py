from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import jensenshannon

from orchestrator.stats.convergence import jensen_shannon_distance, jensen_shannon_divergence

weights = hnp.arrays(np.float64, 8, elements=st.just(0.0) | st.floats(1e-9, 1e3)).filter(lambda w: w.sum() > 0)


@settings(deadline=None)
@given(weights, weights)
def test_distance_equals_scipy_and_divergence_is_its_square(p: np.ndarray, q: np.ndarray) -> None:
    # SciPy's own value is lost in rounding where p and q are nearly equal.
    assert jensen_shannon_distance(p, q) == pytest.approx(np.nan_to_num(jensenshannon(p, q)), rel=1e-9, abs=1e-7)
    assert jensen_shannon_divergence(p, q) == pytest.approx(jensen_shannon_distance(p, q) ** 2, rel=1e-12)


@settings(deadline=None)
@given(weights, weights, st.floats(1e-3, 1e3))
def test_laws(p: np.ndarray, q: np.ndarray, scale: float) -> None:
    distance = float(jensen_shannon_distance(p, q))
    assert 0 <= distance <= np.sqrt(np.log(2))
    assert distance == pytest.approx(float(jensen_shannon_distance(q, p)), rel=1e-12)
    assert distance == pytest.approx(float(jensen_shannon_distance(scale * p, q)), rel=1e-6, abs=1e-9)
    assert jensen_shannon_distance(p, p) == 0


@settings(deadline=None)
@given(weights, weights, weights)
def test_distance_obeys_the_triangle_inequality_and_divergence_need_not(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> None:
    there = jensen_shannon_distance(p, q) + jensen_shannon_distance(q, r)
    assert jensen_shannon_distance(p, r) <= there + 1e-12


def test_known_values() -> None:
    assert jensen_shannon_divergence([1, 0], [0, 1]) == np.log(2)
    halves = 0.5 * (0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25) + np.log(1 / 0.75))
    assert jensen_shannon_divergence([0.5, 0.5], [1, 0]) == pytest.approx(halves, rel=1e-14)


def test_digits_are_kept_where_the_masses_are_nearly_equal() -> None:
    p, shift = np.full(4, 0.25), 1e-9 * np.array([1, -1, 1, -1])
    second_order = (shift**2 / (8 * p)).sum()
    assert jensen_shannon_divergence(p, p + shift) == pytest.approx(second_order, rel=1e-5)


def test_leading_axes_broadcast() -> None:
    p, q = np.array([0.2, 0.8]), np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
    together = jensen_shannon_divergence(p, q)
    assert together.shape == (3,)
    np.testing.assert_array_equal(together, [jensen_shannon_divergence(p, row) for row in q])
