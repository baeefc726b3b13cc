"""What the timed loops add to a sample: stamps and bookkeeping around stages that do nothing, less the same calls without them."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator

from benchmarks.common import Benchmark, Figure, at_most, median_ms
from orchestrator.measurement.load_loop import Service, serve, waiting
from orchestrator.measurement.timing import STAMPS, Stages, run_batches

SAMPLES, REPEATS = 100_000, 7


def same(value: object) -> object:
    return value


NOTHING = Stages(same, same, same)


def bare(batches: list[list[int]]) -> None:
    """Three calls and a place for the answer, without a stamp."""
    answers: list[object] = [None] * len(batches)
    for number in range(len(batches)):
        answers[number] = same(same(same(batches[number])))


def pyperf_like(batches: list[list[int]]) -> None:
    """A stamp before and one after the three calls, as a loop of pyperf that times single calls."""
    clock, times = time.perf_counter_ns, [0] * len(batches)
    for number in range(len(batches)):
        began = clock()
        same(same(same(batches[number])))
        times[number] = clock() - began


def closed(batches: list[list[int]]) -> None:
    run_batches(batches, NOTHING, memoryview(bytearray(8 * STAMPS * len(batches))).cast("q"))


def under_load(batches: list[list[int]]) -> None:
    """Serve samples of which one has arrived whenever the server is free."""
    stamps = memoryview(bytearray(8 * STAMPS * len(batches))).cast("q")
    serve(range(len(batches)), range(len(batches)), NOTHING, stamps, Service(), time.perf_counter_ns, waiting("spin", 0))


def least_ns(loop: Callable[[list[list[int]]], None]) -> float:
    """Return the least time of some runs of a loop, ns a sample."""
    batches = [[number] for number in range(SAMPLES)]
    return 1e6 / SAMPLES * min(median_ms(lambda: loop(batches)) for _ in range(REPEATS))


def measure(asked: Namespace) -> Iterator[Figure]:
    without = least_ns(bare)
    peer = f"pyperf-like loop {least_ns(pyperf_like) - without:.0f} ns"
    yield Figure("added, closed loop", least_ns(closed) - without, "ns", peer)
    yield Figure("added, under load", least_ns(under_load) - without, "ns", peer)


BENCHMARK = Benchmark(
    "timed_loop",
    "What the timed loops add to the time of a sample",
    measure,
    bars={"added, closed loop": at_most(500), "added, under load": at_most(1500)},
    peer="a pyperf-like loop of two stamps a call",
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
