"""Where the timed process really is: read back from the kernel and the runtime, and compared with what the trial asked for."""

import os
import sys
import threading
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError
from orchestrator.machine import environment
from orchestrator.machine.cores import THREAD_VARIABLES, allowed_cores, check_pinning, read_quota, read_threads
from orchestrator.machine.host import numa_cores

MEASURING = "the thread that measures may use cores"
# What a model can change of its own process while it is measured, and its name in messages.
OWN = {
    "measuring_cores": MEASURING,
    "niceness": "niceness",
    "scheduling_policy": "scheduling policy",
    "framework_threads": "threads of frameworks",
}
POLICIES = ("SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE", "SCHED_FIFO", "SCHED_RR")


def read_own() -> dict[str, Any]:
    """Return what the thread that measures has of its own: cores, niceness, scheduling policy, and the threads of frameworks."""
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    torch = sys.modules.get("torch")
    threads = {}
    if torch is not None and hasattr(torch, "get_num_threads"):
        threads = {"torch": int(torch.get_num_threads()), "torch_between_operations": int(torch.get_num_interop_threads())}
    return {
        "measuring_cores": list(allowed_cores()),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "scheduling_policy": next((name for name in POLICIES if getattr(os, name) == policy), str(policy)),
        "framework_threads": threads,
    }


# What no model may change at all, not even while it loads and warms up: it is the system's. Threads
# it sets in load.
OF_THE_SYSTEM = ("measuring_cores", "niceness", "scheduling_policy")


def placement_kept(start: Mapping[str, Any], end: Mapping[str, Any], pinned: bool) -> tuple[str, ...]:
    """Return as flags what has changed of a process's own placement (pure).

    Raises
    ------
    InputError
        if the cores of a pinned process or the threads of a framework have changed: its rounds are not of the system that they name.
    """
    changed = {name: (start.get(name), end.get(name)) for name in OWN if name in start and start[name] != end.get(name)}
    for name in ("framework_threads", *(("measuring_cores",) if pinned else ())):
        if name in changed:
            before, after = changed[name]
            raise InputError(
                f"{OWN[name]} {after} after the rounds and {before} before them: the model changes this; have it do so in load",
                "unsupported",
                name,
                after,
            )
    return tuple(f"{OWN[name]} {before} at first and {after} at the end" for name, (before, after) in changed.items())


def refuse_other_cores(start: Mapping[str, Any], pinned: bool) -> None:
    """Raise InputError if a pinned process may use other cores now than after its warm-up. Costs a call to the kernel of 1 us."""
    cores = list(allowed_cores())
    if pinned and cores != start["measuring_cores"]:
        raise InputError(
            f"{MEASURING} {cores} after a round and {start['measuring_cores']} before it: the model changes this; have it do so in load",
            "unsupported",
            "system.cores",
            cores,
        )


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
    by the thread that times. Raises InputError if a thread that computes is on
    another core, or the runtime has another number of threads.
    """
    masks = read_threads()
    computing = check_pinning(cores, allowed, masks, moved, threading.get_native_id()) if pinned else masks
    quota = read_quota()
    found = dict(facts.get("threads", {}))
    for pool, count in found.items():
        if count != threads:
            raise InputError(
                f"system.threads={threads}: runtime {trial.runtime.name} reads back {count} in pool {pool}; choose system.threads to fit",
                "conflict",
                "system.threads",
                threads,
            )
    return {
        "host": environment.environment()["host"],
        "boot_id": environment.boot_id(),
        "pid": os.getpid(),
        **read_own(),
        "pinned": pinned,
        "cores": list(cores),
        "numa": sorted(node for node, there in numa_cores().items() if set(there) & set(cores)),
        "quota_cores": quota and quota.cores,
        "threads": threads,
        "runtime_threads": found,
        "computing_threads": [{**asdict(mask), "cores": list(mask.cores)} for mask in computing],
        "other_threads": len(masks) - len(computing),
        "thread_variables": {name: os.environ.get(name) for name in THREAD_VARIABLES},
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
