import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from orchestrator.machine.cores import ThreadMask, allowed_cores, check_pinning, choose_cores, format_cores, parse_cores
from orchestrator.machine.host import read_machine

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
    with refused("unsupported", "system.cores", wanted):
        choose_cores(wanted, (0, 1))


@given(st.sets(st.integers(0, 300), min_size=1), st.data())
def test_chosen_cores_are_allowed_and_as_many_as_asked(allowed: set[int], data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, len(allowed)))
    chosen = choose_cores(wanted, allowed)
    assert len(chosen) == wanted
    assert set(chosen) <= allowed
    assert max(chosen) == max(allowed)


MAIN = ThreadMask(1, "main", (1,), 10**9)


@pytest.mark.parametrize(
    ("threads", "moved"),
    [
        ([MAIN, ThreadMask(2, "pool", (0, 1), 0)], ()),  # on a strange core
        ([ThreadMask(1, "main", (0, 2), 10**9), ThreadMask(2, "ray", (0, 2), 0)], (2,)),  # the one that measures
        ([MAIN, ThreadMask(2, "omp", (0, 2), 10**8), ThreadMask(3, "grpc", (0, 2), 10**7)], (3,)),  # busy, and nobody moved it there
    ],
)
def test_a_thread_that_computes_on_other_cores_is_refused(threads: list[ThreadMask], moved: tuple[int, ...]) -> None:
    with refused("unsupported", "system.cores", (1,)):
        check_pinning((1,), (0, 1, 2), threads, moved=moved, measuring=1)


def test_threads_on_the_other_cores_do_not_compute() -> None:
    idle, busy = ThreadMask(2, "ray", (0, 2), 0), ThreadMask(3, "omp", (0, 2), 10**8)
    assert check_pinning((1,), (0, 1, 2), [MAIN, idle]) == check_pinning((1,), (0, 1, 2), [MAIN, busy], moved=(3,), measuring=1)
    assert [thread.tid for thread in check_pinning((1,), (0, 1, 2), [MAIN, idle])] == [1]


@pytest.mark.skipif(len(allowed_cores()) < 2, reason="needs 2 cores to tell pinned threads from others")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this operating system cannot pin")
@pytest.mark.slow
def test_the_kernel_confirms_the_pinning() -> None:
    done = subprocess.run([sys.executable, "-c", PIN_IN_A_FRESH_PROCESS], capture_output=True, text=True, check=True)
    read = json.loads(done.stdout)
    assert read["main"] == read["new"] == read["cores"]
    assert read["old"] == sorted(set(read["allowed"]) - set(read["cores"]))
    assert read["old_tid"] not in read["computing"]
    assert len(read["computing"]) == 2


@given(st.sets(st.integers(0, 300)))
def test_cores_are_written_as_they_are_read(cores: set[int]) -> None:
    assert parse_cores(format_cores(cores)) == tuple(sorted(cores))
    assert parse_cores("0-2,8,10-11\n") == (0, 1, 2, 8, 10, 11)


def test_this_machine_has_the_cores_this_process_may_use() -> None:
    machine = read_machine()
    assert set(machine.cores) == set(os.sched_getaffinity(0))
    assert machine.memory_bytes > 2**28
