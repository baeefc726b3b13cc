"""Time of one convergence check after 10^4 and after 10^6 times."""

import statistics
import sys
from argparse import Namespace
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Benchmark, Figure, at_most, median_ms
from orchestrator.stats.convergence import DensityConvergence

SHORT, LONG = 10**4, 10**6
ROUND, WINDOW, CHECKS = 1000, 5, 101


def draw(random: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Times of 15 ms, 10 % wide, one in a hundred stalled for three times as long."""
    return random.lognormal(np.log(15e6), 0.1, size) * np.where(random.random(size) < 0.01, 3.0, 1.0)


def with_history(size: int) -> DensityConvergence:
    convergence, random = DensityConvergence(), np.random.default_rng(0)
    for _ in range(10):
        convergence.add(draw(random, size // 10))
    for _ in range(WINDOW):
        convergence.check()
    return convergence


def measure(asked: Namespace) -> Iterator[Figure]:
    random = np.random.default_rng(1)
    histories = {size: with_history(size) for size in (SHORT, LONG)}
    durations: dict[int, list[float]] = {size: [] for size in histories}
    for _ in range(CHECKS):  # in turn, so that a disturbance of the machine meets both
        for size, convergence in histories.items():
            times = draw(random, min(ROUND, size // 1000))  # rounds that do not grow the shorter history by much
            durations[size].append(median_ms(lambda convergence=convergence, times=times: convergence.update(times)))
    short, long = (statistics.median(durations[size]) for size in (SHORT, LONG))
    yield Figure("check after 1,000,000 times", long, "ms")
    yield Figure("over a check after 10,000 times", long / short)


BENCHMARK = Benchmark(
    "convergence",
    "Time of a check whether the density of times has settled",
    measure,
    bars={"check after 1,000,000 times": at_most(20), "over a check after 10,000 times": at_most(1.2)},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
