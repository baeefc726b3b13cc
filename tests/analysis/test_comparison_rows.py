from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from built_trials import in_turns, rows_made
from scipy import stats

from orchestrator.analysis.table import tables
from orchestrator.analysis.tables.comparison import FROM_BEST
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import common_repeats, on_time_scores
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.pair import answered, compare_answered
from orchestrator.stats.thresholds import Threshold

ANALYSIS = AnalysisConfig(seed=0, thresholds_ms=(21.0,))
UNKNOWN = "no verdict: noise floor unknown"


def rows(trials: list[TrialData], analysis: AnalysisConfig = ANALYSIS) -> list[dict[str, Any]]:
    return [row for row in rows_made("comparison", trials, analysis) if row["scope"] not in FROM_BEST]


def test_every_system_is_compared_with_one_baseline(build: Any, noise: Any) -> None:
    slow, middle, fast = (build(name, noise(30, 40, ms)) for name, ms in (("slow", 24), ("middle", 20), ("fast", 16)))
    found = rows([slow, middle, fast])
    assert all(set(row) == set(tables()["comparison"].schema.names) for row in found)
    assert {row["baseline"] for row in found} == {"net-middle-r0"}
    assert {row["trial"] for row in found} == {"net-slow-r0", "net-fast-r0"}
    assert {row["scope"] for row in found} == {"this data set", "samples like these", "fresh processes"}


def test_trials_that_do_not_alternate_have_a_difference_and_nothing_else(build: Any, noise: Any) -> None:
    times = {"fast": noise(30, 40, 19), "slow": noise(30, 40, 21)}
    found = [row for row in rows([build(name, each) for name, each in times.items()]) if row["threshold"] == "21 ms"]
    quality = {name: (each <= 21).mean() for name, each in times.items()}
    for row in found:
        assert row["difference"] == pytest.approx(quality["slow"] - quality["fast"])
        assert (row["method"], row["interval_low"], row["interval_high"]) == ("none", None, None)
        assert row["verdict"] in (None, UNKNOWN)


def test_visits_of_one_cycle_are_paired_and_limits_are_possible_ones(build: Any, noise: Any) -> None:
    times = {"fast": noise(30, 40, 19), "slow": noise(30, 40, 21)}
    found = rows(in_turns(build(name, each) for name, each in times.items()))
    [row] = [row for row in found if (row["scope"], row["threshold"]) == ("this data set", "21 ms")]
    visits = {name: (each <= 21).reshape(15, -1).mean(axis=1) for name, each in times.items()}
    expected = stats.ttest_rel(visits["slow"], visits["fast"]).confidence_interval()
    assert (row["trial"], row["baseline"], row["method"]) == ("net-slow-r0", "net-fast-r0", "paired t")
    assert row["difference"] == pytest.approx(visits["slow"].mean() - visits["fast"].mean())
    assert (row["interval_low"], row["interval_high"]) == pytest.approx((expected.low, expected.high))
    half = rows(in_turns([build("a", noise(24, 2, 19), right=1), build("b", noise(24, 2, 21), right=1)]))
    assert all(-0.5 <= row["interval_low"] <= row["difference"] <= row["interval_high"] <= 0.5 for row in half if row["interval_low"])


def test_samples_like_these_say_less_than_these_samples(build: Any, noise: Any) -> None:
    hard = np.where(np.arange(40) % 4 == 0, 1.4, 1.0)
    trials = in_turns([build("fast", noise(30, 40, 15) * hard), build("slow", noise(30, 40, 19) * hard)])
    found = {row["scope"]: row for row in rows(trials) if row["threshold"] == "21 ms"}
    width = {scope: row["interval_high"] - row["interval_low"] for scope, row in found.items() if row["interval_low"]}
    assert width["samples like these"] > width["this data set"]
    scores = on_time_scores([trials[0]], [trials[1]], Threshold("21 ms", 21_000_000, "absolute"))
    assert scores is not None
    wanted, row = compare_answered(*map(answered, scores)), found["samples like these"]
    assert (row["difference"], row["interval_low"], row["interval_high"]) == (wanted.difference, wanted.low, wanted.high)


def test_without_repeats_there_is_no_verdict(build: Any, noise: Any) -> None:
    found = rows(in_turns([build("a", noise(30, 20, 20)), build("b", noise(30, 20, 30))]))
    [row] = [row for row in found if row["scope"] == "fresh processes"]
    assert (row["verdict"], row["interval_low"], row["interval_high"]) == (UNKNOWN, None, None)


def repeats(build: Any, noise: Any) -> list[TrialData]:
    times, slower = [noise(30, 100, 20) for _ in range(3)], [noise(30, 100, 23) for _ in range(3)]
    of_systems = (("a", times), ("b", slower), ("c", times[::-1]))
    return in_turns(build(name, each, repeat=repeat) for name, of in of_systems for repeat, each in enumerate(of))


def test_repeats_that_alternate_bear_a_verdict(build: Any, noise: Any) -> None:
    trials = repeats(build, noise)
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


def test_repeats_of_one_system_after_those_of_another_bear_none(build: Any, noise: Any) -> None:
    trials = repeats(build, noise)
    for data in trials:
        data.evidence["started_monotonic_ns"] += 1e19 * (data.record.trial.system.name == "b")
    assert common_repeats(trials[:3], trials[6:]) == [0, 1, 2]
    assert common_repeats(trials[:3], trials[3:6]) == []
    verdicts = {row["system"]: row for row in rows(trials, AnalysisConfig(reference="net-a-r0")) if row["scope"] == "fresh processes"}
    assert {name: row["verdict"] for name, row in verdicts.items()} == {"b": "no verdict: measured apart", "c": "no difference shown"}
    assert verdicts["b"]["interval_low"] is None


def test_repeats_that_are_loaded_together_alternate_in_their_visits(build: Any, noise: Any) -> None:
    trials = [build(name, noise(30, 20, 20), repeat=repeat) for name in "ab" for repeat in range(3)]
    order = [0, 4, 2, 5, 1, 3]
    at_once = in_turns(trials)
    for data, place in zip(at_once, order, strict=True):
        data.evidence["started_monotonic_ns"] -= 1e15 * data.record.trial.repeat - 1e9 * place
    assert common_repeats(at_once[:3], at_once[3:]) == [0, 1, 2]


def test_models_are_not_compared_with_each_other(build: Any, noise: Any) -> None:
    assert rows([build("a", noise(30, 20, 20)), build("a", noise(30, 20, 30), model="other")]) == []
