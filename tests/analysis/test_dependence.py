from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from built_trials import rows_made

from orchestrator.analysis.tables.comparison import THIS_DATA_SET
from orchestrator.analysis.trial_data import TrialData
from orchestrator.analysis.turns import common_cycles
from orchestrator.configuration.analysis import AnalysisConfig

ANALYSIS = AnalysisConfig(seed=0, thresholds_ms=(22.0,))
SPELLS = np.repeat([1.0, 1.2], 10)


def slow_spells(noise: Any, rounds: int) -> np.ndarray:
    """Half of the rounds at a slower speed, ten in a row."""
    times: np.ndarray = noise(rounds, 20, 20) * np.resize(SPELLS, rounds)[:, None]
    return times


def of_this_data_set(trials: list[TrialData]) -> dict[str, Any]:
    found = rows_made("comparison", trials, ANALYSIS)
    [row] = [dict(row) for row in found if (row["scope"], row["threshold"]) == (THIS_DATA_SET, "22 ms")]
    return row


def begun(data: TrialData, cycle_s: float = 10, after_s: float = 0) -> TrialData:
    """Return a trial whose visits of one number begin every ``cycle_s``, from ``after_s`` on; 0.1 s a round."""
    visits = data.visits
    assert visits is not None
    began = (after_s + cycle_s * visits + 0.1 * np.arange(visits.size)) * 1e9
    return replace(data, evidence=data.evidence | {"started_monotonic_ns": began})


def test_trials_that_were_measured_one_after_the_other_never_met(build: Any, noise: Any) -> None:
    visits = np.repeat(np.arange(12), 5)
    trials = [build(name, noise(60, 20, 20), visits=visits, placement={"boot_id": "one"}) for name in "ab"]
    met = [begun(data, after_s=after_s) for data, after_s in zip(trials, (0, 4), strict=True)]
    assert common_cycles(*met).tolist() == list(range(12))
    assert of_this_data_set(met)["method"] == "paired t"
    apart = [begun(data, after_s=after_s) for data, after_s in zip(trials, (0, 200), strict=True)]
    assert common_cycles(*apart).size == 0
    assert of_this_data_set(apart)["method"] == "none"
    assert common_cycles(met[0], trials[1]).size == 0


def test_visits_of_one_cycle_are_paired_on_one_machine(build: Any, noise: Any) -> None:
    cycles = np.repeat(np.random.default_rng(1).normal(1, 0.1, 12), 5)[:, None]
    visits = np.repeat(np.arange(12), 5)
    sides = [noise(60, 20, ms) * cycles for ms in (20.0, 20.6)]
    trials = [begun(build(name, times, visits=visits, placement={"boot_id": "one"})) for name, times in zip("ab", sides, strict=True)]
    paired = of_this_data_set(trials)
    assert (paired["method"], dict(paired["parameters"])["units"]) == ("paired t", 12)
    elsewhere = [begun(build(name, times, visits=visits, placement={"boot_id": name})) for name, times in zip("ab", sides, strict=True)]
    assert of_this_data_set(elsewhere)["method"] == "none"
    assert paired["difference"] == pytest.approx(of_this_data_set(elsewhere)["difference"])


def test_cycles_that_one_trial_missed_have_no_pair(build: Any, noise: Any) -> None:
    long, short = np.repeat(np.arange(16), 5), np.repeat([0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 13, 14], 5)
    trials = [
        begun(build(name, noise(visits.size, 20, 20), visits=visits, placement={"boot_id": "one"}))
        for name, visits in (("a", long), ("b", short))
    ]
    assert dict(of_this_data_set(trials)["parameters"])["units"] == 12
    few = [begun(build("a", noise(80, 20, 20), visits=long, placement={"boot_id": "one"}))]
    few.append(begun(build("b", noise(55, 20, 20), visits=short[:55], placement={"boot_id": "one"})))
    assert of_this_data_set(few)["method"] == "none"
