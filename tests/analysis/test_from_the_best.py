"""The best system of each model against the others, at a level that its choice by the same rounds allows for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from built_trials import in_turns, rows_made
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.analysis.ranking import ties
from orchestrator.analysis.tables.comparison import FROM_BEST
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig

ANALYSIS = AnalysisConfig(seed=0, thresholds_ms=(21.0,))


def rows(trials: list[TrialData]) -> list[dict[str, Any]]:
    found = rows_made("comparison", in_turns(trials), ANALYSIS)
    return [row for row in found if row["threshold"] == "21 ms" and row["scope"] in FROM_BEST]


def test_each_system_is_compared_with_the_best_at_the_level_of_all_pairs(build: Any, noise: Any) -> None:
    times = {name: noise(30, 40, ms) for name, ms in (("slow", 22), ("fast", 19), ("middle", 20.5))}
    found = rows([build(name, each) for name, each in times.items()])
    quality = {f"net-{name}-r0": (each <= 21).reshape(15, -1).mean(axis=1) for name, each in times.items()}
    assert [row["baseline"] for row in found] == ["net-fast-r0"] * 2
    assert [row["trial"] for row in found] == ["net-middle-r0", "net-slow-r0"]
    for row in found:
        expected = stats.ttest_rel(quality[row["trial"]], quality["net-fast-r0"]).confidence_interval(1 - 0.05 / 3)
        assert (row["interval_low"], row["interval_high"]) == pytest.approx((expected.low, expected.high))
        assert row["scope"] == "best of this data set"


def test_one_system_alone_is_compared_with_nothing(build: Any, noise: Any) -> None:
    assert rows([build("fast", noise(30, 40, 19))]) == []


def test_of_equal_systems_a_loser_is_found_in_at_most_five_percent(build: Any) -> None:
    """With 95 % a pair, the best of six equal systems would beat another in about a third."""
    random = np.random.default_rng(3)
    wrong = 0
    for _ in range(40):
        trials = [build(f"s{number}", random.normal(20.5, 1, size=(24, 8))) for number in range(6)]
        wrong += any(row["interval_high"] < 0 for row in rows(trials))
    assert wrong <= 5  # of 40 at 5 %: 5 or fewer with a probability of 98.6 %


@given(st.lists(st.sampled_from([True, False, None])))
def test_a_tie_is_an_interval_of_the_ranking(shown_worse: list[bool | None]) -> None:
    """No member lies below a system outside it, and what follows it is shown worse or not tested."""
    kinds = list(ties(shown_worse))
    size = kinds.count("tied")
    assert kinds[:size] == ["tied"] * size
    assert kinds[size : size + 1] in ([], ["worse"], ["not tested"])
    for kind, worse in zip(kinds, shown_worse, strict=True):
        assert (kind == "worse", kind == "not tested") == (worse is True, worse is None)
