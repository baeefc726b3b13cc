"""A process's first answers: those of its warm-up, and of samples that shared a batch with one that the model raises on."""

from pathlib import Path
from typing import Any

import pytest
from null_trials import null_trial

from orchestrator.measurement.worker import Worker


@pytest.mark.parametrize(
    ("varies", "unanswered"),
    [
        ({"load": {"name": "periodic", "rate_per_s": 50}}, {5}),
        ({"measurement": {"order": "shuffled"}}, {5}),
        ({}, {4, 5, 6, 7}),
    ],
    ids=["under load", "shuffled", "the same batches in every round"],
)
def test_who_shared_a_batch_with_a_failing_sample_is_asked_alone(
    null_targets: Path, tmp_path: Path, varies: dict[str, Any], unanswered: set[int]
) -> None:
    blocks = {**varies, "measurement": {"batch": 4, "max_errors": 99, **varies.get("measurement", {})}}
    trial = null_trial(model={"wrong": [7], "raises_on": [5]}, task={"count": 10}, **blocks)
    found = Worker(trial, 0, tmp_path / "stamps", tmp_path, pin=False).prepare().samples.column("prediction").to_pylist()
    assert {sample for sample, answer in enumerate(found) if answer is None} == unanswered
    assert all(answer is None or answer[0] == (8 if sample == 7 else sample) for sample, answer in enumerate(found))
