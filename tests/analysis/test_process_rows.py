from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, rows_made
from scipy import stats

from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.variance_components import Costs, best_split, variance_components

ANALYSIS = AnalysisConfig(thresholds_ms=(20.0,), primary="20 ms")
COLD = {"load_ns": 2_000_000_000, "warmup_rounds_ns": [500_000_000, 500_000_000]}
SPEEDS = (1.0, 1.05, 0.97, 1.1)


def repeats(noise: Any, rounds: int = 40, **more: Any) -> list[Any]:
    return [
        build_trial("a", speed * noise(rounds, 25, 20.0), right=20, repeat=number, cold_start=COLD, **more)
        for number, speed in enumerate(SPEEDS)
    ]


def rows_of(trials: list[Any]) -> list[Any]:
    return rows_made("processes", trials, ANALYSIS)


def test_components_and_costs_are_those_of_the_stored_rounds(noise: Any) -> None:
    trials = repeats(noise, rounds=40)
    [row] = [row for row in rows_of(trials) if row["primary"]]
    answers = [(data.times["total"] <= 20e6) * (np.arange(25) < 20) for data in trials]
    found = variance_components([table.mean(axis=1) for table in answers], None, answers)
    assert [row["process_sd"], row["round_sd"], row["sample_sd"]] == pytest.approx(np.sqrt([found.process, found.round, found.sample]))
    assert row["visit_sd"] is None
    round_s = np.mean([np.median(data.times["total"].sum(axis=1)) / 1e9 for data in trials])
    assert (row["process_s"], row["round_s"]) == (3.0, pytest.approx(round_s))
    means = [table.mean() for table in answers]
    assert row["process_long_run_sd"] ** 2 == pytest.approx(np.var(means, ddof=1) - row["long_run_sd"] ** 2 / 40)
    costs = Costs(row["process_long_run_sd"] ** 2, row["long_run_sd"] ** 2, 3.0, round_s)
    assert row["best_rounds"] == pytest.approx(costs.best_rounds)
    split = best_split([costs], (4 * 3.0 + 160 * round_s) * (1 + 1e-9))
    assert (row["split_processes"], row["split_rounds"]) == (split.processes, split.rounds)
    assert row["split_half_width"] == pytest.approx(split.half_width)
    assert split.half_width <= costs.half_width(4, 40)


def test_what_is_not_known_is_null(noise: Any) -> None:
    old = [build_trial("a", noise(40, 25, 20.0), repeat=number, metrics=("f1_macro",)) for number in range(3)]
    rows = rows_of(old)
    assert {(row["process_s"], row["sample_sd"], row["best_rounds"], row["split_processes"]) for row in rows} == {(None, None, None, None)}
    all_in_time = [build_trial("a", np.full((30, 10), 5.0), repeat=number, cold_start=COLD) for number in range(2)]
    [row] = [row for row in rows_of(all_in_time) if row["primary"]]
    assert (row["mean"], row["interval_high"], row["split_processes"]) == (1.0, 1.0, None)
    assert row["interval_low"] == pytest.approx(1 - stats.t.ppf(0.975, 1) / 300 / np.sqrt(2))
