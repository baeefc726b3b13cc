from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.configuration.config import CampaignConfig, ClusterConfig
from orchestrator.contracts import InputError
from orchestrator.distributed.cluster import answers, open_joined
from orchestrator.machine.host import read_machine
from orchestrator.running.feasibility import why_stacks_differ


@pytest.mark.parametrize("address", ["somewhere", "127.0.0.1", "127.0.0.1:", "ray://127.0.0.1:10001", "a b:1"])
def test_an_address_is_host_and_port(address: str) -> None:
    assert not answers(address)


def test_where_nothing_answers_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 32)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert not answers(f"127.0.0.1:{port}")
        taken.listen()
        assert answers(f"127.0.0.1:{port}")
    with (
        pytest.raises(InputError, match=rf"cluster\.address=127\.0\.0\.1:{port}: nothing answers"),
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
