import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from scipy import stats

from orchestrator.stats.pair import Replicates, answered, compare_answered, gate, holm_adjusted, one_more, paired, signed_ranks

QUALITIES = st.lists(st.integers(0, 20).map(lambda right: right / 20), min_size=3, max_size=30)


def seeded(seed=0):
    return np.random.default_rng(seed)


def limits(found):
    return found.difference, found.low, found.high


def compared(a, b, **options):
    return compare_answered(answered(a), answered(b), **options)


@pytest.mark.parametrize(("units", "confidence"), [(3, 0.95), (11, 0.99), (12, 0.9), (60, 0.99)])
def test_few_pairs_equal_scipys_and_visits_that_resemble_their_neighbours_count_as_fewer(units, confidence):
    shared, noise = seeded(units).normal(size=(2, units))
    a, b = 0.8 + 0.1 * shared, 0.78 + 0.1 * shared + 0.01 * noise.cumsum()
    found, d = paired(a, b, confidence=confidence), b - a - np.mean(b - a)
    rho = (d[1:] @ d[:-1] / (d @ d) * (1 + 4 / units) + 1 / units) * (units >= 12)
    number = max(units * (1 - rho) / (1 + rho), 3)
    error, degrees = stats.sem(d) * (units / number) ** 0.5, number - 1
    assert (found.method, found.confidence, found.difference) == ("paired t", confidence, pytest.approx(np.mean(b - a)))
    assert (found.low, found.high) == pytest.approx(stats.t.interval(confidence, degrees, found.difference, error))
    tested = {"t": found.difference / error, "p_value": 2 * stats.t.sf(abs(found.difference / error), degrees)}
    assert dict(found.parameters) == pytest.approx({"units": units, "df": degrees, "se": error, **tested})


@pytest.mark.parametrize(("units", "confidence"), [(12, 0.975), (30, 0.95), (60, 0.975)])
def test_a_shift_by_ranks_inverts_scipys_test_and_withstands_outliers(units, confidence):
    each = 0.1 + 0.02 * seeded(units).normal(size=units)
    each[: units // 10] += 9.0
    found = signed_ranks(np.zeros(units), each, confidence=confidence)
    p_values = [
        stats.wilcoxon(each - shift, method="approx", correction=False).pvalue
        for shift in (found.low - 1e-9, found.low + 0.01, found.high - 0.01, found.high + 1e-9)
    ]
    assert [p_value > 1 - confidence for p_value in p_values] == [False, True, True, False]
    assert found.difference == pytest.approx(0.1, abs=0.02)
    equal = seeded(1).standard_t(2, (2000, units))
    apart = [signed_ranks(np.zeros(units), row, confidence=confidence) for row in equal]
    assert np.mean([one.low > 0 or one.high < 0 for one in apart]) <= 1 - confidence + 0.01
    assert signed_ranks(np.zeros(5), each[:5], confidence=0.999).method == "none"


def test_one_more_campaign_is_predicted_as_hahn_and_meeker_do():
    """s = 0.02 and t(0.975; 2) = 4.3027, so that one more mean is expected within 0.82 -+ 4.3027 x 0.02 x sqrt(1 + 1/3)."""
    found = one_more([0.80, 0.84, 0.82], [0.70, 0.72])
    assert limits(found) == pytest.approx((-0.11, -0.11 - 0.09937, -0.11 + 0.09937), abs=1e-5)
    assert (found.method, found.parameters["df"]) == ("prediction", 2)
    means = seeded(10).normal(0.8, 0.01, (2000, 6))
    missed = np.mean([one_more(row[:5], row[5:]).parameters["p_value"] <= 0.05 for row in means])
    assert missed == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("test", [paired, one_more])
def test_two_units_say_nothing(test):
    found = test([0.8, 0.7], [0.7, 0.9], within=(-1, 1))
    assert limits(found) == pytest.approx((0.05, -1, 1))
    assert (found.method, found.parameters) == ("none", {"units": 2})


def test_units_that_agree_show_no_noise_which_is_not_none():
    a = np.full(12, 0.9)
    assert paired(a, a - 0.1 + 1e-16).method == one_more(a, a).method == "none"
    found = paired(a, a, resolution=1 / 50)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 12 * 11 / 13 - 1, 0, math.sqrt(2) / 12 / 50))
    assert one_more(a, a[:2], resolution=1 / 50).parameters["se"] == pytest.approx(0.01 * math.sqrt(1 + 1 / 12))


@given(QUALITIES, QUALITIES, st.floats(0, 2))
def test_laws_of_pairs(a, b, shift):
    a, b = a[: len(b)], b[: len(a)]
    found = paired(a, b, resolution=0.01)
    assert found.low <= found.difference <= found.high
    swapped = paired(b, a, resolution=0.01)
    assert limits(swapped) == pytest.approx((-found.difference, -found.high, -found.low), abs=1e-9)
    moved = paired([mean + shift for mean in a[::-1]], [mean + shift for mean in b[::-1]], resolution=0.01)
    assert limits(moved) == pytest.approx(limits(found), abs=1e-9)
    assert paired(a, b, resolution=0.05).high >= found.high


@pytest.mark.parametrize("wrong", [[], [math.nan, 0.5, 0.5], [math.inf] * 3, [[0.5] * 3]])
@pytest.mark.parametrize("test", [paired, one_more])
def test_means_refused(test, wrong):
    for sides in ((wrong, [0.5] * 3), ([0.5] * 3, wrong)):
        with refused("invalid"):
            test(*sides)


def test_the_variance_of_samples_by_brute_force():
    """Every one of the 3^3 x 3^3 x 2^2 resamples of two trials of 3 rounds and 2 samples, all equally likely."""
    a, b = seeded(13).random((3, 2)), seeded(14).random((3, 2))
    means = [
        b[np.ix_(rb, s)].mean() - a[np.ix_(ra, s)].mean()
        for ra in itertools.product(range(3), repeat=3)
        for rb in itertools.product(range(3), repeat=3)
        for s in itertools.product(range(2), repeat=2)
    ]
    found = compared(a, b)
    assert (found.high - found.low) / 2 / stats.norm.isf(0.025) == pytest.approx(np.std(means), rel=1e-9)
    assert compared(a, b, within=(-0.1, 0.1)).low >= -0.1


UNKNOWN = "no verdict: noise floor unknown"


def trials(seed, drops, repeats=5, sd=0.004, **options):
    random = np.random.default_rng(seed)
    a = [0.8 + 0.05 * random.normal(size=repeats) for _ in drops]
    b = [means - drop + sd * random.normal(size=repeats) for means, drop in zip(a, drops, strict=True)]
    return {f"t{i}": Replicates(*pair, **options) for i, pair in enumerate(zip(a, b, strict=True))}


def swapped(found):
    return {trial: Replicates(one.b, one.a, one.design, one.resolution) for trial, one in found.items()}


def outcomes(verdicts):
    return [verdict.outcome for verdict in verdicts.values()]


def test_p_values_and_limits_equal_scipys():
    given_ = trials(9, [0.0, 0.02, -0.02])
    found = gate(given_)
    tests = [stats.ttest_rel(one.b, one.a) for one in given_.values()]
    assert [verdict.p_value for verdict in found.values()] == pytest.approx(holm_adjusted([test.pvalue for test in tests]))
    assert outcomes(found) == ["no difference shown", "worse", "better"]
    assert outcomes(gate(swapped(given_))) == ["no difference shown", "better", "worse"]
    for verdict, test in zip(found.values(), tests, strict=True):
        assert (verdict.found.low, verdict.found.high) == pytest.approx(tuple(test.confidence_interval(1 - 0.05 / 3)))
        error = abs(verdict.found.difference / test.statistic)
        shown = stats.nct.sf(stats.t.isf(0.05 / 6, 4), 4, verdict.detectable_drop / error)
        assert shown == pytest.approx(0.8)


def test_earlier_campaigns_predict_one_more():
    found = gate({"t": Replicates([0.80, 0.84, 0.82], [0.70, 0.72], "earlier campaigns")})["t"]
    t = (0.71 - 0.82) / (0.02 * math.sqrt(1 + 1 / 3))
    assert (found.outcome, found.p_value) == ("worse", pytest.approx(2 * stats.t.cdf(t, 2)))
    assert gate({"t": Replicates([0.80, 0.84], [0.70, 0.72], "earlier campaigns")})["t"].outcome == UNKNOWN


def test_later_steps_of_holm_reject_what_bonferroni_would_not():
    given_ = trials(4, [0.3, 0.3, 0.3, 0.006])
    p = stats.ttest_rel(given_["t3"].b, given_["t3"].a).pvalue
    stepwise = gate(given_, level=1.5 * p)
    assert outcomes(stepwise) == ["worse"] * 4
    assert stepwise["t3"].found.high > 0
    assert gate({"t3": given_["t3"]}, level=1.5 * p)["t3"].found.high < 0


@pytest.mark.parametrize("pairs", [1, 2])
def test_fewer_than_three_pairs_have_no_verdict_and_are_no_part_of_the_family(pairs):
    given_ = trials(5, [0.3, 0.02])
    few = Replicates(given_["t0"].a[:pairs], given_["t0"].b[:pairs], resolution=1 / 600)
    found = gate({"few": few, "t1": given_["t1"]})
    assert (found["few"].outcome, found["few"].p_value, found["few"].detectable_drop) == (UNKNOWN, 1, math.inf)
    assert (found["few"].found.method, found["few"].found.low) == ("none", -math.inf)
    assert found["t1"] == gate({"t1": given_["t1"]})["t1"]
    assert gate(given_)["t1"].found.high > found["t1"].found.high


def test_resolution_is_the_least_noise():
    same = Replicates([0.9] * 3, [0.9] * 3, resolution=1 / 600, within=(-0.9, 0.9))
    assert gate({"t": same})["t"].outcome == "no difference shown"
    assert gate({"t": Replicates([0.9] * 3, [0.0] * 3, resolution=1 / 600)})["t"].outcome == "worse"
    assert gate({"t": Replicates([0.9] * 3, [0.8] * 3)})["t"].outcome == UNKNOWN


MEANS = st.lists(st.tuples(*[st.integers(0, 600).map(lambda right: right / 600)] * 2), min_size=1, max_size=6)


@given(st.dictionaries(st.sampled_from("uvwxyz"), MEANS, min_size=1), st.sampled_from([0.0, 1 / 600]))
def test_laws(pairs, resolution):
    given_ = {trial: Replicates(*zip(*of, strict=True), resolution=resolution) for trial, of in pairs.items()}
    found, mirrored = gate(given_), gate(swapped(given_))
    opposite = {"worse": "better", "better": "worse"}
    for trial, verdict in found.items():
        mirror = mirrored[trial]
        assert mirror.outcome == opposite.get(verdict.outcome, verdict.outcome)
        assert (mirror.found.low, mirror.found.high) == pytest.approx((-verdict.found.high, -verdict.found.low))
        assert mirror.p_value == pytest.approx(verdict.p_value)
        if verdict.found.method != "none" and not verdict.found.low <= 0 <= verdict.found.high:
            assert verdict.outcome in ("worse", "better")
        if verdict.outcome == "worse":
            assert verdict.found.difference < 0
