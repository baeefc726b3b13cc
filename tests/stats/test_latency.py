from __future__ import annotations

import doctest
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.signal import lfilter

from orchestrator.contracts import InputError
from orchestrator.stats import certification, latency, times
from orchestrator.stats.korn_graubard import clopper_pearson, korn_graubard
from orchestrator.stats.latency import (
    design_effect,
    latency_percentile,
    percentile_inverted_cdf,
    percentile_rank,
    percentile_rank_limits,
)
from orchestrator.stats.long_run import long_run_spreads, variance_ratios
from orchestrator.stats.percentile_limits import limits_of_rounds
from orchestrator.stats.times import checked_times


@pytest.mark.parametrize("module", [latency, times])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@given(hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(0.5, 1e12)), st.integers(0, 64))
def test_percentile_equals_numpys_inverted_cdf(x, share):
    percentile = 100 * share / 64  # binary fractions, so that numpy's arithmetic is exact as well
    assert percentile_inverted_cdf(x, percentile) == np.percentile(x, percentile, method="inverted_cdf")


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


def test_percentile_keeps_integers_that_floats_cannot_hold():
    assert percentile_inverted_cdf(np.array([2**62 + 1, 3]), 100) == 2**62 + 1


def test_percentile_may_be_infinite():
    x = [1.0, 2.0, math.inf, math.inf]
    assert percentile_inverted_cdf(x, 50) == 2
    assert percentile_inverted_cdf(x, 51) == math.inf


@pytest.mark.parametrize(
    ("x", "percentile", "says"),
    [
        ([], 50, "no values"),
        ([1.0, math.nan], 50, "NaN"),
        ([1], 101, "percentile 101"),
        ([1], -1, "percentile -1"),
        ([1], math.nan, "nan"),
    ],
)
def test_percentile_refuses(x, percentile, says):
    with pytest.raises(InputError, match=says):
        percentile_inverted_cdf(x, percentile)


@pytest.mark.parametrize("n", [1, 5, 30, 459, 1000])
@pytest.mark.parametrize("percentile", [0.5, 50, 90, 99])
@pytest.mark.parametrize("confidence", [0.81, 0.95])
def test_rank_limits_by_brute_force(n, percentile, confidence):
    tail, p = (1 - confidence) / 2, percentile / 100
    below = stats.binom.cdf(np.arange(-1, n + 1), n, p)  # of each rank
    lowest = max(rank for rank in range(n + 1) if below[rank] <= tail)
    highest = min(rank for rank in range(1, n + 2) if below[rank] >= 1 - tail)
    assert percentile_rank_limits(n, percentile, confidence) == (lowest, highest)


def test_interval_covers_the_percentile_of_the_population():
    random = np.random.default_rng(5)
    truth = stats.expon.ppf(0.9)
    found = [latency_percentile(random.exponential(size=(40, 10)), 90) for _ in range(600)]
    share = np.mean([one.low_ns <= truth <= one.high_ns for one in found])
    assert 0.92 < share <= 1


def test_interval_holds_up_when_rounds_are_alike():
    random = np.random.default_rng(6)
    truth = stats.norm.ppf(0.9, scale=math.hypot(1, 1))
    covered = []
    for _ in range(300):
        log_times = random.normal(size=(60, 1)) + random.normal(size=(60, 40))
        found = latency_percentile(np.exp(log_times), 90)
        assert found.effective_samples < found.samples
        covered.append(found.low_ns <= math.exp(truth) <= found.high_ns)
    assert np.mean(covered) > 0.9


@pytest.mark.parametrize("visits", [None, np.arange(120) // 5])
@pytest.mark.parametrize("percentile", [50, 90, 99])
def test_limits_of_dependent_rounds_are_those_bounds_whose_share_may_be_the_percentile(percentile, visits):
    """Every candidate by `korn_graubard` itself, of the fewer answers of two: at the bound and at the percentile."""
    random = np.random.default_rng(7)
    effects = 0.1 * lfilter([1.0], [1.0, -0.8], random.standard_normal(120))
    times = np.exp(effects[:, None] + 0.1 * random.standard_normal((120, 4)))
    ordered, p = np.sort(times.ravel()), percentile / 100
    found = latency_percentile(times, percentile, visits=visits)

    def of_mean(bound):
        late = (times > bound).mean(axis=1)
        spread = long_run_spreads(late[None], visits)[0]
        return late.mean(), korn_graubard(late, 1.0, 4, spread=spread if np.ptp(late) else None)

    worth = of_mean(found.value_ns)[1].parameters["n_eff"]

    def may_be(bound):
        late, own = of_mean(bound)
        few = min(worth, own.parameters["n_eff"])
        low, high = clopper_pearson((1 - late) * few, few)
        return low <= p <= high

    rank = {value: place for place, value in enumerate([0.0, *ordered, math.inf])}
    low, high = rank[found.low_ns], rank[found.high_ns]
    assert (found.dependent, found.unit) == (True, "cosines" if visits is None else "visits")
    assert found.interval_samples == math.floor(worth) < found.effective_samples
    assert may_be(found.low_ns)
    assert may_be(found.value_ns)
    assert low == 0 or not may_be(ordered[low - 2] if low > 1 else 0.0)
    assert may_be(ordered[high - 2])
    assert high == 481 or not may_be(found.high_ns)


def test_a_percentile_on_the_longest_time_that_many_share_is_bounded_by_a_shorter_one():
    times = np.minimum(np.random.default_rng(9).permutation(np.arange(1.0, 1201)).reshape(60, 20), 1117)
    visits = np.arange(60) // 5
    found = latency_percentile(times, 95, visits=visits, dependent=True)

    def may_be(bound):
        late = (times > bound).mean(axis=1)
        [spread] = long_run_spreads(late[None], visits)
        few = korn_graubard(late, 1.0, 20, spread=spread).parameters["n_eff"]
        return clopper_pearson((1 - late.mean()) * few, few)[1] >= 0.95

    assert found.value_ns == 1117 > found.low_ns
    assert may_be(found.low_ns)
    assert not may_be(found.low_ns - 1)


def test_the_outermost_percentiles_of_dependent_rounds_are_the_outermost_times():
    times = np.random.default_rng(8).permutation(np.arange(1, 2001)).reshape(40, 50)
    least, most = (latency_percentile(times, percentile, dependent=True) for percentile in (0, 100))
    assert (least.low_ns, least.value_ns, least.high_ns) == (0, 1, 1)
    assert (most.low_ns, most.value_ns, most.high_ns) == (2000, 2000, math.inf)


def test_rounds_that_are_known_to_depend_count_as_dependent():
    times = np.random.default_rng(8).permutation(np.arange(1, 2001)).reshape(40, 50)
    apart, together = (latency_percentile(times, 90, dependent=known) for known in (False, True))
    assert (apart.dependent, apart.unit, apart.interval_samples) == (False, "rounds", 2000)
    assert (together.dependent, together.unit) == (True, "cosines")
    assert together.low_ns <= apart.low_ns < apart.high_ns <= together.high_ns


def test_certified_needs_ten_samples_beyond():
    enough = latency_percentile(np.arange(1, 1001)[None, :], 99)
    assert (enough.value_ns, enough.beyond, enough.certified) == (990, 10, True)
    short = latency_percentile(np.arange(1, 1000)[None, :], 99)
    assert (short.beyond, short.certified) == (9, False)


def test_a_percentile_whose_interval_has_no_upper_limit_is_not_certified():
    spells = np.exp((np.arange(20) // 5 % 2)[:, None] + np.random.default_rng(7).standard_normal((20, 60)))
    found = latency_percentile(spells, 90)
    assert (found.enough_beyond, found.high_ns, found.certified) == (True, math.inf, False)


def test_design_effect_divides_the_samples():
    slow_rounds = np.where(np.arange(40)[:, None] % 10 == 0, 100, 1) + np.zeros((40, 50), dtype=np.int64)
    found = latency_percentile(slow_rounds, 90)
    shares = np.repeat([1.0, 0.0], [4, 36])
    assert found.value_ns == 1
    assert found.design_effect == pytest.approx(shares.var(ddof=1) / (0.1 * 0.9 / 50))
    assert found.effective_samples == math.floor(2000 / found.design_effect) == 39
    assert (found.beyond, found.certified) == (39 - 36, False)
    assert (found.low_ns, found.high_ns) == (1, 100)


def test_two_rounds_that_share_nothing_are_one_sample():
    found = latency_percentile(np.repeat([[1], [9]], 50, axis=1), 50)
    assert found.design_effect == pytest.approx(100)
    assert (found.value_ns, found.effective_samples, found.low_ns, found.high_ns) == (1, 1, 0, math.inf)
    assert found.interval_samples == 1, "never none"
    [limits] = limits_of_rounds(np.repeat([[1], [9]], 50, axis=1), np.repeat([1, 9], 50), [50], [50], dependent=False)
    assert (limits.low, limits.high) == (0, 101)


def test_samples_alike_in_a_round_and_rounds_alike_multiply():
    slow = np.repeat(np.tile([1, 2], 6), 10)[:, None] * np.random.default_rng(9).integers(50, 100, (120, 4))
    found = latency_percentile(slow, 75)
    beyond = slow > found.value_ns
    within, between = design_effect(beyond), variance_ratios(beyond.mean(axis=1)[None])[0]
    assert min(within, between) > 1.5
    assert found.design_effect == pytest.approx(within * between)
    assert found.effective_samples == math.floor(480 / found.design_effect)


def test_a_design_effect_of_two_halves_the_samples():
    found = latency_percentile([[1, 1, 1, 9], [1, 9, 9, 9]], 50)
    assert found.design_effect == pytest.approx((2 * 0.25**2) / (0.5 * 0.5 / 4))
    assert (found.value_ns, found.samples, found.effective_samples, found.beyond) == (1, 8, 4, 2)


def test_small_design_effects_are_left_alone():
    found = latency_percentile(np.random.default_rng(2).permutation(np.arange(1, 2001)).reshape(40, 50), 90)
    assert 1 <= found.design_effect <= latency.CLUSTERED
    assert found.effective_samples == found.samples == 2000
    low, high = percentile_rank_limits(2000, 90)
    assert (found.low_ns, found.high_ns) == (low, high)


def test_one_round_cannot_show_clustering():
    found = latency_percentile([[1, 2, 3]], 50)
    assert math.isnan(found.design_effect)
    assert found.effective_samples == 3


def test_one_sample_bounds_a_percentile_on_one_side_at_most():
    high, middle = latency_percentile([[5.0]], 99.9), latency_percentile([[5.0]], 50)
    assert (high.value_ns, high.low_ns, high.high_ns, high.certified) == (5, 5, math.inf, False)
    assert (middle.low_ns, middle.high_ns) == (0, math.inf)


def test_percentile_that_falls_on_lost_samples():
    some = np.full((20, 10), 7.0)
    some[::2, 0] = math.inf
    found = latency_percentile(some, 99)
    assert found.value_ns == found.high_ns == math.inf
    assert found.low_ns in (7, math.inf)
    assert found.design_effect == 1
    lost_together = np.full((20, 10), 7.0)
    lost_together[3] = math.inf
    assert latency_percentile(lost_together, 99).design_effect == pytest.approx(10 * 20 / 19)


def test_design_effect_of_what_never_varies():
    assert design_effect(np.zeros((3, 4), dtype=bool)) == 1
    assert design_effect(np.ones((3, 4), dtype=bool)) == 1


@pytest.mark.parametrize("wrong", [0, -1, math.nan])
def test_times_must_be_positive(wrong):
    with pytest.raises(InputError, match="positive"):
        latency_percentile([[1.0, wrong]], 50)


def test_times_must_be_numbers_in_a_table():
    with pytest.raises(InputError, match="no numbers"):
        checked_times(["1"])
    with pytest.raises(ValueError, match="rounds, samples"):
        latency_percentile([1, 2], 50)


def test_times_keep_their_kind():
    assert checked_times(np.array([1, 2], dtype=np.uint8)).dtype == np.int64
    assert checked_times(np.array([1, np.inf], dtype=np.float32)).dtype == np.float64
    assert checked_times([]).size == 0
    untouched = np.array([1, 2**62])
    assert checked_times(untouched) is untouched


def test_samples_to_certify_is_found_here_too():
    assert latency.samples_to_certify is certification.samples_to_certify
