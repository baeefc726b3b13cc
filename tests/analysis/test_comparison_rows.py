from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from orchestrator.stats.comparison import compare_many_samples
from scipy import stats

from orchestrator.analysis import comparison
from orchestrator.analysis.campaign_analysis import FORMS
from orchestrator.analysis.comparison import comparison_rows, contests_of
from orchestrator.analysis.groups import grouped
from orchestrator.analysis.late_answers import on_time_scores
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.thresholds import Threshold

ANALYSIS = AnalysisConfig(seed=0, thresholds_ms=(21.0,))


def rows(trials: list[TrialData], analysis: AnalysisConfig = ANALYSIS) -> list[dict[str, Any]]:
    return list(comparison_rows([one for group in grouped(trials, analysis) for one in contests_of(group)], analysis))


def test_every_system_is_compared_with_one_baseline(build: Any, noise: Any) -> None:
    slow, middle, fast = (build(name, noise(30, 40, ms)) for name, ms in (("slow", 24), ("middle", 20), ("fast", 16)))
    found = rows([slow, middle, fast])
    assert all(set(row) == set(FORMS["comparison"].names) for row in found)
    assert {row["baseline"] for row in found} == {"net-middle-r0"}
    assert {row["trial"] for row in found} == {"net-slow-r0", "net-fast-r0"}
    assert {row["scope"] for row in found} == {"this data set", "samples like these", "fresh processes"}


def test_the_difference_over_rounds_is_welchs(build: Any, noise: Any) -> None:
    times = {"fast": noise(30, 40, 19), "slow": noise(35, 40, 21)}
    found = rows([build(name, each) for name, each in times.items()])
    [row] = [row for row in found if (row["scope"], row["threshold"]) == ("this data set", "21 ms")]
    quality = {name: (each <= 21).mean(axis=1) for name, each in times.items()}
    expected = stats.ttest_ind(quality["slow"], quality["fast"], equal_var=False).confidence_interval()
    assert (row["trial"], row["baseline"]) == ("net-slow-r0", "net-fast-r0")
    assert row["difference"] == pytest.approx(quality["slow"].mean() - quality["fast"].mean())
    assert (row["interval_low"], row["interval_high"]) == pytest.approx((expected.low, expected.high))


def test_samples_like_these_say_less_than_these_samples(build: Any, noise: Any) -> None:
    hard = np.where(np.arange(40) % 4 == 0, 1.4, 1.0)
    found = rows([build("fast", noise(30, 40, 15) * hard), build("slow", noise(30, 40, 19) * hard)])
    width = {
        row["scope"]: row["interval_high"] - row["interval_low"] for row in found if row["threshold"] == "21 ms" and row["interval_low"]
    }
    assert width["samples like these"] > width["this data set"]


def test_of_many_answers_the_baseline_is_looked_at_once_and_nothing_else_is_found(
    build: Any, noise: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "MANY_ANSWERS", 1)
    trials = {data.trial_id: data for data in (build(name, noise(30, 40, ms)) for name, ms in (("slow", 24), ("middle", 20), ("fast", 16)))}
    found = [row for row in rows(list(trials.values())) if row["scope"] == "samples like these"]
    assert len(found) > 8
    for row in found:
        threshold = Threshold(row["threshold"], row["threshold_ns"], "absolute")
        scores = on_time_scores([trials[row["baseline"]]], [trials[row["trial"]]], threshold)
        assert scores is not None
        wanted = compare_many_samples(*scores)
        assert (row["difference"], row["interval_low"], row["interval_high"]) == (wanted.difference, *finite(wanted.low, wanted.high))
        assert row["parameters"] == {"confidence": 0.95, **wanted.parameters}


def finite(*limits: float) -> list[float | None]:
    return [limit if np.isfinite(limit) else None for limit in limits]


def test_without_repeats_there_is_no_verdict(build: Any, noise: Any) -> None:
    found = rows([build("a", noise(30, 20, 20)), build("b", noise(30, 20, 30))])
    [row] = [row for row in found if row["scope"] == "fresh processes"]
    assert row["verdict"] == "no verdict: noise floor unknown"
    assert (row["interval_low"], row["interval_high"]) == (None, None)


def test_repeats_bear_a_verdict(build: Any, noise: Any) -> None:
    times = [noise(30, 100, 20) for _ in range(3)]
    slower = [noise(30, 100, 23) for _ in range(3)]
    trials = [
        build(name, each, repeat=repeat) for name, of in (("a", times), ("b", slower), ("c", times[::-1])) for repeat, each in enumerate(of)
    ]
    analysis = AnalysisConfig(seed=0, reference="net-a-r0")
    found = rows(trials, analysis)
    verdicts = {row["system"]: row["verdict"] for row in found if row["scope"] == "fresh processes"}
    assert verdicts == {"b": "worse", "c": "no difference shown"}
    # Each repeat is compared with the baseline's repeat of the same number.
    pairs = {(row["trial"], row["baseline"]) for row in found if row["scope"] == "this data set"}
    assert ("net-b-r2", "net-a-r2") in pairs
    assert len(pairs) == 6


def test_models_are_not_compared_with_each_other(build: Any, noise: Any) -> None:
    assert rows([build("a", noise(30, 20, 20)), build("a", noise(30, 20, 30), model="other")]) == []


def test_equal_seeds_give_equal_rows(build: Any, noise: Any) -> None:
    trials = [build("a", noise(30, 20, 20)), build("b", noise(30, 20, 22))]
    assert repr(rows(trials)) == repr(rows(trials))
