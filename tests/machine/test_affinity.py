from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contracts import InputError
from orchestrator.machine.cores import ThreadMask, allowed_cores, check_pinning, choose_cores

PIN_IN_A_FRESH_PROCESS = """
import json, threading, time
from orchestrator.machine import cores as affinity
before = threading.Event()
old = threading.Thread(target=before.wait, daemon=True); old.start()
allowed = affinity.allowed_cores()
cores = affinity.choose_cores(1, allowed)
affinity.pin(cores)
new = threading.Thread(target=before.wait, daemon=True); new.start()
masks = {thread.tid: thread.cores for thread in affinity.read_threads()}
computing = affinity.check_pinning(cores, allowed, affinity.read_threads())
print(json.dumps({"cores": cores, "allowed": allowed, "main": masks[threading.get_native_id()], "old": masks[old.native_id],
                  "new": masks[new.native_id], "computing": [thread.tid for thread in computing], "old_tid": old.native_id}))
"""


def test_a_number_takes_the_highest_cores() -> None:
    assert choose_cores(2, (0, 1, 4, 7)) == (4, 7)
    assert choose_cores(None, (3, 1)) == (1, 3)
    assert choose_cores([7, 0], (0, 1, 4, 7)) == (0, 7)


@pytest.mark.parametrize("wanted", [3, [0, 9], []])
def test_cores_that_are_not_there_are_refused(wanted: int | list[int]) -> None:
    with pytest.raises(InputError, match=r"^system\.cores=.*this machine allows"):
        choose_cores(wanted, (0, 1))


@given(st.sets(st.integers(0, 300), min_size=1), st.data())
def test_chosen_cores_are_allowed_and_as_many_as_asked(allowed: set[int], data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, len(allowed)))
    chosen = choose_cores(wanted, allowed)
    assert len(chosen) == wanted
    assert set(chosen) <= allowed
    assert max(chosen) == max(allowed)


def test_a_thread_on_a_strange_core_is_an_error() -> None:
    threads = [ThreadMask(1, "main", (1,), 0), ThreadMask(2, "pool", (0, 1), 0)]
    with pytest.raises(InputError, match=r"thread pool \(2\) runs on cores 0-1 and not on 1"):
        check_pinning((1,), (0, 1, 2), threads)


def test_threads_on_the_other_cores_do_not_compute() -> None:
    threads = [ThreadMask(1, "main", (1,), 0), ThreadMask(2, "ray", (0, 2), 0)]
    assert [thread.tid for thread in check_pinning((1,), (0, 1, 2), threads)] == [1]


def test_the_measuring_thread_may_not_sit_on_the_other_cores() -> None:
    threads = [ThreadMask(1, "main", (0, 2), 10**9), ThreadMask(2, "ray", (0, 2), 0)]
    with pytest.raises(InputError, match=r"thread main \(1\) runs on cores 0,2 and not on 1"):
        check_pinning((1,), (0, 1, 2), threads, moved=(2,), measuring=1)


def test_a_busy_thread_on_the_other_cores_computes_unless_it_was_moved_there() -> None:
    threads = [ThreadMask(1, "main", (1,), 10**9), ThreadMask(2, "omp", (0, 2), 10**8), ThreadMask(3, "grpc", (0, 2), 10**7)]
    assert [thread.tid for thread in check_pinning((1,), (0, 1, 2), threads, moved=(2,), measuring=1)] == [1]
    with pytest.raises(InputError, match=r"thread omp \(2\) runs on cores 0,2 and not on 1"):
        check_pinning((1,), (0, 1, 2), threads, moved=(3,), measuring=1)


@pytest.mark.skipif(len(allowed_cores()) < 2, reason="needs 2 cores to tell pinned threads from others")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this operating system cannot pin")
def test_the_kernel_confirms_the_pinning() -> None:
    done = subprocess.run([sys.executable, "-c", PIN_IN_A_FRESH_PROCESS], capture_output=True, text=True, check=True)
    read = json.loads(done.stdout)
    assert read["main"] == read["new"] == read["cores"]
    assert read["old"] == sorted(set(read["allowed"]) - set(read["cores"]))
    assert read["old_tid"] not in read["computing"]
    assert len(read["computing"]) == 2
