"""The device of a timed process: which accelerator it may see, and clocks that wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.contracts import InputError
from orchestrator.measurement.timing import Stages


def visible_devices(device: str) -> str:
    """Return the value of CUDA_VISIBLE_DEVICES that leaves exactly the wanted accelerator (none for ``cpu``)."""
    if device == "cpu":
        return ""
    return device.removeprefix("cuda:")


def device_in_process(device: str) -> str:
    """Return the device's name inside the timed process, which sees one accelerator at most."""
    return "cpu" if device == "cpu" else "cuda:0"


def read_device(device: str) -> dict[str, Any]:
    """Return what the process really sees. Raises InputError if that is not the device asked for."""
    if device == "cpu":
        return {"device": "cpu"}
    import torch

    count = torch.cuda.device_count()
    if count != 1:
        raise InputError(f"system.device={device}: the timed process sees {count} GPUs instead of one; check driver and index")
    properties = torch.cuda.get_device_properties(0)
    uuid = f"GPU-{properties.uuid}"
    if device.startswith("GPU-") and not uuid.startswith(device):
        raise InputError(f"system.device={device}: the timed process sees {uuid}; check the UUID with nvidia-smi -L")
    return {"device": device, "uuid": uuid, "name": properties.name, "memory_bytes": properties.total_memory}


class CudaStages:
    """Stages whose clocks wait for the GPU: synchronised before both inference stamps, CUDA events as an extra column.

    ``events`` is False for a runtime that computes on CUDA streams of its own, where PyTorch's events would time nothing.
    """

    def __init__(self, stages: Stages, batches: int, events: bool) -> None:
        import torch

        event: Callable[..., Any] = torch.cuda.Event
        synchronise: Callable[[], None] = torch.cuda.synchronize
        self._events = [(event(enable_timing=True), event(enable_timing=True)) for _ in range(batches if events else 0)]
        self._next = 0

        def preprocess(samples: Any) -> Any:
            inputs = stages.preprocess(samples)
            synchronise()
            return inputs

        def infer_without(inputs: Any) -> Any:
            outputs = stages.infer(inputs)
            synchronise()
            return outputs

        def infer(inputs: Any) -> Any:
            before, after = self._events[self._next]
            self._next += 1
            before.record()
            outputs = stages.infer(inputs)
            after.record()
            synchronise()
            return outputs

        self.stages = Stages(preprocess, infer if events else infer_without, stages.postprocess)

    def take_times_ns(self) -> list[int] | None:
        """Return the GPU's own time of each inference since the last call, in ns (resolution about 500 ns); None without events."""
        if not self._events:
            return None
        events, self._next = self._events[: self._next], 0
        return [int(1e6 * before.elapsed_time(after)) for before, after in events]
