"""What the timed loops add: per sample, closed and under load, and to the schedule in real time.

``python benchmarks/load.py [SECONDS]`` prints three tables; each way to wait is measured for 20 s, unless SECONDS says otherwise.
Run it where nothing else works; it says how busy the machine was.

1. Time per sample that the loop adds around stages that do nothing, closed and under load with everything waiting.
2. Own delay where samples find the server idle, medians over ten slices of p50 and p99: spinning all the time (bar 5 us), asleep until
   200 us before the moment, and asleep without any spin (bar 150 us); with the cores that others kept busy meanwhile.
3. The gap between two inferences where samples wait (bar 10 us).

Exit code 1: a bar is missed.
"""

import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import psutil

from orchestrator.measurement.load_loop import Service, serve, waiting
from orchestrator.measurement.timing import STAMPS, Stages, run_batches
from orchestrator.stats.queueing import gamma

SAMPLES, REPEATS, SLICES = 100_000, 7, 10
SPIN_NS = 200_000
GAP_BAR_US = 10.0


class Way(NamedTuple):
    """A way to wait until a sample comes, and the bar on own delay's p50."""

    name: str
    idle: Literal["sleep", "spin"]
    spin_ns: int
    bar_us: float | None


WAYS = (
    Way("spin", "spin", SPIN_NS, 5.0),
    Way("sleep, the last 200 us spun", "sleep", SPIN_NS, None),
    Way("sleep without spin", "sleep", 0, 150.0),
)


def nothing(value: Any) -> Any:
    """Do nothing, as a stage."""
    return value


NOTHING = Stages(nothing, nothing, nothing)


def bare(count: int) -> int:
    """Return how long three calls that do nothing and a Python loop take for so many samples, ns: what any loop needs."""
    batches = [(0,)] * count
    started = time.perf_counter_ns()
    for batch in batches:
        nothing(nothing(nothing(batch)))
    return time.perf_counter_ns() - started


def closed(count: int) -> int:
    """Return how long the closed loop takes, ns."""
    stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
    batches = [(0,)] * count
    started = time.perf_counter_ns()
    run_batches(batches, NOTHING, stamps)
    return time.perf_counter_ns() - started


def under_load(count: int) -> int:
    """Return how long the loop under load takes, ns, for samples of which one has arrived whenever the server is free."""
    stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
    due = list(range(count))
    started = time.perf_counter_ns()
    serve(due, due, NOTHING, stamps, Service(), time.perf_counter_ns, waiting("spin", 0))
    return time.perf_counter_ns() - started


def added_ns(loop: Callable[[int], int]) -> float:
    """Return what a loop adds to a sample, ns: the least of some runs."""
    return (min(loop(SAMPLES) for _ in range(REPEATS)) - min(bare(SAMPLES) for _ in range(REPEATS))) / SAMPLES


def in_real_time(way: Way, busy_ns: int, rate_per_s: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Serve a Poisson stream with an inference that spins; return own delays and gaps between inferences, ns, in order."""
    count = int(rate_per_s * seconds)
    moments = gamma(count, rate_per_s, 1.0, np.random.default_rng(1))

    def infer(batch: Sequence[int]) -> Sequence[int]:
        until = time.perf_counter_ns() + busy_ns
        while time.perf_counter_ns() < until:
            pass
        return batch

    stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
    due = moments + time.perf_counter_ns() + 10_000_000
    wait = waiting(way.idle, way.spin_ns)
    serve(due.tolist(), list(range(count)), Stages(nothing, infer, nothing), stamps, Service(), time.perf_counter_ns, wait)
    taken = np.array(stamps, dtype=np.int64).reshape(-1, STAMPS)
    starts, free = taken[1:, 0], taken[:-1, 3]
    idle_for = due[1:] - free
    return (starts - due[1:])[idle_for >= SPIN_NS], (starts - free)[idle_for <= 0]


def over_slices(values: np.ndarray, percent: float) -> float:
    """Return the median over ten slices of a percentile, us; NaN of nothing."""
    slices = [part for part in np.array_split(values, SLICES) if part.size]
    return statistics.median(float(np.percentile(part, percent)) for part in slices) / 1000 if slices else math.nan


def main() -> int:
    """Print the tables. Returns the exit code."""
    print(f"load average before: {os.getloadavg()[0]:.2f}, cores: {len(os.sched_getaffinity(0))}, niceness: {os.nice(0)}")
    print(f"added per sample, closed: {added_ns(closed):.0f} ns; under load: {added_ns(under_load):.0f} ns")
    missed = []
    for way in WAYS:
        before, own, began = psutil.cpu_times(), time.process_time(), time.monotonic()
        delays, gaps = in_real_time(way, busy_ns=2_000_000, rate_per_s=150, seconds=float(sys.argv[1]) if len(sys.argv) > 1 else 20)
        after, own_s, took_s = psutil.cpu_times(), time.process_time() - own, time.monotonic() - began
        others = (sum(after) - after.idle - after.iowait - sum(before) + before.idle + before.iowait - own_s) / took_s
        delay, gap = over_slices(delays, 50), over_slices(gaps, 50)
        bars = [("own delay", delay, way.bar_us), ("gap", gap, GAP_BAR_US)]
        missed += [f"{way.name}: {name} {value:.1f} us, bar {bar:g}" for name, value, bar in bars if bar is not None and not value <= bar]
        print(
            f"{way.name}: own delay when idle p50 {delay:.2f} us, p99 {over_slices(delays, 99):.1f} us, longest "
            f"{delays.max(initial=0) / 1000:.0f} us ({delays.size} samples); gap when queued p50 {gap:.2f} us ({gaps.size}); "
            f"others kept {max(0.0, others):.2f} cores busy"
        )
    print(f"missed: {'; '.join(missed)}" if missed else "all bars hold")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
