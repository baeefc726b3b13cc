import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from scipy import optimize, stats

from orchestrator.stats.latency import LatencyPercentile, latency_percentiles, percentile_inverted_cdf, percentile_rank
from orchestrator.stats.units import spread


@given(st.lists(st.integers(1, 50), min_size=1, max_size=200), st.sampled_from([0.1, 5, 50, 90, 95, 99, 99.9, 99.99, 100]))
def test_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(x, percentile):
    needed = Fraction(str(percentile)) / 100 * len(x)
    assert percentile_inverted_cdf(x, percentile) == min(v for v in x if sum(w <= v for w in x) >= needed)


def test_rank_is_exact_where_floats_are_not():
    assert math.ceil(0.07 * 100) == 8
    assert percentile_rank(100, 7) == 7
    assert percentile_rank(10**15, 99.9) == 999 * 10**12
    assert percentile_rank(1000, np.float64(99.9)) == 999
    assert percentile_rank(7, 0) == 1


def test_a_percentile_may_be_infinite_or_an_integer_that_floats_cannot_hold():
    x = [1.0, 2.0, math.inf, math.inf]
    assert [percentile_inverted_cdf(x, percentile) for percentile in (50, 51)] == [2, math.inf]
    assert percentile_inverted_cdf(np.array([2**62 + 1, 3]), 100) == 2**62 + 1


@pytest.mark.parametrize(("x", "percentile"), [([], 50), ([1.0, math.nan], 50), ([1], 101), ([1], -1), ([1], math.nan)])
def test_percentile_refuses(x, percentile):
    with refused("invalid"):
        percentile_inverted_cdf(x, percentile)


VISITS = np.arange(60) // 2


def counts(times, value, units, degrees):
    """As how many independent times these count were rounds alike, and by which factor as fewer, by SciPy."""
    share, n = (times > value).mean(), times.size
    variance = spread((times > value).mean(axis=1)[None], units).variance[0]
    alone = n * (stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, degrees)) ** 2
    return alone, max(1, variance / (share * (1 - share) / n))


@pytest.mark.parametrize("percentile", [50, 90, 95])
def test_limits_are_those_of_the_share_within_each_time(percentile):
    random = np.random.default_rng(percentile)
    times = random.lognormal(0, 0.2, (60, 20)) * np.repeat(random.lognormal(0, 0.1, 30), 2)[:, None]
    [found] = latency_percentiles(times, [percentile], VISITS)
    assert found.value_ns == percentile_inverted_cdf(times, percentile)
    alone, deff = counts(times, found.value_ns, VISITS, 4)
    assert found.effective_samples == math.floor(alone / deff)
    assert found.beyond == found.effective_samples - percentile_rank(found.effective_samples, percentile)
    late = (times > found.value_ns).sum(axis=1)
    together, ordered, p = (late**2).sum() / late.sum(), np.sort(times.ravel()), percentile / 100
    low, high = None, None
    for rank, time in enumerate(ordered, start=1):
        of = alone / deff
        x = rank / times.size * of
        if low is None and (x >= of or stats.beta.ppf(0.975, x + 1, of - x) >= p):
            low = time
        falling = 1 + (deff - 1) * min((times.size - rank) / late.sum(), 1) ** 0.1
        of = min(alone / falling, times.size / min(together, deff))
        x = rank / times.size * of
        if high is None and stats.beta.ppf(0.025, x, of - x + 1) > p:
            high = time
    assert (found.low_ns, found.high_ns) == (low, math.inf if high is None else high)


def test_one_round_counts_all_its_times_as_independent():
    times = np.random.default_rng(0).permutation(np.arange(1.0, 1001))[None]
    [found] = latency_percentiles(times, [90])
    low, high = (stats.binom.ppf(tail, 1000, 0.9) for tail in (0.025, 0.975))
    assert (found.low_ns, found.high_ns) == (pytest.approx(low, abs=1), pytest.approx(high + 1, abs=1))
    assert (found.effective_samples, found.beyond) == (1000, 100)


def test_it_covers_percentiles_of_spells_within_reach():
    random, covered, unbounded = np.random.default_rng(11), 0, 0
    slow_share, slower = 1 / 6, 1.5
    truth = optimize.brentq(
        lambda x: (1 - slow_share) * stats.norm.cdf(math.log(x) / 0.2) + slow_share * stats.norm.cdf(math.log(x / slower) / 0.2) - 0.95,
        1,
        5,
    )
    for _ in range(150):
        states, state = [], False
        for _ in range(120):
            state = random.random() < (1 / 5 if state else 4 / 25)
            states.append(slower if state else 1.0)
        times = random.lognormal(0, 0.2, (240, 10)) * np.repeat(states, 2)[:, None]
        [found] = latency_percentiles(times, [95], np.arange(240) // 2)
        covered += found.low_ns <= truth <= found.high_ns
        unbounded += not math.isfinite(found.high_ns)
    assert covered >= 0.93 * 150
    assert unbounded <= 0.05 * 150


def test_a_certified_percentile_has_ten_independent_times_beyond_it_and_an_upper_limit():
    for samples, certified in ((100, True), (10, False)):
        times = np.random.default_rng(1).permutation(np.arange(1.0, 60 * samples + 1)).reshape(60, samples)
        [found] = latency_percentiles(times, [99], VISITS)
        assert (found.beyond >= 10, found.certified) == (certified, certified)
    assert not LatencyPercentile(1.0, 1.0, math.inf, 1000, 1000, 50).certified
