from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from orchestrator.stats.certificate import samples_to_certify


@pytest.mark.parametrize(
    ("percentile", "overruns", "expected"),
    [(99, 0, 459), (99.9, 0, 4603), (90, 0, 44), (90, 1, 64), (95, 1, 130), (99, 1, 662), (99.9, 1, 6636)],
)
def test_counts_that_loadgen_publishes(percentile: float, overruns: int, expected: int) -> None:
    assert samples_to_certify(percentile, 0.99, overruns) == expected


@settings(deadline=None)
@given(st.floats(1, 99.9), st.floats(0.5, 0.999), st.integers(0, 40))
def test_it_is_the_smallest_number_by_the_binomial_tail(percentile: float, confidence: float, overruns: int) -> None:
    n = samples_to_certify(percentile, confidence, overruns)
    late = 1 - percentile / 100
    assert stats.binom.cdf(overruns, n, late) <= (1 - confidence) * (1 + 1e-9)
    assert stats.binom.cdf(overruns, n - 1, late) > (1 - confidence) * (1 - 1e-9)


@pytest.mark.parametrize(("confidence", "expected"), [(0.5, 1), (0.75, 2), (0.875, 3)])
def test_equality_counts_in_spite_of_rounding(confidence: float, expected: int) -> None:
    assert samples_to_certify(50, confidence, 0) == expected


@settings(deadline=None)
@given(st.floats(50, 99.9), st.integers(0, 30))
def test_more_overruns_or_confidence_need_more(percentile: float, overruns: int) -> None:
    n = samples_to_certify(percentile, 0.95, overruns)
    assert n < samples_to_certify(percentile, 0.95, overruns + 1)
    assert n < samples_to_certify(percentile, 0.99, overruns)
