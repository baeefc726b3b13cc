"""A trial on several GPUs: which ones reserve them. test_ray_executor.py asks a Ray for some."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.configuration.config import Trial, parse_trial
from orchestrator.distributed.placement import gpus_to_reserve


def trial(device: str = "cuda:0,1,2,3", schedule: str = "sequential", exclusive: bool = True) -> Trial:
    return parse_trial(
        {
            "model": {
                "name": "sees",
                "kind": "image_classification",
                "target": "null_targets:SeesGpus",
                "runtimes": ["torch"],
                "several_gpus": True,
            },
            "task": {"name": "numbers", "kind": "image_classification", "target": "null_targets:Numbers", "count": 5},
            "system": {"name": "here", "cores": 1, "device": device, "exclusive": exclusive},
            "runtime": {"name": "torch"},
            "measurement": {"rule": "rounds", "min_rounds": 1, "max_rounds": 1, "schedule": schedule},
        }
    )


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({}, 4),
        ({"device": "cuda:2"}, 1),
        ({"device": "GPU-12ab,GPU-34cd"}, 2),
        ({"device": "cpu"}, 0),
        ({"schedule": "visits"}, 0),
        ({"schedule": "interleaved"}, 0),
        ({"exclusive": False}, 0),
    ],
)
def test_only_trials_that_run_one_after_another_reserve_their_gpus(keys: dict[str, Any], count: int) -> None:
    assert gpus_to_reserve(trial(**keys)) == count
