from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from built_trials import rows_made
from numpy.typing import NDArray

from orchestrator.analysis.table import LIMITS, BrokenInterval, check_interval, check_intervals, tables
from orchestrator.analysis.tables.replay import REPLAY
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig

Noise = Callable[[int, int, float], NDArray[np.float64]]
MARGINAL = ("f1_micro", "f1_macro")


DECLARED = {name: one.columns for name, one in tables().items()} | {"replay": REPLAY}
OF_QUARTERS = {"cost_low_ns", "estimate_low_per_s"}
"""Of quarters the whole need not lie between least and largest; an estimate may lie outside the rates of its pilot."""


def test_every_interval_is_looked_at() -> None:
    for name, columns in DECLARED.items():
        names = {column.name for column in columns}
        limits = [found.groups() for column in columns if (found := LIMITS.search(column.form))]
        assert all({low, high} <= names for low, high in limits)
        lower = {one for one in names if re.search(r"(^|_)low(_|$)", one)} - OF_QUARTERS
        assert lower == {low for low, _ in limits}, name


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (
            "tail_quality",
            {"metric": "map", "slice": "all", "threshold": "p95", "interval_low": 0.0, "mean": 0.124, "interval_high": 0.1239},
        ),
        ("tail_quality", {"metric": "top1", "threshold": "p99", "ideal_low": 0.91, "ideal": 0.9, "ideal_high": 0.95}),
        ("latency", {"clock": "total", "percentile": 99.0, "interval_low_ns": None, "value_ns": 5, "interval_high_ns": None}),
        ("latency", {"clock": "total", "percentile": 99.0, "interval_low_ns": 4, "value_ns": None, "interval_high_ns": 5}),
        ("replay", {"metric": "top1", "threshold": "60 ms", "fallback_low": 0.0, "fallback_mean": 0.865, "fallback_high": 0.8}),
        ("comparison", {"scope": "this data set", "threshold": "50 ms", "interval_low": None, "difference": 0.1, "interval_high": 0.0}),
    ],
)
def test_an_interval_that_excludes_its_figure_is_an_error_that_names_it(table: str, row: dict[str, Any]) -> None:
    columns = DECLARED[table]
    whole = {"trial": "net-digits-r0", **dict.fromkeys(column.name for column in columns), **row}
    with pytest.raises(BrokenInterval, match=f"net-digits-r0 in {table} .*please report it"):
        check_intervals(table, columns, [whole])


@pytest.mark.parametrize("limits", [(0.5, 0.5, 0.5), (0.5 + 1e-12, 0.5, 0.7), (None, 0.5, None), (None, -3.0, 1.0), (4.0, 5.0, np.inf)])
def test_what_holds_passes(limits: tuple[float | None, float, float | None]) -> None:
    check_interval("a figure", *limits)


@pytest.mark.parametrize("metric", MARGINAL)
@pytest.mark.parametrize("rounds", [1, 2, 6, 30])
def test_late_wrong_answers_lift_the_mean_and_its_interval(build: Callable[..., TrialData], noise: Noise, metric: str, rounds: int) -> None:
    total = noise(rounds, 40, 20)
    total[:, 28:] *= np.where(np.random.default_rng(1).random((rounds, 12)) < 0.7, 5, 1)  # the wrong ones are slow
    data = build("cpu", total, right=28, metrics=(metric, "top1"))
    analysis = AnalysisConfig(seed=0, thresholds_ms=[40])
    rows = rows_made("tail_quality", [data], analysis, ())
    check_intervals("tail_quality", DECLARED["tail_quality"], rows)
    methods = {row["metric"]: set() for row in rows}
    for row in rows:
        methods[row["metric"]].add(row["interval_method"])
    assert methods[metric] <= {"t", "none"}
    assert "t" not in methods["top1"]
    [lifted] = [row for row in rows if (row["metric"], row["clock"], row["threshold"]) == (metric, "total", "40 ms")]
    if metric == "f1_micro":
        assert lifted["mean"] > lifted["ideal"]
        assert lifted["interval_high"] > lifted["ideal"]
