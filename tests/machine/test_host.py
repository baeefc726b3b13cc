from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.machine.cores import format_cores, parse_cores
from orchestrator.machine.host import read_machine


@given(st.sets(st.integers(0, 300)))
def test_cores_are_written_as_they_are_read(cores: set[int]) -> None:
    assert parse_cores(format_cores(cores)) == tuple(sorted(cores))


@pytest.mark.parametrize(("text", "cores"), [("", ()), ("0\n", (0,)), ("0-2,8,10-11\n", (0, 1, 2, 8, 10, 11))])
def test_core_lists_of_the_kernel(text: str, cores: tuple[int, ...]) -> None:
    assert parse_cores(text) == cores
    assert parse_cores(format_cores(cores)) == cores


def test_this_machine_has_the_cores_this_process_may_use() -> None:
    machine = read_machine()
    assert set(machine.cores) == set(os.sched_getaffinity(0))
    assert machine.memory_bytes > 2**28
    assert machine.labels == {}
    numbered = [device for device in machine.devices if device.startswith("cuda:")]
    assert numbered == [f"cuda:{index}" for index in range(len(numbered))]
