"""First inferences, peaks of memory and changed answers, each read from where it is stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from built_trials import rows_made
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.running.course import with_earlier
from orchestrator.storage.reader import open_campaign

NAN = np.nan
COLD = {"load_ns": 5, "first_inference_ns": 70, "first_total_ns": 90, "peak_memory_bytes": 1_000}
LATER = {"load_ns": 9, "first_inference_ns": 60, "first_total_ns": None, "peak_memory_bytes": 800}


def rows_of(*trials: TrialData) -> list[Any]:
    return rows_made("resources", trials)


def with_rounds(data: TrialData, **columns: list[float]) -> TrialData:
    return replace(data, evidence={name: np.array(values, dtype=float) for name, values in columns.items()})


def test_of_several_processes_the_largest_figures_count(build: Any) -> None:
    data = with_rounds(
        build("a", np.full((4, 6), 5.0), cold_start=with_earlier(COLD, LATER), placement={"at_end": {"peak_memory_bytes": 2_500}}),
        round=[0, 1, 2, 3], process=[0, 0, 1, 1], lead_in_first_ns=[40, 30, 80, NAN], resident_peak_bytes=[700, NAN, 2_000, 900],
        gpu_memory_bytes=[NAN, 3_000, 3_100, NAN], gpu_allocated_peak_bytes=[NAN] * 4, different_answers=[0, 2, 1, NAN],
    )  # fmt: skip
    [row] = rows_of(replace(data, different_answers=3, changed_samples=2))
    assert (row["load_ns"], row["first_inference_ns"], row["first_total_ns"]) == (9, 70, 90)
    assert (row["warm_first_ns"], row["paused_first_ns"]) == (80, 30)
    assert (row["resident_peak_bytes"], row["resident_round_peak_bytes"]) == (2_500, 2_000)
    assert (row["gpu_memory_peak_bytes"], row["gpu_allocated_peak_bytes"]) == (3_100, None)
    assert (row["changed_rounds"], row["changed_samples"], row["most_changed"]) == (2, 2, 2)
    assert (row["compared_with"], row["differing_samples"]) == (None, None)
    assert "answers change" in row["flags"]


def test_without_a_lead_in_the_round_itself_begins_warm(build: Any) -> None:
    total = np.arange(12.0).reshape(2, 6) + 1
    [row] = rows_of(with_rounds(build("a", total), round=[0, 1], process=[0, 0]))
    assert (row["warm_first_ns"], row["paused_first_ns"]) == (1_000_000, None)
    [batched] = rows_of(
        with_rounds(build("a", np.repeat(total[:, ::2], 2, axis=1), measurement={"batch": 2}), round=[0, 1], process=[0, 0])
    )
    assert batched["warm_first_ns"] == 1_000_000


def test_an_older_campaign_says_what_it_knows(build: Any) -> None:
    [row] = rows_of(build("a", np.full((3, 6), 5.0)))
    assert row["load_ns"] is row["first_total_ns"] is row["resident_peak_bytes"] is row["gpu_memory_peak_bytes"] is None
    assert (row["rounds"], row["samples"], row["changed_rounds"], row["warm_first_ns"]) == (3, 6, None, 5_000_000)


def test_cold_starts_of_earlier_processes_stand_in_order() -> None:
    first = with_earlier({}, COLD)
    assert first == COLD
    third = with_earlier(with_earlier(first, LATER), {"load_ns": 1})
    assert third == {"load_ns": 1, "earlier": [COLD, LATER]}


def test_a_measured_campaign_has_them_all(tmp_path: Path) -> None:
    results = analyse(open_campaign(measure_small(tmp_path / "small")), AnalysisConfig())
    first, second = results.tables["resources"].to_pylist()
    for row in (first, second):
        assert row["load_ns"] > 0
        assert row["first_total_ns"] > row["first_inference_ns"] > 0
        assert row["warm_first_ns"] > 0
        assert row["resident_peak_bytes"] >= row["resident_round_peak_bytes"] > 2**20
    assert second["compared_with"] == first["trial"]
    assert second["differing_samples"] == 2  # 2 is wrong there alone, 3 raises
