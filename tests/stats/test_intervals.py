from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats import bootstrap
from orchestrator.stats.bootstrap import bootstrap_t_limits, resample_counts
from orchestrator.stats.intervals import intervals_of_rounds_to_come, rounds_interval, rounds_intervals, sampling_interval
from orchestrator.stats.korn_graubard import Interval, clopper_pearson, effective_number, korn_graubard
from orchestrator.stats.long_run import Spread, cosine_variance, depend


def seeded():
    return np.random.default_rng(0)


def limits_of(values, random, confidence, resamples):
    """Limits of one row of values, None where they are infinite."""
    [low], [high] = bootstrap_t_limits(values[None], resample_counts(random, values.size, resamples), confidence)
    assert math.isfinite(low) == math.isfinite(high)
    return (low, high) if math.isfinite(low) else None


def t_of(values, error, random, resamples):
    """t* of resamples of one row of values whose mean is 0."""
    counts = np.concatenate(list(resample_counts(random, values.size, resamples)))
    return bootstrap._studentized(values[None], np.array([error]), counts)[:, 0]


def test_bootstrap_t_one_resample_at_a_time():
    values = np.random.default_rng(1).exponential(size=12)
    drawn = seeded().integers(12, size=(999, 12))
    mean, error = values.mean(), stats.sem(values)
    t = sorted((values[row].mean() - mean) / stats.sem(values[row]) for row in drawn)
    low, high = limits_of(values, seeded(), 0.95, 999)
    assert low == pytest.approx(mean - t[999 - 25] * error)
    assert high == pytest.approx(mean - t[24] * error)


@pytest.mark.parametrize(("resamples", "cut"), [(39, 1), (78, 1), (79, 2)])
def test_bootstrap_t_of_few_resamples_takes_every_one_and_cuts_whole_ranks(resamples, cut):
    values = np.random.default_rng(1).exponential(size=12)
    mean, error = values.mean(), stats.sem(values)
    for seed in range(50):
        drawn = values[np.random.default_rng(seed).integers(12, size=(resamples, 12))]
        t = np.sort((drawn.mean(axis=1) - mean) / stats.sem(drawn, axis=1))
        found = limits_of(values, np.random.default_rng(seed), 0.95, resamples)
        assert found == pytest.approx((mean - t[-cut] * error, mean - t[cut - 1] * error))


def test_bootstrap_t_agrees_with_student_on_normal_values():
    values = np.random.default_rng(2).normal(size=200)
    low, high = limits_of(values, seeded(), 0.95, 4999)
    student = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(student, abs=0.03)


def test_bootstrap_t_in_several_blocks(monkeypatch):
    values = np.random.default_rng(3).normal(size=10)
    whole = limits_of(values, seeded(), 0.9, 499)
    monkeypatch.setattr(bootstrap, "BLOCK", 128)
    monkeypatch.setattr(bootstrap, "T_AT_ONCE", 499)  # one row at a time
    low, high = bootstrap_t_limits(np.stack([values, -values]), resample_counts(seeded(), 10, 499), 0.9)
    assert (low[0], high[0]) == pytest.approx(whole) == (-high[1], -low[1])


def test_bootstrap_t_without_finite_limits():
    assert limits_of(np.full(10, 0.1), seeded(), 0.95, 999) is None
    one_stands_out = np.array([0.1] * 29 + [0.2])  # 36 % of resamples miss it and have no variance
    assert limits_of(one_stands_out, seeded(), 0.95, 999) is None


def test_resamples_without_spread():
    centred = np.array([-1.0, 1.0])
    t = t_of(centred, 1.0, seeded(), 100)
    assert set(t) == {-math.inf, 0.0, math.inf}
    values = np.array([-1.0, 0.0, 1.0])
    drawn = values[np.random.default_rng(5).integers(3, size=(500, 3))]
    t = t_of(values, 1.0, np.random.default_rng(5), 500)
    assert not np.isnan(t).any()
    for value, expected in zip(values, (-math.inf, 0.0, math.inf), strict=True):
        assert set(t[(drawn == value).all(axis=1)]) == {expected}


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_studentized_resamples_have_no_unit(unit):
    values = np.array([-1.0, 0.0, 1.0])
    plain, scaled = (t_of(values * scale, scale, seeded(), 500) for scale in (1.0, unit))
    assert scaled == pytest.approx(plain)


def test_bootstrap_branch_needs_six_rounds_with_a_loss():
    quality = np.full(30, 0.9)
    quality[:5] = np.linspace(0.5, 0.8, 5)
    assert rounds_interval(quality, 0.9, 18, seeded()).method == "korn-graubard"
    quality[5] = 0.85
    found = rounds_interval(quality, 0.9, 18, seeded())
    assert (found.method, found.confidence) == ("bootstrap-t", 0.95)
    assert found.parameters == {"rounds": 30, "resamples": 19_999}
    assert found.low < quality.mean() < found.high
    assert (found.low, found.high) == pytest.approx(limits_of(quality, seeded(), 0.95, 19_999))


def test_thresholds_share_their_resamples():
    random = np.random.default_rng(8)
    curve = np.stack(
        [np.zeros(40), 0.8 - random.gamma(1, 0.05, 40).clip(0, 0.8), 0.8 - random.gamma(2, 0.05, 40).clip(0, 0.8), np.full(40, 0.8)]
    )
    together = rounds_intervals(curve, 0.8, 80.0, seeded(), resamples=499)
    assert [found.method for found in together] == ["korn-graubard", "bootstrap-t", "bootstrap-t", "korn-graubard"]
    for quality, found in zip(curve, together, strict=True):
        alone = rounds_interval(quality, 0.8, 80.0, seeded(), resamples=499)
        assert (found.low, found.high) == pytest.approx((alone.low, alone.high), rel=1e-12)
    assert rounds_intervals(np.empty((0, 40)), 0.8, 80.0, seeded()) == []


def test_rounding_is_no_loss():
    quality = np.array([0.9 - 1e-16] * 29 + [0.8])
    assert rounds_interval(quality, 0.9, 18, seeded()).method == "korn-graubard"
    assert rounds_interval(np.full(30, 0.9 - 1e-16), 0.9, 18, seeded()).parameters["pi"] == 0


def test_bootstrap_limits_are_clipped():
    few_and_far_apart = np.array([0.02, 0.88, 0.05, 0.85, 0.1, 0.8, 0.45])
    low, high = limits_of(few_and_far_apart, seeded(), 0.99, 19_999)
    assert low < 0
    assert high > 0.9
    found = rounds_interval(few_and_far_apart, 0.9, 18, seeded(), confidence=0.99)
    assert (found.method, found.low, found.high, found.confidence) == ("bootstrap-t", 0, 0.9, 0.99)


def test_equal_losses_give_way_to_korn_graubard():
    found = rounds_interval(np.full(30, 0.8), 0.9, 18, seeded())
    assert found.method == "korn-graubard"
    assert found.parameters["deff"] == 1
    assert found.parameters["n_eff"] == 30 * 18
    low, high = stats.binomtest(60, 540).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == pytest.approx((0.9 * (1 - high), 0.9 * (1 - low)))


def test_no_loss_at_all_is_the_rule_of_three():
    found = rounds_interval(np.full(30, 0.9), 0.9, 18, seeded())
    assert found.high == pytest.approx(0.9)
    assert found.low == pytest.approx(0.9 * 0.025 ** (1 / 540))


def test_everything_late_in_every_round():
    found = rounds_interval(np.zeros(30), 0.9, 18, seeded())
    assert found.low == pytest.approx(0, abs=1e-12)
    assert found.high == pytest.approx(0.9 * (1 - 0.025 ** (1 / 540)))


def test_korn_graubard_step_by_step():
    loss = np.zeros(20)
    loss[:3] = [0.1, 0.3, 0.05]
    found = korn_graubard(loss, 0.8, 16.0)
    pi, n = 0.45 / 20 / 0.8, 320
    deff = (loss.std(ddof=1) / math.sqrt(20) / 0.8) ** 2 / (pi * (1 - pi) / n)
    assert deff > 1
    n_eff = n / deff * (stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, 19)) ** 2
    x = pi * n_eff
    assert dict(found.parameters) == pytest.approx({"rounds": 20, "pi": pi, "n": n, "deff": deff, "n_eff": n_eff})
    assert found.low == pytest.approx(0.8 * (1 - stats.beta.ppf(0.975, x + 1, n_eff - x)))
    assert found.high == pytest.approx(0.8 * (1 - stats.beta.ppf(0.025, x, n_eff - x + 1)))


def test_an_effective_number_written_out():
    deff, worth = effective_number(0.25, 20, 0.02, 5)
    assert deff == pytest.approx(0.02 / (0.25 * 0.75 / 20))
    assert worth == pytest.approx(20 / deff * (stats.t.ppf(0.975, 19) / stats.t.ppf(0.975, 5)) ** 2)
    assert effective_number(0.25, 20, 0.02, 5, 0.8)[1] == pytest.approx(20 / deff * (stats.t.ppf(0.9, 19) / stats.t.ppf(0.9, 5)) ** 2)
    assert effective_number(0.25, 20, 0.001, 5)[0] == 1, "never more answers than there are"
    assert effective_number(0.0, 20, 0.02, 5) == (math.inf, 0)


def test_many_degrees_of_freedom_are_no_gain():
    """Of 10 answers, with more of them than 10 - 1, and with less."""
    assert effective_number(0.5, 10, 0.05, 9.5) == (2, 5)
    assert effective_number(0.5, 10, 0.05, 8.5)[1] == pytest.approx(5 * (stats.t.ppf(0.975, 9) / stats.t.ppf(0.975, 8.5)) ** 2)


@pytest.mark.parametrize(("visits", "alike", "degrees"), [(None, False, 3), (True, False, 8), (True, True, 2)])
def test_rounds_that_depend_and_never_lost_anything_know_the_long_run_by_few_spells(visits, alike, degrees):
    quality, numbers = np.full((2, 120), 0.9), np.repeat(np.arange(24), 5) if visits else None
    session = rounds_intervals(quality, 0.9, 18, seeded())
    dependent, told = np.array([True, False]), np.array([alike, alike])
    found, apart = intervals_of_rounds_to_come(quality, 0.9, 18, session, dependent, numbers, alike=told)
    worth = 2160 * (stats.t.ppf(0.975, 2159) / stats.t.ppf(0.975, degrees)) ** 2
    assert (found.low, found.high) == pytest.approx((0.9 * 0.025 ** (1 / worth), 0.9))
    assert found.parameters["degrees"] == degrees
    assert apart == session[1]


@given(arrays(np.float64, 24, elements=st.sampled_from([0.0, 0.45, 0.8, 0.85, 0.9])), st.booleans())
def test_what_times_say_narrows_no_interval_of_rounds_to_come(quality, alike):
    """Not against what the losses say alone, nor where none varies against that of this session."""
    loss, visits = 0.9 - quality, np.repeat(np.arange(12), 2)
    means = loss.reshape(1, 12, 2).mean(axis=2)
    variance, alone_alike = max(stats.sem(means[0]) ** 2, stats.sem(loss) ** 2), depend(means, level=0.3)[0]
    slow = Spread(max(variance, cosine_variance(means, 2)[0] / 12), 2, "visits")
    by_losses = slow if alone_alike else Spread(variance, 4, "visits")
    alone = korn_graubard(loss, 0.9, 18, spread=by_losses if np.ptp(loss) else None)
    [found] = intervals_of_rounds_to_come([quality], 0.9, 18, [alone], np.array([True]), visits, alike=alike)
    assert found.low <= alone.low + 1e-12
    assert found.high >= alone.high - 1e-12


def test_evidence_takes_an_interval_part_of_the_way_to_that_of_dependent_rounds():
    quality = np.tile(np.repeat([0.9, 0.7], 10), (4, 3))
    session = rounds_intervals(quality, 0.9, 18, seeded())
    apart, some, most, whole = intervals_of_rounds_to_come(quality, 0.9, 18, session, [0.0, 0.25, 0.75, 1.0])
    assert apart == session[0]
    assert [one.low for one in (some, most)] == pytest.approx(np.interp([0.25, 0.75], [0, 1], [apart.low, whole.low]))
    assert [one.high for one in (some, most)] == pytest.approx(np.interp([0.25, 0.75], [0, 1], [apart.high, whole.high]))
    assert whole.low < most.low < some.low < apart.low
    assert (some.method, some.unit, some.parameters["degrees"], some.parameters["weight"]) == ("korn-graubard", "cosines", 3, 0.25)


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_nothing_tells_more_of_rounds_to_come_than_of_this_session(weight):
    """Of rounds that alternate Korn-Graubard is narrower than what served for the session, had it seen dependence."""
    quality = np.tile([0.9, 0.9, 0.8], 20)[None]
    session = [Interval(0.5, 0.88, 0.95, "bootstrap-t")]
    [found] = intervals_of_rounds_to_come(quality, 0.9, 18, session, [weight])
    [alone] = intervals_of_rounds_to_come(quality, 0.9, 18, [Interval(0.89, 0.8, 0.95, "bootstrap-t")], [1.0])
    assert found.low == 0.5 < alone.low
    assert found.high == pytest.approx(0.88 + weight * (alone.high - 0.88))
    assert alone.high > 0.88


def test_a_single_round_says_nothing_of_rounds_to_come():
    session = rounds_intervals([[0.9]], 0.9, 18, seeded())
    assert intervals_of_rounds_to_come([[0.9]], 0.9, 18, session, np.array([True])) == session


def test_where_there_is_nothing_to_lose_rounds_to_come_lose_nothing():
    session = rounds_intervals(np.zeros((1, 30)), 0.0, 0, seeded())
    assert intervals_of_rounds_to_come(np.zeros((1, 30)), 0.0, 0, session, [1.0]) == session


def test_korn_graubard_takes_rounds_that_vary_less_than_chance_as_independent():
    loss = np.array([0.1, 0.1, 0.1, 0.11])
    assert korn_graubard(loss, 0.8, 16.0).parameters["deff"] == 1


def test_less_at_stake_than_one_answer_a_round():
    found = korn_graubard(np.array([0.0, 0.2, 0.0]), 0.4, 0.4)
    assert found.parameters["n_eff"] == pytest.approx(1.2 / found.parameters["deff"])
    assert 0 <= found.low < found.high <= 0.4
    whole = rounds_interval([0.4, 0.2, 0.4], 0.4, 0.4, seeded())
    assert (whole.low, whole.high) == pytest.approx((found.low, found.high))


def test_everything_late_is_no_more_than_everything_there_is():
    assert np.full(14, 0.9).mean() > 0.9  # by rounding
    found = rounds_interval(np.zeros(14), 0.9, 18, seeded())
    assert found.parameters["pi"] == 1
    assert found.low == 0


@pytest.mark.parametrize("unit", [1e-9, 1e9])
@pytest.mark.parametrize("lost", [[0.1, 0.2, 0.05], [0.1, 0.2, 0.05, 0.3, 0.01, 0.15, 0.02]])
def test_the_unit_of_quality_does_not_matter(unit, lost):
    quality = 0.9 - np.append(lost, np.zeros(20))
    plain, scaled = (rounds_interval(quality * scale, 0.9 * scale, 18, seeded()) for scale in (1, unit))
    assert scaled.method == plain.method
    assert (scaled.low, scaled.high) == pytest.approx((plain.low * unit, plain.high * unit))
    assert dict(scaled.parameters) == pytest.approx(dict(plain.parameters))


def test_late_answers_may_help_where_the_metric_is_no_mean():
    random = np.random.default_rng(4)
    quality = 0.5 + 0.05 * random.random(30)
    found = rounds_interval(quality, 0.52, 1000, seeded())
    assert found.low < quality.mean() < found.high <= quality.max()
    gains_only = rounds_interval(np.array([0.5, 0.5, 0.6]), 0.5, 1000, seeded())
    assert (gains_only.low, gains_only.parameters["n_eff"]) == (0, 0)
    assert gains_only.high == pytest.approx(1.6 / 3), "no interval excludes its own figure"


def test_one_round_says_nothing():
    found = rounds_interval([0.7], 0.9, 18, seeded())
    assert (found.low, found.high, found.method, found.parameters) == (0, 0.9, "none", {"rounds": 1})


def test_nothing_to_lose():
    found = rounds_interval(np.zeros(30), 0.0, 0.0, seeded())
    assert (found.low, found.high, found.method) == (0, 0, "exact")


@pytest.mark.parametrize("wrong", [[], [math.nan, 0.5], [-0.1, 0.5]])
def test_qualities_refused(wrong):
    with pytest.raises(InputError, match="rounds"):
        rounds_interval(wrong, 0.9, 18, seeded())


def test_ideal_without_anything_at_stake_refused():
    with pytest.raises(InputError, match="at stake"):
        rounds_interval([0.5, 0.6], 0.9, 0, seeded())


@settings(deadline=None)
@given(st.lists(st.integers(0, 18), min_size=1, max_size=40))
def test_interval_lies_within_what_is_possible_and_encloses_the_mean(right):
    quality = np.array(right) / 20
    found = rounds_interval(quality, 0.9, 18, seeded(), resamples=199)
    assert 0 <= found.low <= found.high <= 0.9
    assert 0 <= found.parameters.get("pi", 0) <= 1
    if found.method == "korn-graubard":
        assert found.low - 1e-12 <= quality.mean() <= found.high + 1e-12


def test_equal_seeds_give_equal_intervals():
    quality = 0.9 * np.random.default_rng(6).random(30)
    assert rounds_interval(quality, 0.9, 18, seeded()) == rounds_interval(quality, 0.9, 18, seeded())


@given(st.integers(1, 200), st.data(), st.sampled_from([0.9, 0.95, 0.99]))
def test_clopper_pearson_equals_scipys(n, data, confidence):
    successes = data.draw(st.integers(0, n))
    expected = stats.binomtest(successes, n).proportion_ci(confidence, "exact")
    assert clopper_pearson(successes, n, confidence) == pytest.approx(expected, abs=1e-9)


def test_clopper_pearson_rises_with_every_success_and_part_of_one():
    whole = [clopper_pearson(successes, 12) for successes in range(13)]
    for successes, found in enumerate(whole):
        assert found == pytest.approx(stats.binomtest(successes, 12).proportion_ci(0.95, "exact"), abs=1e-12)
    limits = np.array([clopper_pearson(successes / 4, 12) for successes in range(49)])
    assert (np.diff(limits, axis=0) > 0).all()


def test_sampling_interval_of_right_and_wrong():
    found = sampling_interval([1] * 18 + [0, 0])
    assert (found.low, found.high) == pytest.approx(stats.binomtest(18, 20).proportion_ci(0.95, "exact"))
    assert (found.method, found.parameters["samples"]) == ("clopper-pearson", 20)


def test_sampling_interval_of_fractions():
    scores = np.random.default_rng(7).random(40)
    found = sampling_interval(scores)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 39, scores.mean(), stats.sem(scores)))
    assert found.method == "t"
    two = sampling_interval([0.2, 0.9])
    assert (two.low, two.high) == (0.2, 0.9)
    one = sampling_interval([0.5])
    assert (one.low, one.high, one.method, one.parameters) == (0, math.inf, "none", {"samples": 1})


@pytest.mark.parametrize("wrong", [[], [math.nan]])
def test_sampling_interval_refuses(wrong):
    with pytest.raises(InputError, match="scores"):
        sampling_interval(wrong)


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "late"), [(20, 0.1), (20, 0.005), (1000, 0.01), (1000, 0.0001)])
def test_rounds_interval_covers(samples, late):
    random = np.random.default_rng(samples)
    at_stake = round(0.9 * samples)
    qualities = 0.9 - random.binomial(at_stake, late, (400, 30)) / samples
    covered = [found.low <= 0.9 * (1 - late) <= found.high for found in rounds_intervals(qualities, 0.9, at_stake, random)]
    assert np.mean(covered) > 0.92  # 3 standard errors below 95 %
