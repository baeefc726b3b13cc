"""First inferences, peaks of memory, changed answers, and the cost of a server."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built_trials import rows_made
from small_campaign import measure_small

from orchestrator.analysis.campaign_analysis import analyse
from orchestrator.analysis.tables.resources import medians, server_cost
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.running.course import with_earlier
from orchestrator.stats.times import Clock
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


class _Labelled:
    def __init__(self, trial_id: str, trial: Any) -> None:
        self.trial_id, self.trial = trial_id, trial

    def labels(self) -> dict[str, Any]:
        return {"trial": self.trial_id}


def _trial(model: str, asked: bool, **changes: Any) -> Any:
    from orchestrator.configuration.config import Trial

    server = {"name": "s", "url": "http://127.0.0.1:1"} if asked else {}
    blocks = {
        "model": {"name": f"served_{model}" if asked else model, "kind": "k", "target": "a:B", "runtimes": ["r"], **({"same_as": model} if asked else {})},
        "task": {"name": "t", "kind": "k", "target": "a:B"}, "system": {"name": "x"}, "runtime": {"name": "r", "asks_server": asked},
        "measurement": {},
        **({"server": server} if asked else {}),
    }  # fmt: skip
    for key, value in changes.items():
        blocks[key] = value if not isinstance(value, dict) else {**blocks.get(key, {}), **value}
    return Trial.model_validate(blocks)


class _Data:
    def __init__(self, trial_id: str, trial: Any, times: Any, predictions: list[Any]) -> None:
        self.trial_id, self.record, self.predictions = trial_id, _Labelled(trial_id, trial), predictions
        self.times = {Clock.TOTAL: np.array(times, dtype=float)}


class _Group:
    clock = Clock.TOTAL

    def __init__(self, *trials: _Data) -> None:
        self.trials = trials


IN = [[1e6, 2e6, 3e6]] * 4
OUT = [[2e6, 4e6, 5e6], [2e6, 3e6, 5e6], [2e6, 4e6, 6e6], [2e6, 5e6, np.inf]]


def test_a_served_trial_stands_against_that_of_its_model() -> None:
    group = _Group(
        _Data("inside", _trial("m", asked=False), IN, [1, 2, 3]),
        _Data("other model", _trial("n", asked=False), IN, [1, 2, 3]),
        _Data("other batch", _trial("m", asked=False, measurement={"batch": 2}), IN, [1, 2, 3]),
        _Data("other system", _trial("m", asked=False, system={"name": "y"}), IN, [1, 2, 3]),
        _Data("other repeat", _trial("m", asked=False, repeat=1), IN, [1, 2, 3]),
        _Data("served", _trial("m", asked=True), OUT, [1, 2, 4]),
    )
    (row,) = server_cost(Any, group)  # type: ignore[arg-type]
    assert (row["trial"], row["against"], row["clock"]) == ("served", "inside", "total")
    assert (row["different_answers"], row["samples"]) == (1, 3)
    assert (row["in_process_p50_ns"], row["served_p50_ns"], row["cost_p50_ns"]) == (2e6, 4e6, 2e6)
    # The longest of 12 has no answer.
    assert (row["in_process_p99_ns"], row["served_p99_ns"], row["cost_p99_ns"]) == (3e6, None, None)
    assert (row["cost_low_ns"], row["cost_high_ns"]) == (1e6, 3e6)


@pytest.mark.parametrize("rounds", [1, 3])
def test_few_rounds_are_not_divided(rounds: int) -> None:
    assert medians(np.array([[1.0, 2.0, 9.0]] * rounds)) == [2.0] * 4
