"""The GPUs that the driver shows, read through NVML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Gpu:
    """One GPU; None where the driver does not tell.

    processes
        that compute on it. There are none of ours while it is read.
    throttle_reasons
        NVML's bit mask.
    """

    index: int
    name: str
    uuid: str
    memory_bytes: int | None
    persistence: bool | None
    processes: int | None
    throttle_reasons: int | None


def read_gpus() -> tuple[Gpu, ...]:
    """Return all GPUs, none where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_read(index) for index in range(pynvml.nvmlDeviceGetCount()))
    finally:
        pynvml.nvmlShutdown()


def _read(index: int) -> Gpu:
    import pynvml

    handle: Any = pynvml.nvmlDeviceGetHandleByIndex(index)
    persistence = _told(lambda: int(pynvml.nvmlDeviceGetPersistenceMode(handle)))
    return Gpu(
        index=index,
        name=str(pynvml.nvmlDeviceGetName(handle)),
        uuid=str(pynvml.nvmlDeviceGetUUID(handle)),
        memory_bytes=_told(lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)),
        persistence=None if persistence is None else persistence == pynvml.NVML_FEATURE_ENABLED,
        processes=_told(lambda: len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))),
        throttle_reasons=_told(lambda: int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))),
    )


def _told(ask: Callable[[], T]) -> T | None:
    import pynvml

    try:
        return ask()
    except pynvml.NVMLError:
        return None
