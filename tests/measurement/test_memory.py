"""Peaks of memory are those of what was timed, and nothing is asked while it is."""

import mmap
from pathlib import Path

import pytest
from null_trials import null_trial

from orchestrator.measurement.device import MemoryPeaks
from orchestrator.measurement.evidence import GpuReading, combined
from orchestrator.measurement.worker import Worker

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
