"""Pin this thread to one core, see where it really runs, and time a fixed piece of work there over and over."""

from __future__ import annotations

import math
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from orchestrator.machine.cores import CAN_PIN, allowed_cores
from orchestrator.machine.environment import read_text
from orchestrator.machine.kernel import time_kernel
from orchestrator.measurement.evidence import read_counters

WARMUP = 50
AT_ONCE = 50
AT_LEAST = 300
AT_MOST = 20_000
DURATION_S = 2.0
"""So long that one tick of the kernel's count of stolen time, 10 ms, is half a percent."""
PROCESSOR_FIELD = 36
"""Of /proc/thread-self/stat, counted from the state, which follows the name."""


@dataclass(frozen=True)
class Noise:
    """The fixed work on one core.

    core
        the one pinned to.
    read_back
        the mask that the kernel then shows for this thread; empty where the operating system cannot pin.
    ran_on
        the core that the kernel last saw the thread on, or None where it does not tell.
    refused
        why the kernel did not pin, or nothing.
    """

    core: int
    read_back: tuple[int, ...]
    ran_on: int | None
    refused: str
    count: int
    median_ns: int
    p99_ns: int
    max_ns: int
    duration_ns: int
    steal_ns: int


def read_noise(duration_s: float = DURATION_S) -> Noise:
    """Time the work on the highest core allowed: the lowest serve most interrupts. The thread's mask is put back afterwards."""
    before = allowed_cores()
    core, refused = before[-1], ""
    if CAN_PIN:
        try:
            os.sched_setaffinity(0, {core})
        except OSError as error:
            refused = error.strerror or type(error).__name__
    try:
        read_back = allowed_cores() if CAN_PIN else ()
        time_kernel(WARMUP)
        started_ns, counters = time.perf_counter_ns(), read_counters((core,))
        times = _times(started_ns + int(duration_s * 1e9))
        duration_ns = time.perf_counter_ns() - started_ns
        steal_ns = read_counters((core,)).steal_ns - counters.steal_ns
        ran_on = core_of_this_thread()
    finally:
        if CAN_PIN:
            os.sched_setaffinity(0, before)
    times.sort()
    return Noise(
        core=core,
        read_back=read_back,
        ran_on=ran_on,
        refused=refused,
        count=len(times),
        median_ns=int(statistics.median(times)),
        p99_ns=times[math.ceil(0.99 * len(times)) - 1],
        max_ns=times[-1],
        duration_ns=duration_ns,
        steal_ns=steal_ns,
    )


def _times(until_ns: int) -> list[int]:
    times: list[int] = []
    while len(times) < AT_LEAST or (time.perf_counter_ns() < until_ns and len(times) < AT_MOST):
        times += time_kernel(AT_ONCE)
    return times


def core_of_this_thread() -> int | None:
    """Return the core that the kernel last saw the calling thread on."""
    fields = (read_text(Path("/proc/thread-self/stat")) or "").rpartition(")")[2].split()
    return int(fields[PROCESSOR_FIELD]) if len(fields) > PROCESSOR_FIELD else None
