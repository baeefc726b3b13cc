from __future__ import annotations

import time

from orchestrator.machine.cores import allowed_cores
from orchestrator.machine.environment import boot_id, environment, memory_peak_bytes, stack
from orchestrator.measurement.evidence import Counters, GpuEvidence, difference, read_counters
from orchestrator.storage import schema


def test_own_work_is_not_foreign() -> None:
    before = Counters(1, 2, 3, 4, 100, 10, 1_000)
    after = Counters(2, 4, 6, 8, 600, 15, 1_700)
    assert difference(before, after) == {
        "voluntary_switches": 1,
        "involuntary_switches": 2,
        "minor_faults": 3,
        "major_faults": 4,
        "cpu_time_ns": 500,
        "steal_ns": 5,
        "foreign_cpu_ns": 200,
    }


def test_foreign_time_is_never_negative() -> None:
    nothing = Counters(0, 0, 0, 0, 0, 0, 0)
    assert difference(nothing, Counters(0, 0, 0, 0, 900, 0, 100))["foreign_cpu_ns"] == 0


def test_counters_grow_while_this_process_works() -> None:
    before = read_counters(allowed_cores())
    end = time.process_time() + 0.1
    while time.process_time() < end:
        bytearray(1 << 20)
    after = read_counters(allowed_cores())
    assert after.cpu_time_ns - before.cpu_time_ns >= 90_000_000
    assert after.busy_ns > before.busy_ns
    assert after.minor_faults >= before.minor_faults


def test_without_a_gpu_its_columns_are_empty() -> None:
    read = GpuEvidence(None).read()
    assert set(read.values()) == {None}
    assert set(read) <= set(schema.ROUNDS.names)


def test_the_environment_names_machine_and_versions() -> None:
    found = environment()
    assert found["boot_id"] == boot_id()
    assert found["logical_cores"] >= 1
    assert memory_peak_bytes() > 10**6
    assert stack("cpu")["python"].startswith("3.")
