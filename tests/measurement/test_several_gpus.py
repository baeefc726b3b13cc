import sys
from types import SimpleNamespace

import pyarrow as pa
import pytest

from orchestrator.configuration.config import SystemConfig
from orchestrator.measurement.device import CudaStages, seen_together, visible_devices
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


@pytest.mark.parametrize("gpus", [1, 4])
def test_the_clocks_wait_for_every_gpu(gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waited_for: list[int] = []
    cuda = SimpleNamespace(Event=None, synchronize=waited_for.append)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))  # type: ignore[arg-type]
    stages = CudaStages(Stages(list, list, list), 1, events=False, gpus=gpus).stages
    stages.preprocess("ab")
    assert waited_for == list(range(gpus))
    stages.infer("ab")
    assert waited_for == 2 * list(range(gpus))


def test_what_several_gpus_are_is_read_back_together_and_each() -> None:
    gpus = [
        {"device": f"cuda:{number}", "uuid": f"GPU-{number}", "name": "V100" if number else "A100", "memory_bytes": 2**30}
        for number in range(3)
    ]
    seen = seen_together("cuda:0,1,2", gpus)
    assert seen == {
        "device": "cuda:0,1,2",
        "uuid": "GPU-0,GPU-1,GPU-2",
        "name": "A100, 2 x V100",
        "memory_bytes": 3 * 2**30,
        "gpus": gpus,
    }


def test_evidence_of_several_gpus_is_that_of_the_slowest_and_of_each() -> None:
    fast, slow = GpuReading(1500.0, 50.0, 200.0, 0, frozenset({7})), GpuReading(900.0, 83.0, 250.0, 0x40, frozenset({7, 8}))
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
    assert combined([slow])["gpus"] is None
    assert combined([]) == dict.fromkeys(both)
