"""What a timed process records beside its times: counters, peaks of memory and its first answers."""

import mmap
import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from null_trials import null_trial

from orchestrator.measurement import evidence
from orchestrator.measurement.device import MemoryPeaks
from orchestrator.measurement.evidence import AroundRounds, Counters, difference, read_counters
from orchestrator.measurement.failures import TrialFailed
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
    """Of 750 ns, this process had 500, its child 30, the driver 100, a neighbour 50; one process ended and another began meanwhile."""
    before = Counters(0, 0, 0, 0, 100, 0, 1_000, program_ns={7: 40, 8: 10}, children_ns={9: 5}, neighbour_ns={11: 20})
    after = Counters(0, 0, 0, 0, 600, 0, 1_750, program_ns={7: 140, 10: 900}, children_ns={9: 35}, neighbour_ns={11: 70, 12: 0})
    found = difference(before, after)
    assert [found[f"{of}_ns"] for of in ("cpu_time", "program_cpu", "foreign_cpu", "neighbour_cpu")] == [500, 100, 70, 50]
    assert set(found) <= set(schema.ROUNDS.names)


STAT = b"cpu  1 20 300 7 9 4000 50000 5 6 0\ncpu0 1 1 1 1 1 1 1 900 0 0\ncpu1 1 1 1 1 1 1 1 30 0 0\ncpu12 1 1 1 1 1 1 1 4\n"


V1, V2 = b"nr_periods 10\nnr_throttled 4\nthrottled_time 7000\n", b"usage_usec 9\nnr_throttled 3\nthrottled_usec 250\nnr_bursts 0\n"


@pytest.mark.parametrize(
    ("stat", "scheduled", "pressure", "quotas", "found"),
    [
        (
            STAT + b"intr 77 5 6\nintr 9 1\n",
            b"8000 300 2\n",
            b"some a=9 b=8 c=7 total=69868\n",
            [V1, V2],
            (34, 77, 300, 69_868_000, 7, 257_000),
        ),
        (STAT + b"intr 77 5", b"8000 300", b"some a=9 b=8 c=7 total=1", [V1], (34, 77, 300, 1000, 4, 7000)),
        (STAT + b"intr 77", b"8000", b"some a=9 b=8 c=7", [V2], (34, None, None, None, 3, 250_000)),
        (STAT.replace(b"30 0 0", b"") + b"cpu1", b"", b"", [], (4, None, None, None, None, None)),
    ],
    ids=["whole", "cut behind", "cut within", "an old kernel"],
)
def test_counters_are_those_of_the_kernel_and_null_where_it_has_none(
    monkeypatch: pytest.MonkeyPatch, stat: bytes, scheduled: bytes, pressure: bytes, quotas: list[bytes], found: tuple[int | None, ...]
) -> None:
    files = {"/proc/stat": stat, evidence.SCHEDULED: scheduled, evidence.PRESSURE: pressure, **{Path(str(text)): text for text in quotas}}
    monkeypatch.setattr(evidence, "first_bytes", lambda path, most: files[path][:most])
    counters, tick_ns = read_counters((1, 12), [Path(str(text)) for text in quotas]), 10**9 // os.sysconf("SC_CLK_TCK")
    assert counters.busy_ns == 54_321 * tick_ns
    kernel = (counters.interrupts, counters.run_delay_ns, counters.cpu_pressure_ns, counters.throttled_periods, counters.throttled_ns)
    assert (counters.steal_ns // tick_ns, *kernel) == found


def test_energy_is_that_of_all_packages_or_null(tmp_path: Path) -> None:
    for zone, name in {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:1": "package-1", "intel-rapl:2": "psys"}.items():
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(f"{name}\n")
        (tmp_path / zone / "energy_uj").write_text("1000\n")
    first, second = files = evidence.find_energy_files(tmp_path)
    before, _, after = read_counters((0,), energy_files=files), first.write_text("1500\n"), read_counters((0,), energy_files=files)
    pairs = ((before, after), (after, before), (before, read_counters((0,))))
    assert [difference(*pair)["package_energy_uj"] for pair in pairs] == [500, None, None]
    second.unlink()
    assert evidence.find_energy_files(tmp_path) == []


@pytest.mark.parametrize(("garbage", "expected"), [(False, [2, "off", "on", 0, "off", "on", 2, "off", "on"]), (True, ["on"] * 3)])
def test_garbage_is_collected_before_what_is_timed_and_not_within(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, garbage: bool, expected: list[object]
) -> None:
    done: list[object] = []
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, process_time_ns=time.process_time_ns)
    collector = SimpleNamespace(collect=done.append, disable=lambda: done.append("off"), enable=lambda: done.append("on"))
    for name, value in {"time": clock, "gc": collector, "FREQUENCIES": f"{tmp_path}/{{}}"}.items():
        monkeypatch.setattr(evidence, name, value)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 2.5, 3.5))
    (tmp_path / "0").write_text("1000000\n")
    (tmp_path / "1").write_text("2500000\n")
    around = AroundRounds((0, 1, 2), (), (), 0, garbage)
    for clock.now in (100.0, 100.125, 100.25):
        around.begin()
        row = around.end(around.counters())
    assert (done, row["frequency_mhz"], row["load_1m"]) == (expected, 1750, 1.5)


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
    assert during - max(before, after) > 60 * MIB
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
    assert (row["gpu_memory_bytes"], row["gpu_allocated_peak_bytes"], row["incomplete"]) == (None, None, False)
    assert (cold["first_inference_ns"], cold["first_total_ns"]) == (1_000, 3_000)
    assert cold["peak_memory_bytes"] > MIB


@pytest.mark.parametrize("most", [0, 1])
def test_more_errors_in_the_warm_up_than_may_be_are_refused(null_targets: Path, tmp_path: Path, most: int) -> None:
    with pytest.raises(TrialFailed, match=rf"raised on 2 of 20 samples .*max_errors={most}\), first on number-1: RuntimeError"):
        Worker(
            null_trial(model={"raises_on": [1, 2]}, measurement={"max_errors": most}), 0, tmp_path / "stamps", tmp_path, pin=False
        ).prepare()


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
    prepared = Worker(trial, 0, tmp_path / "stamps", tmp_path, pin=False).prepare()
    assert prepared.warmup.column("start_gap_ns").null_count < 20, "warm-up is a closed loop, whatever the load"
    found = prepared.samples.column("prediction").to_pylist()
    assert {sample for sample, answer in enumerate(found) if answer is None} == unanswered
    assert all(answer is None or answer[0] == (8 if sample == 7 else sample) for sample, answer in enumerate(found))
