from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.stats.pair import Replicates, gate, holm_adjusted

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


def test_worse_from_the_level_on():
    given_ = trials(3, [0.006])
    p = gate(given_)["t0"].p_value
    assert 0.001 < p < 0.4
    assert gate(given_, level=p)["t0"].outcome == "worse"
    assert gate(given_, level=p * 0.9999)["t0"].outcome == "no difference shown"
    assert gate(given_, level=0.5)["t0"].found.high < gate(given_, level=p)["t0"].found.high


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


def test_no_trials():
    assert gate({}) == {}


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


@pytest.mark.parametrize(("repeats", "level"), [(4, 1e-3), (8, 1e-7), (8, 0.5)])
def test_the_drop_that_would_be_found_is_found_in_80_percent_at_any_level(repeats, level):
    a, b = (np.resize([0.85, 0.85 + 0.01 * side], repeats) for side in (1, -1))
    verdict = gate({"t": Replicates(a, b)}, level)["t"]
    random = np.random.default_rng(repeats)
    degrees, error = repeats - 1, verdict.found.parameters["se"]
    t = random.normal(verdict.detectable_drop / error, 1, 200_000) / np.sqrt(random.chisquare(degrees, 200_000) / degrees)
    assert (t > stats.t.isf(level / 2, degrees)).mean() == pytest.approx(0.8, abs=5 * math.sqrt(0.8 * 0.2 / 200_000))
