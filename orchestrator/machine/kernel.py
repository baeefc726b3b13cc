"""A fixed piece of work, timed over and over: it tells the speed of the machine apart from that of a model."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

BLOCK = bytes(2**20)
REPETITIONS = 30


def time_kernel(repetitions: int = REPETITIONS, clock: Callable[[], int] = time.perf_counter_ns) -> list[int]:
    """Return how long each repetition took, in ns. The work is SHA-256 over 1 MiB: no memory traffic to speak of, no branches."""
    times = []
    for _ in range(repetitions):
        started = clock()
        hashlib.sha256(BLOCK).digest()
        times.append(clock() - started)
    return times


def kernel_ns() -> int:
    """Return the shortest time of the kernel, in ns: what the machine can do, whatever interrupted the other repetitions."""
    return min(time_kernel())
