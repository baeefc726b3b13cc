import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from null_trials import null_trial
from refusals import refused

from orchestrator.configuration.config import CampaignConfig, ClusterConfig
from orchestrator.distributed.calls import is_alive
from orchestrator.distributed.cluster import answers, open_joined
from orchestrator.distributed.placement import gpus_to_reserve
from orchestrator.machine.host import own_identity, read_machine
from orchestrator.running.feasibility import why_stacks_differ


@pytest.mark.parametrize("address", ["somewhere", "127.0.0.1", "127.0.0.1:", "ray://127.0.0.1:10001", "a b:1"])
def test_an_address_is_host_and_port(address: str) -> None:
    assert not answers(address)


def test_an_address_where_nothing_answers_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 32)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert not answers(f"127.0.0.1:{port}")
        taken.listen()
        assert answers(f"127.0.0.1:{port}")
    with (
        refused("not_found", "cluster.address", f"127.0.0.1:{port}"),
        open_joined(CampaignConfig(cluster=ClusterConfig(name="address", address=f"127.0.0.1:{port}")), tmp_path),
    ):
        pass


def test_stacks_that_differ_are_named_with_host_and_version() -> None:
    one = replace(read_machine(), host="one", versions={"python": "3.11.1", "torch": "2.7"})
    assert why_stacks_differ([one, replace(one, host="two")]) is None
    assert why_stacks_differ([one, replace(one, host="two", versions={"python": "3.11.1", "torch": "2.8"})]) == (
        "one has torch 2.7 and two 2.8"
    )
    assert why_stacks_differ([one, replace(one, host="two", versions={"python": "3.11.1", "torch": "2.7", "driver": "550"})]) == (
        "one has driver none and two 550"
    )


@pytest.mark.parametrize(
    ("keys", "schedule", "count"),
    [
        ({}, "sequential", 4),
        ({"device": "cuda:2"}, "sequential", 1),
        ({"device": "GPU-12ab,GPU-34cd"}, "sequential", 2),
        ({"device": "cpu"}, "sequential", 0),
        ({}, "visits", 0),
        ({}, "interleaved", 0),
        ({"exclusive": False}, "sequential", 0),
    ],
)
def test_only_trials_that_run_one_after_another_reserve_their_gpus(keys: dict[str, Any], schedule: str, count: int) -> None:
    trial = null_trial(model={"several_gpus": True}, system={"device": "cuda:0,1,2,3", **keys}, measurement={"schedule": schedule})
    assert gpus_to_reserve(trial) == count


def test_which_process_lives() -> None:
    own = own_identity()
    assert is_alive(own)
    assert not is_alive(replace(own, created_s=1.0))
    with subprocess.Popen(["true"]) as ended:
        pass
    assert not is_alive(replace(own, pid=ended.pid))
