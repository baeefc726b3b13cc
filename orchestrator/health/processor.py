"""Cores, their hyper-threads and how their frequency is set."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.measurement.affinity import allowed_cores
from orchestrator.measurement.environment import environment, read_text
from orchestrator.measurement.machine import parse_cores

CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Processor:
    """The processor as the kernel shows it to this process.

    siblings
        for every allowed core that shares its physical core with others: all of these, itself included.
    governors
        of the allowed cores, each once; empty where the kernel sets no frequency.
    turbo
        None where the kernel does not tell.
    """

    name: str
    cores: tuple[int, ...]
    logical_cores: int
    siblings: tuple[tuple[int, ...], ...]
    governors: tuple[str, ...]
    turbo: bool | None
    is_virtual: bool


def read_processor() -> Processor:
    """Read the processor."""
    cores, told = allowed_cores(), environment()
    return Processor(
        name=str(told["processor"]),
        cores=cores,
        logical_cores=os.cpu_count() or 1,
        siblings=read_siblings(CPUS, cores),
        governors=read_governors(CPUS, cores),
        turbo=told["turbo"],
        is_virtual=" hypervisor" in (read_text(Path("/proc/cpuinfo")) or ""),
    )


def read_siblings(cpus: Path, cores: Iterable[int]) -> tuple[tuple[int, ...], ...]:
    """Return the sets of two or more threads of one physical core, of which at least one is in ``cores``."""
    lists = [read_text(cpus / f"cpu{core}" / "topology" / "thread_siblings_list") or "" for core in cores]
    return tuple(sorted({threads for threads in map(parse_cores, lists) if len(threads) > 1}))


def read_governors(cpus: Path, cores: Iterable[int]) -> tuple[str, ...]:
    """Return the governors of the cores, each once."""
    texts = [read_text(cpus / f"cpu{core}" / "cpufreq" / "scaling_governor") for core in cores]
    return tuple(sorted({text for text in texts if text}))
