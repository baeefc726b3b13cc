"""What a server costs: which trials are set against each other, and the figures by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.tables.resources import medians, server_cost
from orchestrator.stats.times import Clock


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


def test_without_both_there_is_nothing_to_say() -> None:
    assert not list(server_cost(Any, _Group(_Data("inside", _trial("m", asked=False), IN, [1, 2, 3]))))  # type: ignore[arg-type]
    assert not list(server_cost(Any, _Group(_Data("served", _trial("m", asked=True), OUT, [1, 2, 3]))))  # type: ignore[arg-type]


@pytest.mark.parametrize("rounds", [1, 3])
def test_few_rounds_are_not_divided(rounds: int) -> None:
    assert medians(np.array([[1.0, 2.0, 9.0]] * rounds)) == [2.0] * 4
