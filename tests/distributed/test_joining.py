from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.contracts import InputError
from orchestrator.distributed.cluster import answers, joined_ray, prepare_environment, why_not_joined
from orchestrator.machine.host import read_machine
from orchestrator.running.feasibility import why_stacks_differ


@pytest.mark.parametrize("address", ["somewhere", "10.0.0.1", ":6379", "10.0.0.1:", "ray://10.0.0.1:10001", "a b:1"])
def test_an_address_is_host_and_port(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be HOST:PORT"), joined_ray(address, tmp_path):
        pass


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
        joined_ray(f"127.0.0.1:{port}", tmp_path),
    ):
        pass


@pytest.mark.cluster
@pytest.mark.parametrize("host", ["10.0.0.7:1234", "node 10.0.0.7"])
def test_another_version_is_told_with_both_versions(host: str) -> None:
    """The complaint is Ray's own, about a cluster of another version."""
    prepare_environment()  # what Ray reads when it is first imported
    from ray._private.utils import check_version_info

    with pytest.raises(RuntimeError) as complaint:
        check_version_info({"ray_version": "2.1.0", "python_version": "3.8.1"}, host)
    told = why_not_joined(complaint.value)
    assert told.startswith(f"the cluster runs Ray 2.1.0 on Python 3.8.1, and this process on {host.split()[-1]} Ray ")
    assert "\n" not in told


def test_stacks_that_differ_are_named_with_host_and_version() -> None:
    one = replace(read_machine(), host="one", versions={"python": "3.11.1", "torch": "2.7"})
    assert why_stacks_differ([one, replace(one, host="two")]) is None
    assert why_stacks_differ([one, replace(one, host="two", versions={"python": "3.11.1", "torch": "2.8"})]) == (
        "one has torch 2.7 and two 2.8"
    )
    assert why_stacks_differ([one, replace(one, host="two", versions={"python": "3.11.1", "torch": "2.7", "driver": "550"})]) == (
        "one has driver none and two 550"
    )
