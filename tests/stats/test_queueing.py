"""Queues against recursion, published theory and simulation."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from md1 import md1_mean_wait, md1_waits_up_to
from scipy import stats

from orchestrator.stats import queueing
from orchestrator.stats.queueing import gamma


def by_recursion(arrivals: list[int], services: list[int]) -> list[int]:
    """Lindley's recursion as it is written."""
    found = [0]
    for number, (arrival, following) in enumerate(pairwise(arrivals)):
        found.append(max(0, found[-1] + services[number] - (following - arrival)))
    return found


@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)), min_size=1, max_size=60))
def test_waits_are_lindleys_recursion_to_the_ns(pairs: list[tuple[int, int]]) -> None:
    arrivals, services = np.cumsum([gap for gap, _ in pairs]).tolist(), [service for _, service in pairs]
    assert queueing.waits(arrivals, services).tolist() == by_recursion(arrivals, services)


def erlang(time: float, load: float) -> float:
    """P(wait <= t) of M/D/1 with a service of 1 by Erlang's alternating series, for short times."""
    return (1 - load) * sum(
        (load * (number - time)) ** number / math.factorial(number) * math.exp(-load * (number - time)) for number in range(int(time) + 1)
    )


@pytest.mark.parametrize("load", [0.1, 0.5, 0.9])
def test_the_stable_form_is_erlangs_series(load: float) -> None:
    times = np.array([0, 0.25, 0.999, 1, 1.5, 2.75, 4, 6.5])
    assert md1_waits_up_to(times * 0.02, load / 0.02, 0.02) == pytest.approx([erlang(time, load) for time in times], abs=1e-9)


@pytest.mark.parametrize("load", [0.3, 0.7, 0.95])
def test_the_distribution_has_the_mean_of_pollaczek_and_khinchine(load: float) -> None:
    times = np.linspace(0, 40 / (1 - load), 40_001)
    later = 1 - md1_waits_up_to(times, load, 1.0)
    assert (np.diff(later) <= 1e-12).all()
    assert later[-1] < 1e-9
    assert np.trapezoid(later, times) == pytest.approx(md1_mean_wait(load, 1.0), rel=2e-3)


def test_exponential_services_give_exponential_responses() -> None:
    random = np.random.default_rng(11)
    arrivals = gamma(400_000, 60.0, 1.0, random)
    services = np.rint(random.exponential(0.01e9, 400_000)).astype(np.int64)
    responses = np.sort((queueing.waits(arrivals, services) + services) / 1e9)
    theory = stats.expon(scale=1 / (1 / 0.01 - 60.0)).cdf(responses)  # of M/M/1
    assert np.abs(theory - np.arange(1, 400_001) / 400_000).max() < 0.012


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30))
def test_the_slope_is_scipys(values: list[float]) -> None:
    across = np.arange(len(values))
    assert queueing.theil_sen_slope(across, values) == pytest.approx(stats.theilslopes(values, across).slope, abs=1e-9)


def _streams(load: float, seed: int, count: int = 12) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(seed)
    drawn = [gamma(600, load * 100, 1.0, random) for _ in range(count)]
    return [(arrivals, queueing.waits(arrivals, np.full(600, 10**7))) for arrivals in drawn]


def test_a_growing_backlog_is_found_and_a_busy_server_is_not_accused() -> None:
    assert all(queueing.backlog_grows(_streams(1.2, seed), 1e7) for seed in range(20))
    assert sum(queueing.backlog_grows(_streams(0.8, seed), 1e7) for seed in range(100)) <= 1
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
