import json
import os
import subprocess
import sys
from dataclasses import replace

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from orchestrator.machine.cores import ThreadMask, allowed_cores, check_pinning, choose_cores, format_cores, parse_cores
from orchestrator.machine.environment import gpu_driver, stack
from orchestrator.machine.host import own_identity
from orchestrator.machine.own_processes import Kin, OwnProcesses, divide, read_cpu_ns, read_parents, roots_beside

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


@pytest.mark.parametrize(("wanted", "chosen"), [(2, (4, 7)), (None, (0, 1, 4, 7)), ([7, 0], (0, 7))])
def test_a_number_takes_the_highest_cores(wanted: int | list[int] | None, chosen: tuple[int, ...]) -> None:
    assert choose_cores(wanted, (7, 0, 1, 4)) == chosen


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


DRIVER, GUARD, HEAD, RAYLET, AGENT, TIMED, SERVER, WORKER_OF_SERVER, RESTING, STRANGER = range(10, 20)


PARENTS = {
    1: 0, DRIVER: 1, GUARD: DRIVER, HEAD: DRIVER, RAYLET: DRIVER, AGENT: RAYLET, TIMED: RAYLET, SERVER: TIMED,
    WORKER_OF_SERVER: SERVER, RESTING: RAYLET, STRANGER: 1,
}  # fmt: skip


# A root that is gone, and no root, leave the children alone.
@pytest.mark.parametrize(("roots", "program"), [((RAYLET, DRIVER), (DRIVER, GUARD, HEAD, RAYLET, AGENT, RESTING)), ((99,), ()), ((), ())])
def test_what_the_driver_started_is_the_program_s_and_what_the_timed_process_started_its_own(
    roots: tuple[int, ...], program: tuple[int, ...]
) -> None:
    assert divide(PARENTS, roots, TIMED) == OwnProcesses(program, (SERVER, WORKER_OF_SERVER))


def test_processes_of_this_machine_are_read() -> None:
    assert read_parents()[os.getpid()] == os.getppid()
    found = Kin([os.getppid()]).find()
    assert os.getppid() in found.program
    assert os.getpid() not in (*found.program, *found.children)
    assert read_cpu_ns([os.getpid(), 2**30]).keys() == {os.getpid()}


@pytest.mark.parametrize(
    ("changed", "is_root"), [({}, True), ({"boot_id": "another"}, False), ({"created_s": 1.0}, False), ({"pid": 2**30}, False)]
)
def test_only_a_driver_on_this_machine_is_a_root_where_no_ray_started_the_process(changed: dict[str, object], is_root: bool) -> None:
    own = own_identity()
    assert roots_beside(replace(own, **changed)) == ((own.pid,) if is_root else ())


def test_a_gpus_driver_belongs_to_the_stack_of_what_runs_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: "580.65.06")
    assert stack("cuda:0")["driver"] == "580.65.06"
    assert "driver" not in stack("cpu")


def test_without_a_driver_there_is_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", no_driver)
    assert gpu_driver() == {}
