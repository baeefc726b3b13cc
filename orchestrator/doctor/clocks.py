"""What the clocks of a host cost and resolve, and how far its wall clock is from the driver's."""

import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from orchestrator.machine.environment import read_text

READS = 20_000
SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


@dataclass(frozen=True)
class Clocks:
    """Both clocks of a host.

    overhead_ns
        median of the differences between one reading of the timer and the next, the loop around them included.
    resolution_ns, wall_resolution_ns
        step of the timer and of the wall clock; 0 where a clock stood still.
    backwards
        how often the timer went back.
    source
        what the kernel takes the time from, such as ``tsc``; None if it does not say.
    """

    overhead_ns: float
    resolution_ns: int
    wall_resolution_ns: int
    backwards: int
    source: str | None


@dataclass(frozen=True)
class Trip:
    """One question for the time: when it left and when its answer came by the driver's clock, and what the host's clock said."""

    sent_ns: int
    host_ns: int
    received_ns: int


@dataclass(frozen=True)
class Offset:
    """A host's wall clock less the driver's; the truth is within ``half_trip_ns`` of it."""

    offset_ns: int
    half_trip_ns: int


def read_clocks() -> Clocks:
    """Read the timer and the wall clock back to back."""
    steps = steps_of(time.perf_counter_ns)
    return Clocks(
        overhead_ns=statistics.median(steps),
        resolution_ns=math.gcd(*steps),
        wall_resolution_ns=math.gcd(*steps_of(time.time_ns)),
        backwards=sum(step < 0 for step in steps),
        source=read_text(SOURCE),
    )


def steps_of(clock: Callable[[], int], reads: int = READS) -> list[int]:
    """Return the differences between consecutive readings of a clock."""
    stamps = [0] * reads
    for index in range(reads):
        stamps[index] = clock()
    return [later - earlier for earlier, later in pairwise(stamps)]


def offset_from(trips: Iterable[Trip]) -> Offset:
    """Return the offset by the shortest trip: the host read its clock at some moment within it."""
    best = min(trips, key=lambda trip: trip.received_ns - trip.sent_ns)
    half_trip_ns = (best.received_ns - best.sent_ns + 1) // 2
    return Offset(best.host_ns - best.sent_ns - half_trip_ns, half_trip_ns)
