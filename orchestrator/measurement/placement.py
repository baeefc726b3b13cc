"""Where the timed process really is: read back from the kernel and the runtime, and compared with what the trial asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.config import Trial
from orchestrator.contracts import InputError
from orchestrator.measurement import affinity, environment
from orchestrator.measurement.machine import numa_cores
from orchestrator.measurement.quota import read_quota


def read_placement(
    trial: Trial,
    cores: tuple[int, ...],
    threads: int,
    allowed: tuple[int, ...],
    pinned: bool,
    facts: Mapping[str, Any],
    moved: Collection[int] = (),
) -> dict[str, Any]:
    """Return host, cores, their NUMA nodes, processor time allowed (in cores, None without a quota), threads and masks, as plain JSON.

    ``allowed`` are the cores the process had before it pinned itself, ``moved`` the threads that were moved away then. To be called
    by the thread that times. Raises InputError where a thread that computes is on
    another core, or the runtime has another number of threads.
    """
    masks = affinity.read_threads() if affinity.CAN_PIN else []
    computing = affinity.check_pinning(cores, allowed, masks, moved, threading.get_native_id()) if pinned else masks
    quota = read_quota()
    found = dict(facts.get("threads", {}))
    for pool, count in found.items():
        if count != threads:
            raise InputError(
                f"system.threads={threads}: runtime {trial.runtime.name} reads back {count} in pool {pool}; choose system.threads to fit"
            )
    return {
        "host": environment.environment()["host"],
        "boot_id": environment.boot_id(),
        "pid": os.getpid(),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "pinned": pinned,
        "cores": list(cores),
        "numa": sorted(node for node, there in numa_cores().items() if set(there) & set(cores)),
        "quota_cores": quota and quota.cores,
        "threads": threads,
        "runtime_threads": found,
        "computing_threads": [mask.as_json() for mask in computing],
        "other_threads": len(masks) - len(computing),
        "thread_variables": {name: os.environ.get(name) for name in affinity.THREAD_VARIABLES},
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
