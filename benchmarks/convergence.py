"""Time of one convergence check after 10^4 and after 10^6 times, beside scikit-learn evaluating one of the six densities it compares.

python benchmarks/convergence.py [--no-peer]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.convergence import DensityConvergence
from orchestrator.stats.density import select_bandwidth

SIZES = (10**4, 10**6)
ROUND = 1000
WINDOW = 5
BAR_MS = 20.0
BAR_RATIO = 1.2


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


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


def peer_seconds(size: int) -> float | None:
    try:
        from sklearn.neighbors import KernelDensity
    except ImportError:
        return None
    times_s = draw(np.random.default_rng(0), size) / 1e9
    grid = np.linspace(times_s.min(), times_s.max(), 1000)[:, np.newaxis]
    density = KernelDensity(bandwidth=select_bandwidth(times_s).value)
    return milliseconds(lambda: density.fit(times_s[:, np.newaxis]).score_samples(grid)) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=101)
    parser.add_argument("--no-peer", action="store_true", help="leave scikit-learn out, which takes most of the time")
    arguments = parser.parse_args()
    random = np.random.default_rng(1)
    histories = {size: with_history(size) for size in SIZES}
    ours: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(arguments.checks):  # in turn, so that a disturbance of the machine meets both
        for size, convergence in histories.items():
            # Rounds that do not grow the shorter history by much.
            times = draw(random, min(ROUND, size // 1000))
            ours[size].append(milliseconds(lambda convergence=convergence, times=times: convergence.update(times)))
    print(f"{'history':>9} {'check, median':>14} {'check, best':>12}   {'scikit-learn, 1 density of 6':>28}")
    for size, durations in ours.items():
        peer = None if arguments.no_peer else peer_seconds(size)
        shown = "not run" if peer is None else f"{peer:.2f} s"
        print(f"{size:>9,} {statistics.median(durations):>11.1f} ms {min(durations):>9.1f} ms   {shown:>28}")
    ratio = statistics.median(ours[SIZES[1]]) / statistics.median(ours[SIZES[0]])
    print(f"bars: {BAR_MS:.0f} ms at {SIZES[1]:,}; cost there over cost at {SIZES[0]:,} at most {BAR_RATIO}: {ratio:.2f}")
    if ratio > BAR_RATIO or statistics.median(ours[SIZES[1]]) > BAR_MS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
