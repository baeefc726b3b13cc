from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from orchestrator.stats.stopping.settled import RunningMoments


def moments_of(numbers: list[float]) -> RunningMoments:
    moments = RunningMoments()
    for x in numbers:
        moments.add(x)
    return moments


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_moments_equal_those_of_numpy(numbers: list[float]) -> None:
    moments = moments_of(numbers)
    assert moments.mean == pytest.approx(np.mean(numbers), abs=1e-6)
    assert moments.variance == pytest.approx(np.var(numbers, ddof=1), rel=1e-9, abs=1e-6)


def test_half_width_equals_that_of_scipy() -> None:
    numbers = np.random.default_rng(0).normal(0.9, 0.01, 12)
    low, high = stats.t.interval(0.9, 11, numbers.mean(), stats.sem(numbers))
    assert moments_of(numbers.tolist()).half_width(0.9) == pytest.approx((high - low) / 2, rel=1e-12)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_mean_of_one_number_is_that_number(x: float) -> None:
    assert moments_of([x]).mean == x


def test_one_number_has_a_mean_only() -> None:
    moments = moments_of([3.0])
    assert (moments.mean, moments.variance, moments.half_width()) == (3.0, None, None)


def test_equal_numbers_have_no_width() -> None:
    assert moments_of([0.9] * 7).half_width() == 0
