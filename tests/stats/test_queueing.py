"""Queues against recursion, published theory and simulation."""

from fractions import Fraction

import numpy as np
import pytest
from effort import EFFORT
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from scipy import stats
from virtual_server import simulated

from orchestrator.stats import queueing
from orchestrator.stats.queueing import POLICIES, AnyPolicy, gamma, serve


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30))
def test_the_slope_is_scipys(values: list[float]) -> None:
    across = np.arange(len(values))
    assert queueing.theil_sen_slope(across, values) == pytest.approx(stats.theilslopes(values, across).slope, abs=1e-9)


def _streams(load: float, seed: int, count: int = 12) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(seed)
    drawn = [gamma(600, load * 100, 1.0, random) for _ in range(count)]
    return [(arrivals, queueing.waits(arrivals, np.full(600, 10**7))) for arrivals in drawn]


def test_a_growing_backlog_is_found_and_a_busy_server_is_not_accused() -> None:
    assert all(queueing.backlog_grows(_streams(1.2, seed), 1e7) for seed in range(4))
    assert sum(queueing.backlog_grows(_streams(0.8, seed), 1e7) for seed in range(20)) <= 1
    assert not queueing.backlog_grows([], 1e7)


def test_gaps_between_starts_are_held_against_those_of_arrivals_where_both_found_the_server_idle() -> None:
    arrivals, starts = np.array([100, 200, 300, 310]), np.array([103, 250, 301, 340])
    assert queueing.gap_errors(arrivals, starts, np.array([True, True, False, False])).tolist() == [47]


def test_gaps_of_another_law_are_noticed() -> None:
    gaps = np.diff(gamma(2000, 50.0, 1.0, np.random.default_rng(3)))
    assert queueing.spacing_p_value(gaps, 0.02e9, 1.0) > 0.01
    assert queueing.spacing_p_value(gaps, 0.02e9, 0.5) < 1e-6
    assert queueing.spacing_p_value(gaps * 1.3, 0.02e9, 1.0) < 1e-6
    bursts = np.random.default_rng(4).standard_gamma(0.5, 2000) * 0.04e9
    assert queueing.spacing_p_value(bursts, 0.02e9, 0.5) > 0.01


@given(st.integers(1, 400), st.sampled_from([30.0, 29.97, 0.1, 7.0, 1e4, 60000 / 1001]), st.integers(1, 5))
def test_periodic_moments_are_the_nearest_ns(count: int, rate: float, group: int) -> None:
    found = queueing.periodic(count, rate, group)
    exact = [Fraction(number // group * group * 10**9) / Fraction(str(rate)) for number in range(count)]
    assert found.dtype == np.int64
    assert len(found) == count
    assert all(abs(Fraction(int(moment)) - wanted) <= Fraction(1, 2) for moment, wanted in zip(found, exact, strict=True))


@pytest.mark.parametrize("shape", [0.25, 1.0, 4.0])
def test_gaps_follow_the_gamma_law(shape: float) -> None:
    moments = queueing.gamma(50_000, 40.0, shape, np.random.default_rng(1))
    gaps = np.diff(moments, prepend=0) / 1e9
    # 1.95 / sqrt(50,000) is p = 0.001; of the burstiest law 1 % of gaps are below 1 ns, and rounding shows.
    assert stats.kstest(gaps, stats.gamma(shape, scale=1 / (40 * shape)).cdf).statistic < (0.009 if shape >= 1 else 0.013)
    assert gaps.mean() == pytest.approx(1 / 40, rel=4 / np.sqrt(50_000 * shape))
    assert (np.diff(moments) >= 0).all()


def test_members_of_a_group_arrive_at_once_and_the_rate_counts_samples() -> None:
    moments = queueing.gamma(40_000, 100.0, 1.0, np.random.default_rng(7), group=4)
    assert (moments.reshape(-1, 4) == moments[::4, np.newaxis]).all()
    assert 40_000 / (moments[-1] / 1e9) == pytest.approx(100, rel=0.03)
    assert len(queueing.gamma(10, 100.0, 1.0, np.random.default_rng(7), group=4)) == 10


def test_a_trace_counts_from_its_first_time_and_is_scaled() -> None:
    assert queueing.trace([12.5, 10.0, 11.0], speed=2).tolist() == [0, 500_000_000, 1_250_000_000]
    assert queueing.trace([0, 1], group=2).tolist() == [0, 0, 10**9, 10**9]


@pytest.mark.parametrize("times", [[], [1.0], [1.0, np.nan], [1.0, np.inf], [2.0, 2.0]])
def test_a_trace_that_is_none_is_refused(times: list[float]) -> None:
    with refused("invalid"):
        queueing.trace(times)


@given(
    gaps=st.lists(st.integers(0, 30), min_size=1, max_size=60),
    seed=st.integers(0, 2**32),
    longest=st.sampled_from([2, 10, 40]),
    policy=st.sampled_from(POLICIES),
    deadline=st.integers(0, 60),
    limit=st.one_of(st.none(), st.integers(1, 4)),
)
@settings(max_examples=100 * EFFORT)
def test_every_policy_is_that_of_the_simulation(
    gaps: list[int], seed: int, longest: int, policy: AnyPolicy, deadline: int, limit: int | None
) -> None:
    arrivals = np.cumsum(gaps)
    services = np.random.default_rng(seed).integers(1, longest, size=arrivals.size, endpoint=True)
    skips_by = deadline if policy == "skip_late" else None
    waits = serve(arrivals, services, policy, skips_by, limit)
    starts = np.where(waits < 0, -1, arrivals + waits)
    assert starts.tolist() == simulated(arrivals.tolist(), services.tolist(), policy, skips_by, limit)
    assert (waits >= -1).all()
