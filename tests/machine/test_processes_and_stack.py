import os
import subprocess
from dataclasses import replace

import pynvml
import pytest

from orchestrator.machine.environment import gpu_driver, stack
from orchestrator.machine.host import own_identity
from orchestrator.machine.own_processes import Kin, OwnProcesses, divide, read_cpu_ns, read_parents, roots_beside

DRIVER, GUARD, HEAD, RAYLET, AGENT, TIMED, SERVER, WORKER_OF_SERVER, RESTING, STRANGER = range(10, 20)
PARENTS = {
    1: 0, DRIVER: 1, GUARD: DRIVER, HEAD: DRIVER, RAYLET: DRIVER, AGENT: RAYLET, TIMED: RAYLET, SERVER: TIMED,
    WORKER_OF_SERVER: SERVER, RESTING: RAYLET, STRANGER: 1,
}  # fmt: skip


def test_what_the_driver_started_is_the_program_s_and_what_the_timed_process_started_its_own() -> None:
    found = divide(PARENTS, [RAYLET, DRIVER], TIMED)
    assert found == OwnProcesses((DRIVER, GUARD, HEAD, RAYLET, AGENT, RESTING), (SERVER, WORKER_OF_SERVER))


def test_a_root_that_is_gone_and_no_root_leave_the_children_alone() -> None:
    assert divide(PARENTS, [99], TIMED) == divide(PARENTS, (), TIMED) == OwnProcesses((), (SERVER, WORKER_OF_SERVER))


def test_processes_of_this_machine_are_read() -> None:
    assert read_parents()[os.getpid()] == os.getppid()
    found = Kin([os.getppid()]).find()
    assert os.getppid() in found.program
    assert os.getpid() not in (*found.program, *found.children)
    assert read_cpu_ns([os.getpid(), 2**30]).keys() == {os.getpid()}


def test_what_starts_between_two_looks_is_found_and_what_ended_is_not() -> None:
    kin = Kin([])
    kin.find()
    with subprocess.Popen(["sleep", "60"]) as started:
        assert started.pid in kin.find().children
        started.kill()
    assert started.pid not in kin.find().children


def test_only_a_driver_on_this_machine_is_a_root_where_no_ray_started_the_process() -> None:
    own = own_identity()
    assert roots_beside(own) == (own.pid,)
    assert roots_beside(replace(own, boot_id="another")) == ()
    assert roots_beside(replace(own, created_s=own.created_s - 100)) == ()
    assert roots_beside(replace(own, pid=2**30)) == ()


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
