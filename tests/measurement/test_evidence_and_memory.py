"""What a timed process records beside its times: counters, peaks of memory and its first answers."""

import mmap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from null_trials import null_trial

from orchestrator.machine.cores import allowed_cores
from orchestrator.measurement import evidence
from orchestrator.measurement.device import MemoryPeaks
from orchestrator.measurement.evidence import Counters, GpuReading, combined, difference, read_counters
from orchestrator.measurement.worker import Worker
from orchestrator.storage import schema


def test_own_work_is_not_foreign() -> None:
    before = Counters(1, 2, 3, 4, 100, 10, 1_000)
    after = Counters(2, 4, 6, 8, 600, 15, 1_700)
    found = difference(before, after)
    assert {name: value for name, value in found.items() if value is not None} == {
        "voluntary_switches": 1,
        "involuntary_switches": 2,
        "minor_faults": 3,
        "major_faults": 4,
        "cpu_time_ns": 500,
        "steal_ns": 5,
        "foreign_cpu_ns": 200,
        "program_cpu_ns": 0,
    }
    kept, later = (replace(counters, run_delay_ns=delay, interrupts=7) for counters, delay in ((before, 40), (after, 100)))
    assert (difference(kept, later)["run_delay_ns"], difference(kept, later)["interrupts"]) == (60, 0)
    assert difference(before, later)["run_delay_ns"] is None
    nothing = Counters(0, 0, 0, 0, 0, 0, 0)
    assert difference(nothing, replace(nothing, cpu_time_ns=900, busy_ns=100))["foreign_cpu_ns"] == 0


def test_the_program_s_own_processes_are_not_foreign() -> None:
    """Of 700 ns the machine was busy, this process had 500, its child 30, the driver 100; one process ended and another began meanwhile."""
    before = Counters(0, 0, 0, 0, 100, 0, 1_000, program_ns={7: 40, 8: 10}, children_ns={9: 5})
    after = Counters(0, 0, 0, 0, 600, 0, 1_700, program_ns={7: 140, 10: 900}, children_ns={9: 35})
    found = difference(before, after)
    assert (found["cpu_time_ns"], found["program_cpu_ns"], found["foreign_cpu_ns"]) == (500, 100, 70)
    assert set(found) <= set(schema.ROUNDS.names)


def test_quotas_of_both_versions_are_counted(tmp_path: Path) -> None:
    (tmp_path / "v2").write_text("usage_usec 9\nuser_usec 5\nnr_periods 80\nnr_throttled 3\nthrottled_usec 250\nnr_bursts 0\n")
    (tmp_path / "v1").write_text("nr_periods 10\nnr_throttled 4\nthrottled_time 7000\n")
    for names, expected in (("v2",), (3, 250_000)), (("v1",), (4, 7000)), (("v1", "v2"), (7, 257_000)), ((), (None, None)):
        counters = read_counters(allowed_cores(), [tmp_path / name for name in names])
        assert (counters.throttled_periods, counters.throttled_ns) == expected


def test_what_the_kernel_does_not_count_is_null(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "schedstat").write_bytes(b"8000 300 2\n")
    (tmp_path / "pressure").write_bytes(b"some avg10=91.63 avg60=85.99 avg300=71.52 total=69868\nfull avg10=0.00 total=0\n")
    monkeypatch.setattr(evidence, "SCHEDULED", tmp_path / "schedstat")
    monkeypatch.setattr(evidence, "PRESSURE", tmp_path / "pressure")
    counters = read_counters(allowed_cores())
    assert (counters.run_delay_ns, counters.cpu_pressure_ns) == (300, 69_868_000)
    for path in tmp_path.iterdir():
        path.unlink()
    counters = read_counters(allowed_cores())
    assert (counters.run_delay_ns, counters.cpu_pressure_ns) == (None, None)


MIB = 2**20


def test_a_peak_is_that_of_what_was_timed_and_is_not_forgotten() -> None:
    peaks = MemoryPeaks()
    found = []
    for size in (mmap.PAGESIZE, 64 * MIB, mmap.PAGESIZE):
        peaks.begin()
        with mmap.mmap(-1, size) as block:  # the allocator may take a block from what this process has freed
            for page in range(0, len(block), mmap.PAGESIZE):
                block[page] = 1
        found.append(peaks.read()["resident_peak_bytes"] or 0)
    before, during, after = found
    assert during - before > 60 * MIB
    assert during - after > 60 * MIB
    assert peaks.resident_bytes >= during


def test_nothing_is_asked_between_the_first_and_the_last_stamp_of_a_round(
    null_targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def clock() -> int:
        asked.append("clock")
        return 1_000 * len(asked)

    for name in ("begin", "read"):
        method = getattr(MemoryPeaks, name)
        monkeypatch.setattr(MemoryPeaks, name, lambda self, name=name, method=method: (asked.append(name), method(self))[1])
    trial = null_trial(task={"count": 3}, measurement={"order": "shuffled"})
    worker = Worker(trial, 0, tmp_path / "stamps", tmp_path, pin=False, clock=clock)
    cold = worker.prepare().cold_start
    asked.clear()
    row = worker._rounds.run(0).rows.to_pylist()[0]
    assert asked == ["begin", *["clock"] * 14, "read"]  # four a sample, and two around them all
    assert 0 < row["resident_peak_bytes"] <= worker.read_back()["peak_memory_bytes"]
    assert (row["gpu_memory_bytes"], row["gpu_allocated_peak_bytes"]) == (None, None)
    assert (cold["first_inference_ns"], cold["first_total_ns"]) == (1_000, 3_000)
    assert cold["peak_memory_bytes"] > MIB


@pytest.mark.parametrize(("held", "together"), [((3, 4), 7), ((3, None), None), ((None, None), None), ((5,), 5)])
def test_what_is_held_on_several_gpus_is_known_if_each_says_it(held: tuple[int | None, ...], together: int | None) -> None:
    found = combined([GpuReading(1.0, 1.0, 1.0, 0, frozenset(), own) for own in held])
    assert found["gpu_memory_bytes"] == together


@pytest.mark.parametrize(
    ("varies", "unanswered"),
    [
        ({"load": {"name": "periodic", "rate_per_s": 50}}, {5}),
        ({"measurement": {"order": "shuffled"}}, {5}),
        ({}, {4, 5, 6, 7}),
    ],
    ids=["under load", "shuffled", "the same batches in every round"],
)
def test_who_shared_a_batch_with_a_failing_sample_is_asked_alone(
    null_targets: Path, tmp_path: Path, varies: dict[str, Any], unanswered: set[int]
) -> None:
    blocks = {**varies, "measurement": {"batch": 4, "max_errors": 99, **varies.get("measurement", {})}}
    trial = null_trial(model={"wrong": [7], "raises_on": [5]}, task={"count": 10}, **blocks)
    found = Worker(trial, 0, tmp_path / "stamps", tmp_path, pin=False).prepare().samples.column("prediction").to_pylist()
    assert {sample for sample, answer in enumerate(found) if answer is None} == unanswered
    assert all(answer is None or answer[0] == (8 if sample == 7 else sample) for sample, answer in enumerate(found))
