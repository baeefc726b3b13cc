"""Several GPUs, with a stand-in for PyTorch: the clocks, the memory, the evidence and what is read back."""

import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock, call

import pyarrow as pa
import pytest
from refusals import refused

from orchestrator.configuration.config import SystemConfig
from orchestrator.measurement.device import CudaStages, MemoryPeaks, read_device, visible_devices
from orchestrator.measurement.evidence import GpuReading, combined
from orchestrator.measurement.timing import Stages
from orchestrator.storage import schema


@pytest.mark.parametrize(
    ("device", "gpus", "visible"),
    [
        ("cpu", (), ""),
        ("cuda:2", ("cuda:2",), "2"),
        ("cuda:3,1", ("cuda:3", "cuda:1"), "3,1"),
        ("GPU-12ab,MIG-34cd", ("GPU-12ab", "MIG-34cd"), "GPU-12ab,MIG-34cd"),
    ],
)
def test_a_device_names_its_gpus_in_their_order(device: str, gpus: tuple[str, ...], visible: str) -> None:
    assert SystemConfig(name="here", device=device).gpus == gpus
    assert visible_devices(device) == visible


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """Stand for PyTorch with three GPUs."""
    cuda = MagicMock(**{"device_count.return_value": 3, "max_memory_allocated.side_effect": (5, 7).__getitem__})
    cuda.get_device_properties = lambda number: SimpleNamespace(uuid=f"{number}-ab", name="AVV"[number] + "100", total_memory=2**number)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    return cuda


@pytest.mark.parametrize(("gpus", "events"), [(1, True), (4, False)])
def test_the_clocks_wait_for_every_gpu_and_events_are_of_each_inference(cuda: MagicMock, gpus: int, events: bool) -> None:
    cuda.Event.side_effect = [MagicMock(**{"elapsed_time.return_value": 0.5 * number}) for number in range(6)]
    timed = CudaStages(Stages(list, list, list), 3, events, gpus)
    timed.stages.preprocess("ab")
    assert cuda.synchronize.mock_calls == [call(number) for number in range(gpus)]
    for inferences in 2, 0, 3:
        assert [timed.stages.infer("ab") for _ in range(inferences)] == [["a", "b"]] * inferences
        assert timed.take_times_ns() == ([0, 1_000_000, 2_000_000][:inferences] if events else None)
    assert cuda.synchronize.mock_calls == 6 * [call(number) for number in range(gpus)]
    assert cuda.Event.mock_calls == [call(enable_timing=True)] * 6 * events


def test_the_most_memory_is_that_of_all_gpus_since_it_began(cuda: MagicMock, tmp_path: Path) -> None:
    peaks, unknown = MemoryPeaks(2, tmp_path / "clear_refs"), MemoryPeaks(0, tmp_path / "no" / "clear_refs")
    assert peaks.read() == {"resident_peak_bytes": None, "gpu_allocated_peak_bytes": 12}
    for each in peaks, unknown:
        each.begin()
    assert (cuda.reset_peak_memory_stats.mock_calls, (tmp_path / "clear_refs").read_bytes()) == ([call(0), call(1)], b"5")
    cuda.max_memory_allocated.side_effect = (0, 0).__getitem__
    assert peaks.read() == {"resident_peak_bytes": peaks.resident_bytes, "gpu_allocated_peak_bytes": None}
    assert (peaks.gpu_bytes, unknown.gpu_bytes, unknown.read()) == (
        12,
        None,
        {"resident_peak_bytes": None, "gpu_allocated_peak_bytes": None},
    )


@pytest.mark.parametrize(
    ("device", "name"),
    [("cuda:0,1,2", "A100, 2 x V100"), ("GPU-0-ab,GPU-1,GPU-2-a", "A100, 2 x V100"), ("cuda:0,1", None), ("GPU-0,GPU-1,GPU-1", None)],
)
def test_the_gpus_that_are_seen_are_those_asked_for_together_and_each(cuda: MagicMock, device: str, name: str | None) -> None:
    system = SystemConfig(name="here", device=device)
    named = [
        {"device": gpu, "uuid": f"GPU-{number}-ab", "name": "V100" if number else "A100", "memory_bytes": 2**number}
        for number, gpu in enumerate(system.gpus)
    ]
    with refused("not_found", "system.device", device) if name is None else nullcontext():
        assert read_device(system) == {
            "device": device,
            "uuid": "GPU-0-ab,GPU-1-ab,GPU-2-ab",
            "name": name,
            "memory_bytes": 7,
            "gpus": named,
        }


def test_evidence_of_several_gpus_is_that_of_the_slowest_and_of_each() -> None:
    fast, slow = GpuReading(1500.0, 50.0, 200.0, 0, frozenset({7}), own_bytes=3), GpuReading(900.0, 83.0, 250.0, 0x40, frozenset({7, 8}))
    both = combined([fast, slow])
    assert {name: both[name] for name in both if name != "gpus"} == {
        "gpu_clock_mhz": 900.0,
        "gpu_temperature_c": 83.0,
        "gpu_power_w": 450.0,
        "gpu_throttle_reasons": 0x40,
        "gpu_foreign_processes": 2,
        "gpu_memory_bytes": None,
    }
    stored = pa.table({name: pa.array([value], schema.ROUNDS.field(name).type) for name, value in both.items()}).to_pylist()[0]
    assert [(gpu["clock_mhz"], gpu["throttle_reasons"], gpu["foreign_processes"]) for gpu in stored["gpus"]] == [
        (1500, 0, 1),
        (900, 0x40, 2),
    ]
    assert (combined([fast, fast])["gpu_memory_bytes"], combined([slow])["gpus"]) == (6, None)
    assert combined([]) == dict.fromkeys(both)
