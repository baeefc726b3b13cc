from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator.stats.comparison import holm_adjusted
from orchestrator.stats.replication import replicates
from scipy import stats

from orchestrator.contracts import InputError
from orchestrator.stats.gate import gate

MEANS = st.lists(st.integers(0, 600).map(lambda right: right / 600), min_size=1, max_size=6)
UNKNOWN = "no verdict: noise floor unknown"


def campaigns(seed, drops, repeats=3, sd=0.01):
    random = np.random.default_rng(seed)
    a = {f"t{i}": 0.85 + sd * random.normal(size=repeats) for i in range(len(drops))}
    b = {f"t{i}": 0.85 - drop + sd * random.normal(size=repeats) for i, drop in enumerate(drops)}
    return a, b


def outcomes(verdicts):
    return [verdict.outcome for verdict in verdicts.values()]


@pytest.mark.parametrize("tolerance", [0.0, 0.02])
def test_p_values_and_bounds_equal_scipys(tolerance):
    a, b = campaigns(0, [0.0, 0.03, 0.06, -0.05], repeats=4)
    a["t3"] = a["t3"][:3]
    found = gate(a, b, tolerance=tolerance)
    tests = [stats.ttest_ind(b[t], a[t] - tolerance, alternative="less") for t in a]
    gains = [stats.ttest_ind(b[t], a[t] + tolerance, alternative="greater") for t in a]
    assert [v.p_worse for v in found.values()] == pytest.approx(holm_adjusted([test.pvalue for test in tests]))
    assert [v.p_better for v in found.values()] == pytest.approx(holm_adjusted([test.pvalue for test in gains]))
    for trial, verdict in found.items():
        interval = stats.ttest_ind(b[trial], a[trial]).confidence_interval(1 - 2 * 0.05 / 4)
        assert (verdict.low, verdict.high) == pytest.approx(tuple(interval))
        pooled = math.sqrt(np.average([a[trial].var(ddof=1), b[trial].var(ddof=1)], weights=[a[trial].size - 1, b[trial].size - 1]))
        assert verdict.sd == pytest.approx(pooled)
        assert (verdict.repeats_a, verdict.repeats_b, verdict.degrees) == (a[trial].size, 4, a[trial].size + 2)
        error = pooled * math.sqrt(1 / a[trial].size + 1 / 4)
        found_in = stats.nct.sf(stats.t.isf(0.05 / 4, verdict.degrees), verdict.degrees, (verdict.detectable_drop - tolerance) / error)
        assert found_in == pytest.approx(0.8)


def test_pairs_equal_scipys_paired_t():
    random = np.random.default_rng(9)
    a = {f"t{i}": 0.8 + 0.05 * random.normal(size=5) for i in range(3)}
    b = {trial: means - drop + 0.004 * random.normal(size=5) for (trial, means), drop in zip(a.items(), [0.0, 0.02, -0.02], strict=True)}
    found = gate(a, b, designs=dict.fromkeys(a, "pairs"))
    tests = {trial: stats.ttest_rel(b[trial], a[trial], alternative="less") for trial in a}
    assert [v.p_worse for v in found.values()] == pytest.approx(holm_adjusted([test.pvalue for test in tests.values()]))
    assert outcomes(found) == ["no difference shown", "worse", "better"]
    assert set(outcomes(gate(a, b))) == {"no difference shown"}  # what both sides share hides it from two samples
    for trial, verdict in found.items():
        interval = stats.ttest_rel(b[trial], a[trial]).confidence_interval(1 - 2 * 0.05 / 3)
        assert (verdict.low, verdict.high) == pytest.approx(tuple(interval))
        assert (verdict.degrees, verdict.sd) == (4, pytest.approx((b[trial] - a[trial]).std(ddof=1)))
    assert gate(a, b, designs=dict.fromkeys(a, "pairs"), resolutions={"t0": 0.1})["t0"].sd == pytest.approx(0.1 * math.sqrt(2))
    with pytest.raises(InputError, match="trial t: 3 repeats paired with 2"):
        gate({"t": [0.1, 0.2, 0.3]}, {"t": [0.1, 0.2]}, designs={"t": "pairs"})


def test_earlier_campaigns_predict_one_more():
    """Of means that vary alike, one more falls below the bound in 5 % of cases, however many earlier ones there are."""
    earlier, now = {"t": [0.80, 0.84, 0.82]}, {"t": [0.70, 0.72]}
    found = gate(earlier, now, designs={"t": "earlier campaigns"})["t"]
    t = (0.71 - 0.82) / (0.02 * math.sqrt(1 + 1 / 3))
    assert (found.difference, found.p_worse) == pytest.approx((0.71 - 0.82, stats.t.cdf(t, 2)))
    assert (found.outcome, found.repeats_a, found.repeats_b, found.degrees) == ("worse", 3, 2, 2)
    assert gate({"t": [0.80, 0.84]}, now, designs={"t": "earlier campaigns"})["t"].outcome == UNKNOWN
    assert gate({"t": [0.8] * 3}, now, resolutions={"t": 0.01}, designs={"t": "earlier campaigns"})["t"].sd == 0.005
    random = np.random.default_rng(10)
    means = random.normal(0.8, 0.01, (2000, 6))
    found = [replicates("t", row[:5], row[5:], design="earlier campaigns") for row in means]
    p_values = stats.t.cdf([one.difference / one.error for one in found], 4)
    assert np.mean(p_values <= 0.05) == pytest.approx(0.05, abs=0.015)


def test_verdicts():
    a, b = campaigns(1, [0.0, 0.2, -0.1])
    assert outcomes(gate(a, b)) == ["no difference shown", "worse", "better"]
    assert outcomes(gate(b, a)) == ["no difference shown", "better", "worse"]


def test_a_drop_within_the_tolerance_is_no_regression():
    a, b = campaigns(2, [0.05], repeats=10, sd=0.002)
    assert outcomes(gate(a, b)) == outcomes(gate(a, b, tolerance=0.04)) == ["worse"]
    assert outcomes(gate(a, b, tolerance=0.05)) == outcomes(gate(b, a, tolerance=0.06)) == ["no difference shown"]


def test_worse_from_the_level_on():
    a, b = campaigns(3, [0.015])
    p = gate(a, b)["t0"].p_worse
    assert 0.001 < p < 0.4
    assert gate(a, b, level=p)["t0"].outcome == "worse"
    assert gate(a, b, level=p * 0.9999)["t0"].outcome == "no difference shown"
    assert gate(b, a, level=gate(b, a)["t0"].p_better)["t0"].outcome == "better"
    assert gate(a, b, level=0.5)["t0"].high < gate(a, b, level=p)["t0"].high


def test_later_steps_of_holm_reject_what_bonferroni_would_not():
    a, b = campaigns(4, [0.3, 0.3, 0.3, 0.0])
    level = 0.05
    p = stats.ttest_ind(b["t3"], a["t3"], alternative="less").pvalue
    found = gate(a, b, level=level)
    assert level < p
    assert outcomes(found)[:3] == ["worse"] * 3
    shifted = {**b, "t3": b["t3"] - 0.05}
    p = stats.ttest_ind(shifted["t3"], a["t3"], alternative="less").pvalue
    stepwise = gate(a, shifted, level=1.5 * p)
    assert stepwise["t3"].outcome == "worse"
    assert stepwise["t3"].high > 0
    assert gate({"t3": a["t3"]}, {"t3": shifted["t3"]}, level=1.5 * p)["t3"].high < 0


@pytest.mark.parametrize(("repeats_a", "repeats_b"), [(1, 1), (2, 5), (5, 2), (1, 3)])
def test_fewer_than_three_repeats_have_no_verdict(repeats_a, repeats_b):
    a, b = campaigns(5, [0.3], repeats=5)
    found = gate({"t0": a["t0"][:repeats_a]}, {"t0": b["t0"][:repeats_b]}, resolutions={"t0": 1 / 600})["t0"]
    assert found.outcome == UNKNOWN
    assert found.difference == pytest.approx(b["t0"][:repeats_b].mean() - a["t0"][:repeats_a].mean())
    assert (found.low, found.high, found.detectable_drop) == (-math.inf, math.inf, math.inf)
    assert found.p_worse == found.p_better == 1
    assert math.isnan(found.sd) == (repeats_a + repeats_b == 2)


def test_trials_without_enough_repeats_are_no_part_of_the_family():
    a, b = campaigns(6, [0.02, 0.0, 0.0])
    few = {"t1": a["t1"][:2], "t2": a["t2"][:1]}
    alone = gate({"t0": a["t0"]}, {"t0": b["t0"]})
    assert gate({**a, **few}, b)["t0"] == alone["t0"]
    assert gate(a, b)["t0"].p_worse > alone["t0"].p_worse


def test_repeats_without_spread_and_without_resolution():
    same = gate({"t": [0.9] * 3}, {"t": [0.9, 0.9 - 1e-16, 0.9]})["t"]
    assert (same.outcome, same.difference, same.sd, same.low) == ("no difference shown", 0, 0, -math.inf)
    large = gate({"t": [900.0] * 3}, {"t": [900.0, 900 * (1 - 1e-16), 900.0]})["t"]
    assert (large.outcome, large.difference, large.sd) == ("no difference shown", 0, 0)
    fallen = {"a": {"t": [0.9] * 3}, "b": {"t": [0.8] * 3}}
    assert gate(**fallen)["t"].outcome == gate(fallen["b"], fallen["a"])["t"].outcome == UNKNOWN
    assert gate(**fallen, tolerance=0.15)["t"].outcome == "no difference shown"


def test_no_spread_keeps_its_place_in_the_family():
    a, b = campaigns(7, [0.05, 0.0])
    flat = {"t1": [0.5] * 3}
    beside_flat, beside_another = gate({**a, **flat}, {**b, **flat})["t0"], gate(a, b)["t0"]
    assert (beside_flat.p_worse, beside_flat.high) == (beside_another.p_worse, beside_another.high)


def test_resolution_is_the_least_spread():
    resolution = {"t": 1 / 600}
    found = gate({"t": [0.9] * 3}, {"t": [0.9] * 3}, resolutions=resolution)["t"]
    assert (found.outcome, found.sd) == ("no difference shown", 1 / 600)
    assert found.high == pytest.approx(stats.t.isf(0.05, 4) * math.sqrt(2 / 3) / 600)
    assert found.low == -found.high
    assert gate({"t": [0.9] * 3}, {"t": [0.9 - 1 / 600] * 3}, resolutions=resolution)["t"].outcome == "no difference shown"
    everything_late = gate({"t": [0.9] * 3}, {"t": [0.0] * 3}, resolutions=resolution)["t"]
    assert (everything_late.outcome, everything_late.p_worse < 1e-6) == ("worse", True)
    a, b = campaigns(8, [0.1])
    assert gate(a, b, resolutions={"t0": 1e-6}) == gate(a, b)


def test_no_trials():
    assert gate({}, {}) == {}


@pytest.mark.parametrize("wrong", [[], [0.5, math.nan, 0.5], [0.5, math.inf], [[0.5, 0.5]]])
def test_means_refused(wrong):
    with pytest.raises(InputError, match="trial t"):
        gate({"t": wrong}, {"t": [0.5] * 3})
    with pytest.raises(InputError, match="trial t"):
        gate({"t": [0.5] * 3}, {"t": wrong})


def test_unmatched_trials_refused():
    with pytest.raises(InputError, match="2 trials on one side only, such as x"):
        gate({"t": [0.5] * 3, "x": [0.5]}, {"t": [0.5] * 3, "y": [0.5]})


@pytest.mark.parametrize(
    "wrong",
    [
        *({"tolerance": value} for value in (-0.1, math.nan, math.inf)),
        *({"level": value} for value in (0, 0.6, 5, math.nan)),
        *({"resolutions": {"t": value}} for value in (-1, math.nan, math.inf)),
    ],
)
def test_parameters_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong)).rstrip("s")):
        gate({"t": [0.5] * 3}, {"t": [0.5] * 3}, **wrong)


@given(st.dictionaries(st.sampled_from("uvwxyz"), st.tuples(MEANS, MEANS), min_size=1), st.sampled_from([0.0, 0.05]), st.booleans())
def test_laws(pairs, tolerance, with_floor):
    a, b = ({trial: pair[side] for trial, pair in pairs.items()} for side in (0, 1))
    settings = {"tolerance": tolerance, "resolutions": dict.fromkeys(pairs, 1 / 600) if with_floor else None}
    found, swapped = gate(a, b, **settings), gate(b, a, **settings)
    opposite = {"worse": "better", "better": "worse"}
    lifted = gate(*({trial: np.add(means, 0.25) for trial, means in side.items()} for side in (a, b)), **settings)
    backwards = gate(*({trial: side[trial][::-1] for trial in reversed(side)} for side in (a, b)), **settings)
    for trial, verdict in found.items():
        mirror = swapped[trial]
        assert mirror.outcome == opposite.get(verdict.outcome, verdict.outcome)
        assert (mirror.low, mirror.high) == pytest.approx((-verdict.high, -verdict.low))
        assert (mirror.p_worse, mirror.p_better) == pytest.approx((verdict.p_better, verdict.p_worse))
        assert lifted[trial].p_worse == pytest.approx(verdict.p_worse, abs=1e-6)
        assert backwards[trial].p_worse == pytest.approx(verdict.p_worse, abs=1e-6)
        assert not any(math.isnan(value) for value in (verdict.low, verdict.high, verdict.p_worse, verdict.p_better))
        if verdict.high < -tolerance - 1e-9:
            assert verdict.outcome == "worse"
        if verdict.outcome == "worse":
            assert verdict.difference < -tolerance


def detectable(repeats_a, repeats_b, trials, level=0.05):
    """Return the smallest drop that a gate over so many trials finds, whose repeats have a standard deviation of 0.01."""
    means = [0.85 + 0.01 * math.sqrt((n - 1) / n) * np.resize([1, -1], n) for n in (repeats_a, repeats_b)]
    sides = [dict.fromkeys(map(str, range(trials)), side) for side in means]
    return gate(*sides, level=level)["0"].detectable_drop


@pytest.mark.parametrize(("repeats", "trials"), [((4, 4), 8), ((6, 6), 1), ((10, 4), 3)])
def test_the_drop_that_would_be_found_is_found_in_80_percent(repeats, trials):
    drop, degrees = detectable(*repeats, trials), sum(repeats) - 2
    scale = math.sqrt(1 / repeats[0] + 1 / repeats[1])
    random = np.random.default_rng(sum(repeats))
    difference = random.normal(drop, 0.01 * scale, 200_000)
    sd = 0.01 * np.sqrt(random.chisquare(degrees, 200_000) / degrees)
    found = difference / (sd * scale) > stats.t.isf(0.05 / trials, degrees)
    assert found.mean() == pytest.approx(0.8, abs=5 * math.sqrt(0.8 * 0.2 / 200_000))


def test_the_drop_that_would_be_found_follows_the_normal_law_for_many_repeats():
    expected = 0.01 * math.sqrt(2 / 5000) * (stats.norm.isf(0.05) + stats.norm.isf(0.2))
    assert detectable(5000, 5000, 1) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("repeats", "level"), [(2, 1e-3), (4, 1e-7), (4, 0.5)])
def test_the_drop_that_would_be_found_is_found_as_often_at_any_level(repeats, level):
    pairs = [{"t": np.resize([0.85, 0.85 + 0.01 * side], 2 * repeats)} for side in (1, -1)]
    verdict = gate(*pairs, designs={"t": "pairs"}, level=level)["t"]
    error = verdict.sd / math.sqrt(verdict.repeats_a)
    shifted = stats.nct.sf(stats.t.isf(level, verdict.degrees), verdict.degrees, verdict.detectable_drop / error)
    assert shifted == pytest.approx(0.8, abs=1e-6)
