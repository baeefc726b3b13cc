from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from built_trials import rows_made
from numpy.typing import NDArray

from orchestrator.configuration.analysis import AnalysisConfig, ToleranceConfig
from orchestrator.stats.tail_quality import quality_curve

Noise = Callable[[int, int, float], NDArray[np.float64]]
LAW = AnalysisConfig(tolerance=ToleranceConfig(points_ms=(9, 11), weights=(1, 3)))


def rows_of(trials: list[Any], analysis: AnalysisConfig = LAW) -> list[Any]:
    return rows_made("tolerance", trials, analysis)


def test_without_a_law_there_is_no_row(build: Any, noise: Noise) -> None:
    assert rows_of([build("a", noise(8, 9, 10))], AnalysisConfig()) == []


def test_one_trial_has_a_row_per_clock_with_its_interval(build: Any, noise: Noise) -> None:
    total = noise(40, 30, 10)
    rows = {row["clock"]: row for row in rows_of([build("a", total, right=24)])}
    assert set(rows) == {"total", "inference"}
    scores = np.repeat([1.0, 0.0], [24, 6])
    expected = np.array([0.25, 0.75]) @ quality_curve(scores, total * 1e6, [9e6, 11e6])
    row = rows["total"]
    assert row["mean"] == pytest.approx(expected.mean())
    assert row["worst"] == pytest.approx(expected.min())
    assert row["sd"] == pytest.approx(expected.std(ddof=1))
    assert row["interval_low"] < row["mean"] < row["interval_high"]
    assert (row["processes"], row["rounds"], row["method"], row["tolerance"]) == (1, 40, "exact", "2 points from 9 to 11 ms")
    assert rows["inference"]["mean"] == pytest.approx(0.8)  # half as long: nothing is late for anybody


def test_repeats_have_one_row_with_the_interval_over_processes(build: Any, noise: Noise) -> None:
    trials = [build("a", noise(20, 30, 10 + repeat / 5), repeat=repeat) for repeat in range(3)]
    [row] = [row for row in rows_of(trials) if row["clock"] == "total"]
    assert (row["processes"], row["rounds"], row["interval_unit"], row["trial"]) == (3, 60, "processes", "net-a-r0")
    alone = [next(row for row in rows_of([trial]) if row["clock"] == "total")["mean"] for trial in trials]
    assert row["mean"] == pytest.approx(np.mean(alone))


def test_a_metric_that_is_no_mean_says_how_it_was_read(build: Any, noise: Noise) -> None:
    analysis = AnalysisConfig(tolerance=ToleranceConfig(median_ms=10, p95_ms=20))
    rows = rows_of([build("a", noise(8, 12, 10), right=9, metrics=("f1_macro",))], analysis)
    assert {row["method"] for row in rows} == {"100 tolerances"}
    assert all(row["interval_low"] <= row["mean"] <= row["interval_high"] for row in rows)
