"""The device of a timed process: which accelerators it may see, clocks that wait for all of them, and the most memory that it holds."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.configuration.config import SystemConfig
from orchestrator.contracts import InputError
from orchestrator.machine.environment import memory_peak_bytes
from orchestrator.measurement.timing import Stages


def visible_devices(device: str) -> str:
    """Return the value of CUDA_VISIBLE_DEVICES that leaves exactly the wanted accelerators (none for ``cpu``), in their order."""
    return "" if device == "cpu" else device.removeprefix("cuda:")


def read_device(system: SystemConfig) -> dict[str, Any]:
    """Return what the process really sees, with ``gpus``, one entry each. Raises InputError if that is not the device asked for."""
    if system.device == "cpu":
        return {"device": "cpu"}
    import torch

    count, wanted = torch.cuda.device_count(), len(system.gpus)
    if count != wanted:
        raise InputError(
            f"system.device={system.device}: the timed process sees {count} GPUs instead of {wanted}; check driver, indices and UUIDs",
            "not_found",
            "system.device",
            system.device,
        )
    found = []
    for number, gpu in enumerate(system.gpus):
        properties = torch.cuda.get_device_properties(number)
        uuid = f"GPU-{properties.uuid}"
        if gpu.startswith("GPU-") and not uuid.startswith(gpu):
            raise InputError(
                f"system.device={system.device}: the timed process sees {uuid}; check the UUID with nvidia-smi -L",
                "not_found",
                "system.device",
                system.device,
            )
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


class CudaStages:
    """Stages whose clocks wait for every GPU: synchronised before both inference stamps, CUDA events as an extra column.

    ``events`` is False for a runtime that computes on CUDA streams of its own, where PyTorch's events would time nothing. They are those of
    the first GPU, where an answer begins and ends.
    """

    def __init__(self, stages: Stages, batches: int, events: bool, gpus: int = 1) -> None:
        import torch

        event: Callable[..., Any] = torch.cuda.Event
        self._events = [(event(enable_timing=True), event(enable_timing=True)) for _ in range(batches if events else 0)]
        self._next = 0

        def synchronise() -> None:
            for number in range(gpus):
                torch.cuda.synchronize(number)

        def preprocess(samples: Any) -> Any:
            inputs = stages.preprocess(samples)
            synchronise()
            return inputs

        def infer(inputs: Any) -> Any:
            if events:
                before, after = self._events[self._next]
                self._next += 1
                before.record()
            outputs = stages.infer(inputs)
            if events:
                after.record()
            synchronise()
            return outputs

        self.stages = Stages(preprocess, infer, stages.postprocess)

    def take_times_ns(self) -> list[int] | None:
        """Return the GPU's own time of each inference since the last call, in ns (resolution about 500 ns); None without events."""
        if not self._events:
            return None
        events, self._next = self._events[: self._next], 0
        return [int(1e6 * before.elapsed_time(after)) for before, after in events]


FORGET = Path("/proc/self/clear_refs")
# Lets the kernel count the largest resident size anew, without a look at any page;
# proc_pid_clear_refs(5), since Linux 4.0.
FORGET_PEAK = b"5"


class MemoryPeaks:
    """Peaks of resident memory and of what PyTorch holds on the trial's GPUs.

    Resident memory is that of this process alone, files that it has mapped and shares with others included.

    Parameters
    ----------
    gpus
        how many GPUs the process sees.
    forget
        the kernel's file that lets the peak count anew; where it cannot be written, what is timed has no peak of its own.

    Attributes
    ----------
    resident_bytes, gpu_bytes
        the largest of the process's whole life so far; the second is None where PyTorch never held anything on a GPU.
    """

    def __init__(self, gpus: int = 0, forget: Path = FORGET) -> None:
        self._gpus, self._forget = gpus, forget
        self._anew = False
        self.resident_bytes = 0
        self.gpu_bytes: int | None = None
        self._keep()

    def begin(self) -> None:
        self._keep()
        self._anew = False
        with suppress(OSError), open(self._forget, "wb", buffering=0) as file:  # noqa: PTH123 - asked in every round
            file.write(FORGET_PEAK)
            self._anew = True
        if self._gpus:
            import torch

            for number in range(self._gpus):
                torch.cuda.reset_peak_memory_stats(number)

    def read(self) -> dict[str, int | None]:
        """Return the peaks since the last `begin`, as columns of rounds."""
        resident, gpu = self._keep()
        return {"resident_peak_bytes": resident if self._anew else None, "gpu_allocated_peak_bytes": gpu}

    def _keep(self) -> tuple[int, int | None]:
        resident, gpu = memory_peak_bytes(), None
        if self._gpus:
            import torch

            gpu = sum(torch.cuda.max_memory_allocated(number) for number in range(self._gpus)) or None
        self.resident_bytes = max(self.resident_bytes, resident)
        self.gpu_bytes = max((found for found in (self.gpu_bytes, gpu) if found is not None), default=None)
        return resident, gpu
