"""First inferences, peaks of memory, changed answers, and the cost of a server."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from built_trials import build_trial, rows_made

from orchestrator.analysis.tables.resources import medians, server_cost
from orchestrator.analysis.trial_data import TrialData
from orchestrator.running.course import with_earlier
from orchestrator.stats.times import Clock

NAN = np.nan
COLD = {"load_ns": 5, "first_inference_ns": 70, "first_total_ns": 90, "peak_memory_bytes": 1_000}
LATER = {"load_ns": 9, "first_inference_ns": 60, "first_total_ns": None, "peak_memory_bytes": 800}


def rows_of(*trials: TrialData) -> list[Any]:
    return rows_made("resources", trials)


def with_rounds(data: TrialData, **columns: list[float]) -> TrialData:
    return replace(data, evidence={name: np.array(values, dtype=float) for name, values in columns.items()})


def test_of_several_processes_the_largest_figures_count() -> None:
    data = with_rounds(
        build_trial("a", np.full((4, 6), 5.0), cold_start=with_earlier(COLD, LATER), placement={"at_end": {"peak_memory_bytes": 2_500}}),
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


IN = np.array([[1.0, 2, 3]] * 4)
OUT = np.array([[2, 4, 5], [2, 3, 5], [2, 4, 6], [2, 5, np.inf]])
SERVED = {
    "model": {"name": "served", "same_as": "net"}, "runtime": {"asks_server": True}, "server": {"name": "s", "url": "http://127.0.0.1:1"},
}  # fmt: skip


def test_a_served_trial_stands_against_that_of_its_model() -> None:
    trials = [
        build_trial("one", IN, trial_id="inside"),
        build_trial("one", IN, trial_id="other model", model="other"),
        build_trial("one", IN, trial_id="other batch", measurement={"batch": 2}),
        build_trial("two", IN, trial_id="other system"),
        build_trial("one", IN, trial_id="other repeat", repeat=1),
        build_trial("one", OUT, trial_id="served", blocks=SERVED, right=2),
    ]
    group: Any = SimpleNamespace(clock=Clock.TOTAL, trials=trials)
    (row,) = server_cost(Any, group)
    assert (row["trial"], row["against"], row["clock"]) == ("served", "inside", "total")
    assert (row["different_answers"], row["samples"]) == (1, 3)
    assert (row["in_process_p50_ns"], row["served_p50_ns"], row["cost_p50_ns"]) == (2e6, 4e6, 2e6)
    # The longest of 12 has no answer.
    assert (row["in_process_p99_ns"], row["served_p99_ns"], row["cost_p99_ns"]) == (3e6, None, None)
    assert (row["cost_low_ns"], row["cost_high_ns"]) == (1e6, 3e6)


@pytest.mark.parametrize("rounds", [1, 3])
def test_few_rounds_are_not_divided(rounds: int) -> None:
    assert medians(np.array([[1.0, 2.0, 9.0]] * rounds)) == [2.0] * 4
