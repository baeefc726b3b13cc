"""The device of a timed process: which accelerators it may see, and clocks that wait for all of them."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from orchestrator.configuration.config import SystemConfig
from orchestrator.contracts import InputError
from orchestrator.measurement.timing import Stages


def visible_devices(device: str) -> str:
    """Return the value of CUDA_VISIBLE_DEVICES that leaves exactly the wanted accelerators (none for ``cpu``), in their order."""
    if device == "cpu":
        return ""
    return device.removeprefix("cuda:")


def device_in_process(device: str) -> str:
    """Return the device's name inside the timed process; of several GPUs, the first."""
    return "cpu" if device == "cpu" else "cuda:0"


def read_device(system: SystemConfig) -> dict[str, Any]:
    """Return what the process really sees, with ``gpus``, one entry each. Raises InputError if that is not the device asked for."""
    if system.device == "cpu":
        return {"device": "cpu"}
    import torch

    count, wanted = torch.cuda.device_count(), len(system.gpus)
    if count != wanted:
        raise InputError(
            f"system.device={system.device}: the timed process sees {count} GPUs instead of {wanted}; check driver, indices and UUIDs"
        )
    found = []
    for number, gpu in enumerate(system.gpus):
        properties = torch.cuda.get_device_properties(number)
        uuid = f"GPU-{properties.uuid}"
        if gpu.startswith("GPU-") and not uuid.startswith(gpu):
            raise InputError(f"system.device={system.device}: the timed process sees {uuid}; check the UUID with nvidia-smi -L")
        found.append({"device": gpu, "uuid": uuid, "name": properties.name, "memory_bytes": properties.total_memory})
    return seen_together(system.device, found)


def seen_together(device: str, gpus: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the facts of a device from those of its GPUs, each with ``uuid``, ``name`` and ``memory_bytes`` (pure)."""
    names = Counter(gpu["name"] for gpu in gpus)
    return {
        "device": device,
        "uuid": ",".join(gpu["uuid"] for gpu in gpus),
        "name": ", ".join(name if count == 1 else f"{count} x {name}" for name, count in names.items()),
        "memory_bytes": sum(gpu["memory_bytes"] for gpu in gpus),
        "gpus": gpus,
    }


def waiting_for_all(wait: Callable[[int], None], gpus: int) -> Callable[[], None]:
    """Return a call that waits for each of the process's GPUs, numbered from 0."""
    if gpus == 1:
        return partial(wait, 0)

    def wait_for_each() -> None:
        for number in range(gpus):
            wait(number)

    return wait_for_each


class CudaStages:
    """Stages whose clocks wait for every GPU: synchronised before both inference stamps, CUDA events as an extra column.

    ``events`` is False for a runtime that computes on CUDA streams of its own, where PyTorch's events would time nothing. They are those of
    the first GPU, where an answer begins and ends.
    """

    def __init__(self, stages: Stages, batches: int, events: bool, gpus: int = 1) -> None:
        import torch

        event: Callable[..., Any] = torch.cuda.Event
        synchronise = waiting_for_all(torch.cuda.synchronize, gpus)
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


def forget_allocated_peak(gpus: int) -> None:
    """Let PyTorch count the most that it holds on each of so many GPUs anew."""
    if gpus:
        import torch

        for number in range(gpus):
            torch.cuda.reset_peak_memory_stats(number)


def allocated_peak_bytes(gpus: int) -> int | None:
    """Return the most that PyTorch's tensors took since then, the GPUs' own peaks together; None where another library computes."""
    if not gpus:
        return None
    import torch

    return sum(torch.cuda.max_memory_allocated(number) for number in range(gpus)) or None
