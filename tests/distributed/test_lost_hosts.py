"""What is lost with its host has one cause, whichever of the processes there finds out and when."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from lazily import Lazily

from orchestrator.machine.host import Identity, own_identity
from orchestrator.running.executor import SessionLost

pytestmark = pytest.mark.slow

calls = Lazily("orchestrator.distributed.calls")
exceptions = Lazily("ray.exceptions")

CUT, GONE, LIVES = None, False, True
"""What a host says that is asked whether a process of it lives."""


@pytest.fixture
def cause_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Ray gives a process of a host up, which then says one of the three."""
    said: list[bool | None] = []

    def get(reference: object, timeout: float | None = None) -> object:
        if reference == "round":
            raise exceptions.ActorUnavailableError("the connection is broken", None)
        if said[-1] is CUT:
            raise exceptions.GetTimeoutError
        return own_identity() if reference is own_identity else said[-1]

    def found(host: Any, says: bool | None) -> str:
        said.append(says)
        job = calls.RayJob("round", threading.Event(), lambda: host.has_lost(own_identity()))
        with pytest.raises(SessionLost) as lost:
            job.result(5.0)
        cause: str = lost.value.cause
        return cause

    monkeypatch.setattr("ray.get", get)
    monkeypatch.setattr("orchestrator.distributed.calls.on_node", lambda node, call, *arguments: call)
    return found


def test_after_a_cut_link_each_process_of_a_host_was_lost_with_it(cause_of: Callable[..., str]) -> None:
    host = calls.Host("node", is_own=False)
    assert cause_of(host, CUT) == "machine"
    assert cause_of(host, GONE) == "machine"  # its neighbour, found when the link is back
    assert not host.answers()
    assert cause_of(calls.Host("node", is_own=False), GONE) == "process"  # of the host that is back


def test_a_process_that_is_gone_was_killed_and_one_that_lives_was_not(cause_of: Callable[..., str]) -> None:
    assert cause_of(calls.Host("node", is_own=False), LIVES) == "machine"
    for is_own in (False, True):
        host = calls.Host("node", is_own)
        assert cause_of(host, GONE) == "process"
        assert host.answers()


def test_which_process_lives() -> None:
    assert calls.is_alive(own_identity())
    assert not calls.is_alive(replace(own_identity(), created_s=1.0))
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert not calls.is_alive(Identity(ended.pid, "here", own_identity().boot_id, own_identity().created_s))
