"""Arrivals follow the law that was asked for, and nothing of them is lost by rounding."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats import queueing


@given(st.integers(1, 400), st.sampled_from([30.0, 29.97, 0.1, 7.0, 1e4, 60000 / 1001]), st.integers(1, 5))
def test_periodic_moments_are_the_nearest_ns(count: int, rate: float, group: int) -> None:
    found = queueing.periodic(count, rate, group)
    exact = [Fraction(number // group * group * 10**9) / Fraction(str(rate)) for number in range(count)]
    assert found.dtype == np.int64
    assert len(found) == count
    assert all(abs(Fraction(int(moment)) - wanted) <= Fraction(1, 2) for moment, wanted in zip(found, exact, strict=True))


def test_no_rounding_adds_up_over_a_day_of_pictures() -> None:
    at_end = queueing.periodic(30 * 3600 + 1, 30.0)[-1]
    assert at_end == 3600 * 10**9


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shape", [0.25, 1.0, 4.0])
def test_gaps_follow_the_gamma_law(shape: float, seed: int) -> None:
    moments = queueing.gamma(50_000, 40.0, shape, np.random.default_rng(seed))
    gaps = np.diff(moments, prepend=0) / 1e9
    # 1.95 / sqrt(50,000) is p = 0.001; of the burstiest law 1 % of gaps are below 1 ns, and rounding shows.
    assert stats.kstest(gaps, stats.gamma(shape, scale=1 / (40 * shape)).cdf).statistic < (0.009 if shape >= 1 else 0.013)
    assert gaps.mean() == pytest.approx(1 / 40, rel=4 / np.sqrt(50_000 * shape))
    assert (np.diff(moments) >= 0).all()


def test_poisson_counts_have_variance_equal_to_their_mean() -> None:
    moments = queueing.gamma(100_000, 100.0, 1.0, np.random.default_rng(5))
    counts = np.bincount(moments // 10**9)[:-1]
    assert counts.mean() == pytest.approx(100, rel=0.01)
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.15)


def test_members_of_a_group_arrive_at_once_and_the_rate_counts_samples() -> None:
    moments = queueing.gamma(40_000, 100.0, 1.0, np.random.default_rng(7), group=4)
    assert (moments.reshape(-1, 4) == moments[::4, np.newaxis]).all()
    assert 40_000 / (moments[-1] / 1e9) == pytest.approx(100, rel=0.03)
    assert len(queueing.gamma(10, 100.0, 1.0, np.random.default_rng(7), group=4)) == 10


def test_one_seed_gives_one_schedule() -> None:
    first, again, other = (queueing.gamma(100, 3.0, 1.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_law_is_drawn_by_its_name() -> None:
    def source() -> np.random.Generator:
        return np.random.default_rng(4)

    assert queueing.drawn("periodic", 5, 30.0, source(), group=2).tolist() == queueing.periodic(5, 30.0, 2).tolist()
    smooth, bursty = (queueing.drawn(law, 50, 3.0, source(), group=2, burstiness=0.25) for law in ("poisson", "gamma"))
    assert smooth.tolist() == queueing.gamma(50, 3.0, 1.0, source(), group=2).tolist()
    assert bursty.tolist() == queueing.gamma(50, 3.0, 0.25, source(), group=2).tolist()


def test_the_mean_rate_counts_the_gaps_between_moments() -> None:
    assert queueing.mean_rate(np.array([0, 10**9, 4 * 10**9])) == 0.5
    assert queueing.mean_rate(queueing.periodic(101, 20.0)) == pytest.approx(20.0)


def test_a_trace_counts_from_its_first_time_and_is_scaled() -> None:
    assert queueing.trace([12.5, 10.0, 11.0], speed=2).tolist() == [0, 500_000_000, 1_250_000_000]
    assert queueing.trace([0, 1], group=2).tolist() == [0, 0, 10**9, 10**9]


@pytest.mark.parametrize("times", [[], [1.0], [1.0, np.nan], [1.0, np.inf], [2.0, 2.0]])
def test_a_trace_that_is_none_is_refused(times: list[float]) -> None:
    with pytest.raises(InputError, match="at least two"):
        queueing.trace(times)
