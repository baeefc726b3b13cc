"""What one machine has to offer, read without a framework."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.measurement.affinity import allowed_cores

NODES = Path("/sys/devices/system/node")


@dataclass(frozen=True)
class Machine:
    """The facts a plan is held against.

    cores
        those this process may use.
    memory_bytes
        physical memory.
    devices
        accelerators besides ``cpu``: ``cuda:0`` and so on, and their UUIDs.
    numa
        cores of each NUMA node.
    labels
        labels of the Ray node, none for an embedded Ray.
    """

    host: str
    cores: tuple[int, ...]
    memory_bytes: int
    devices: tuple[str, ...] = ()
    numa: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def read_machine() -> Machine:
    """Return what this machine has to offer."""
    import psutil

    return Machine(
        host=socket.gethostname(),
        cores=allowed_cores(),
        memory_bytes=int(psutil.virtual_memory().total),
        devices=tuple(_devices()),
        numa={int(node.name[4:]): parse_cores((node / "cpulist").read_text()) for node in sorted(NODES.glob("node[0-9]*"))},
    )


def parse_cores(text: str) -> tuple[int, ...]:
    """Return the cores that a kernel file lists as ``0-3,8``."""
    cores: list[int] = []
    for part in filter(None, text.strip().split(",")):
        low, _, high = part.partition("-")
        cores.extend(range(int(low), int(high or low) + 1))
    return tuple(cores)


def format_cores(cores: Iterable[int]) -> str:
    """Return cores as ``parse_cores`` reads them."""
    spans: list[tuple[int, int]] = []
    for core in sorted(cores):
        if spans and core == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], core)
        else:
            spans.append((core, core))
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def _devices() -> Iterator[str]:
    """Yield the GPUs that the driver shows, and the MIG parts of each; none where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            yield f"cuda:{index}"
            yield str(pynvml.nvmlDeviceGetUUID(handle))
            yield from _parts(handle)
    finally:
        pynvml.nvmlShutdown()


def _parts(handle: object) -> Iterator[str]:
    import pynvml

    try:
        count = pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except pynvml.NVMLError:
        return
    for index in range(count):
        try:
            yield str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)))
        except pynvml.NVMLError:
            return
