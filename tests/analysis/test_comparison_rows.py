"""Rows of comparison: pairs of visits and repeats, and the best system of each model against the others."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, in_turns, rows_made
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.analysis.ranking import ties
from orchestrator.analysis.tables.comparison import FROM_BEST, THIS_DATA_SET
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import common_cycles, common_repeats
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.pair import paired

ANALYSIS = AnalysisConfig(seed=0, thresholds_ms=(21.0,))
UNKNOWN = "no verdict: noise floor unknown"


def rows(trials: list[TrialData], analysis: AnalysisConfig = ANALYSIS) -> list[dict[str, Any]]:
    return [row for row in rows_made("comparison", trials, analysis) if row["scope"] not in FROM_BEST]


def test_trials_that_do_not_alternate_have_a_difference_and_nothing_else(noise: Any) -> None:
    times = {"fast": noise(30, 40, 19), "slow": noise(30, 40, 21)}
    found = [row for row in rows([build_trial(name, each) for name, each in times.items()]) if row["threshold"] == "21 ms"]
    quality = {name: (each <= 21).mean() for name, each in times.items()}
    for row in found:
        assert row["difference"] == pytest.approx(quality["slow"] - quality["fast"])
        assert (row["method"], row["interval_low"], row["interval_high"]) == ("none", None, None)
        assert row["verdict"] in (None, UNKNOWN)


def test_visits_of_one_cycle_are_paired_and_limits_are_possible_ones(noise: Any) -> None:
    times = {"fast": noise(30, 40, 19), "slow": noise(30, 40, 21)}
    found = rows(in_turns(build_trial(name, each) for name, each in times.items()))
    [row] = [row for row in found if (row["scope"], row["threshold"]) == ("this data set", "21 ms")]
    visits = {name: (each <= 21).reshape(15, -1).mean(axis=1) for name, each in times.items()}
    expected = paired(visits["fast"], visits["slow"])
    assert (row["trial"], row["baseline"], row["method"]) == ("net-slow-r0", "net-fast-r0", "paired t")
    assert row["difference"] == pytest.approx(visits["slow"].mean() - visits["fast"].mean())
    assert (row["interval_low"], row["interval_high"]) == pytest.approx((expected.low, expected.high))
    half = rows(in_turns([build_trial("a", noise(24, 2, 19), right=1), build_trial("b", noise(24, 2, 21), right=1)]))
    assert all(-0.5 <= row["interval_low"] <= row["difference"] <= row["interval_high"] <= 0.5 for row in half if row["interval_low"])


def repeats(noise: Any) -> list[TrialData]:
    times, slower = [noise(30, 100, 20) for _ in range(3)], [noise(30, 100, 23) for _ in range(3)]
    of_systems = (("a", times), ("b", slower), ("c", times[::-1]))
    return in_turns(build_trial(name, each, repeat=repeat) for name, of in of_systems for repeat, each in enumerate(of))


def test_repeats_that_alternate_bear_a_verdict(noise: Any) -> None:
    trials = repeats(noise)
    analysis = AnalysisConfig(seed=0, reference="net-a-r0")
    found = rows(trials, analysis)
    verdicts = {row["system"]: row for row in found if row["scope"] == "fresh processes"}
    assert {name: row["verdict"] for name, row in verdicts.items()} == {"b": "worse", "c": "no difference shown"}
    of = {row["trial"]: row["mean"] for row in found if row["scope"] == "this data set" and row["threshold"] == "p95"}
    before = [row["baseline_mean"] for row in found if (row["scope"], row["threshold"], row["system"]) == ("this data set", "p95", "b")]
    after = [of[f"net-b-r{number}"] for number in range(3)]
    limits = stats.ttest_rel(after, before).confidence_interval(1 - 0.05 / 2)
    assert verdicts["b"]["interval_low"] == pytest.approx(max(limits.low, -1))
    assert verdicts["b"]["interval_high"] == pytest.approx(limits.high)
    # Each repeat is compared with the baseline's repeat of the same number.
    pairs = {(row["trial"], row["baseline"]) for row in found if row["scope"] == "this data set"}
    assert ("net-b-r2", "net-a-r2") in pairs
    assert len(pairs) == 6


def test_repeats_of_one_system_after_those_of_another_bear_none(noise: Any) -> None:
    trials = repeats(noise)
    for data in trials:
        data.evidence["started_monotonic_ns"] += 1e19 * (data.record.trial.system.name == "b")
    assert common_repeats(trials[:3], trials[6:]) == [0, 1, 2]
    assert common_repeats(trials[:3], trials[3:6]) == []
    verdicts = {row["system"]: row for row in rows(trials, AnalysisConfig(reference="net-a-r0")) if row["scope"] == "fresh processes"}
    assert {name: row["verdict"] for name, row in verdicts.items()} == {"b": "no verdict: measured apart", "c": "no difference shown"}
    assert verdicts["b"]["interval_low"] is None


def rows_from_best(trials: list[TrialData]) -> list[dict[str, Any]]:
    found = rows_made("comparison", in_turns(trials), ANALYSIS)
    return [row for row in found if row["threshold"] == "21 ms" and row["scope"] in FROM_BEST]


def test_each_system_is_compared_with_the_best_at_the_level_of_all_pairs(noise: Any) -> None:
    times = {name: noise(30, 40, ms) for name, ms in (("slow", 22), ("fast", 19), ("middle", 20.5))}
    found = rows_from_best([build_trial(name, each) for name, each in times.items()])
    quality = {f"net-{name}-r0": (each <= 21).reshape(15, -1).mean(axis=1) for name, each in times.items()}
    assert [row["baseline"] for row in found] == ["net-fast-r0"] * 2
    assert [row["trial"] for row in found] == ["net-middle-r0", "net-slow-r0"]
    for row in found:
        expected = paired(quality["net-fast-r0"], quality[row["trial"]], confidence=1 - 0.05 / 3)
        assert (row["interval_low"], row["interval_high"]) == pytest.approx((expected.low, expected.high))
        assert row["scope"] == "best of this data set"


def test_of_equal_systems_a_loser_is_found_in_at_most_five_percent() -> None:
    """With 95 % a pair, the best of six equal systems would beat another in about a third."""
    random = np.random.default_rng(3)
    wrong = 0
    for _ in range(20):
        trials = [build_trial(f"s{number}", random.normal(20.5, 1, size=(24, 8))) for number in range(6)]
        wrong += any(row["interval_high"] < 0 for row in rows_from_best(trials))
    assert wrong <= 3  # of 20 at 5 %: 3 or fewer with a probability of 98.4 %


@given(st.lists(st.sampled_from([True, False, None])))
def test_a_tie_is_an_interval_of_the_ranking(shown_worse: list[bool | None]) -> None:
    """No member lies below a system outside it, and what follows it is shown worse or not tested."""
    kinds = list(ties(shown_worse))
    size = kinds.count("tied")
    assert kinds[:size] == ["tied"] * size
    assert kinds[size : size + 1] in ([], ["worse"], ["not tested"])
    for kind, worse in zip(kinds, shown_worse, strict=True):
        assert (kind == "worse", kind == "not tested") == (worse is True, worse is None)


AT_22_MS = AnalysisConfig(seed=0, thresholds_ms=(22.0,))


def of_this_data_set(trials: list[TrialData]) -> dict[str, Any]:
    found = rows_made("comparison", trials, AT_22_MS)
    [row] = [dict(row) for row in found if (row["scope"], row["threshold"]) == (THIS_DATA_SET, "22 ms")]
    return row


def begun(data: TrialData, cycle_s: float = 10, after_s: float = 0) -> TrialData:
    """Return a trial whose visits of one number begin every ``cycle_s``, from ``after_s`` on; 0.1 s a round."""
    visits = data.visits
    began = (after_s + cycle_s * visits + 0.1 * np.arange(visits.size)) * 1e9
    return replace(data, evidence=data.evidence | {"started_monotonic_ns": began})


def test_trials_that_were_measured_one_after_the_other_never_met(noise: Any) -> None:
    visits = np.repeat(np.arange(12), 5)
    trials = [build_trial(name, noise(60, 20, 20), visits=visits, placement={"boot_id": "one"}) for name in "ab"]
    met = [begun(data, after_s=after_s) for data, after_s in zip(trials, (0, 4), strict=True)]
    assert common_cycles(*met).tolist() == list(range(12))
    assert of_this_data_set(met)["method"] == "paired t"
    apart = [begun(data, after_s=after_s) for data, after_s in zip(trials, (0, 200), strict=True)]
    assert common_cycles(*apart).size == 0
    assert of_this_data_set(apart)["method"] == "none"
    assert common_cycles(met[0], trials[1]).size == 0


def test_visits_of_one_cycle_are_paired_on_one_machine(noise: Any) -> None:
    cycles = np.repeat(np.random.default_rng(1).normal(1, 0.1, 12), 5)[:, None]
    visits = np.repeat(np.arange(12), 5)
    sides = [noise(60, 20, ms) * cycles for ms in (20.0, 20.6)]
    trials = [begun(build_trial(name, times, visits=visits, placement={"boot_id": "one"})) for name, times in zip("ab", sides, strict=True)]
    together = of_this_data_set(trials)
    assert (together["method"], dict(together["parameters"])["units"]) == ("paired t", 12)
    elsewhere = [
        begun(build_trial(name, times, visits=visits, placement={"boot_id": name})) for name, times in zip("ab", sides, strict=True)
    ]
    assert of_this_data_set(elsewhere)["method"] == "none"
    assert together["difference"] == pytest.approx(of_this_data_set(elsewhere)["difference"])
