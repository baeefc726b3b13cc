"""A trial on several GPUs: what is asked of a Ray whose node declares four, on a machine that need not have any."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.configuration.config import CampaignConfig, Trial, parse_trial
from orchestrator.contracts import InputError
from orchestrator.distributed.cluster import open_local_executor
from orchestrator.distributed.placement import gpus_to_reserve
from orchestrator.execution.executor import Executor

SUPPORT = Path(__file__).parents[1] / "support" / "code"
FOUR = "cuda:0,1,2,3"


def trial(device: str = FOUR, schedule: str = "sequential", exclusive: bool = True, target: str = "null_targets:SeesGpus") -> Trial:
    return parse_trial(
        {
            "model": {"name": "sees", "kind": "image_classification", "target": target, "runtimes": ["torch"], "several_gpus": True},
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


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    """Yield the executor over a Ray of this machine that believes in four GPUs."""
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"GPU": 4}')
    with open_local_executor(CampaignConfig(code=(str(SUPPORT),)), tmp_path) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.cluster
def test_a_trial_is_given_four_gpus_of_one_node_and_sees_them_in_its_order(executor: Executor) -> None:
    import ray

    session = executor.open(trial("cuda:3,1,2,0"), "t-r0", 0)
    try:
        assert session.identify().result(60).pid != os.getpid()
        assert ray.available_resources().get("GPU", 0) == 0
        with pytest.raises(InputError, match=r"^sees CUDA_VISIBLE_DEVICES=3,1,2,0 in the order PCI_BUS_ID, cuda:0 of 4$"):
            session.prepare().result(60)
    finally:
        session.close()
    with pytest.raises(InputError, match=r"Ray knows of 4 GPUs of .* and is to keep 5; start it there with --num-gpus=5 or more"):
        executor.open(trial(f"{FOUR},4"), "t-r0", 0)
