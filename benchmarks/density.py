"""Time and accuracy of a density at 1,000 points, its bandwidth included, beside scikit-learn's."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
from scipy import stats

from benchmarks.common import Benchmark, Figure, at_most, left_out, median_ms
from orchestrator.stats.density import kde_on_grid, select_bandwidth

SIZES = (10**4, 10**5, 10**6)
GRID = np.linspace(-5, 5, 1000)


def peers_s(values: np.ndarray, bandwidth: float) -> float:
    from sklearn.neighbors import KernelDensity

    density = KernelDensity(bandwidth=bandwidth)
    return median_ms(lambda: density.fit(values[:, np.newaxis]).score_samples(GRID[:, np.newaxis])) / 1000


def measure(asked: Namespace) -> Iterator[Figure]:
    has_peer = find_spec("sklearn") is not None
    if not has_peer:
        yield left_out("scikit-learn")
    for size in (10**4, 10**5) if asked.quick else SIZES:
        values = np.random.default_rng(0).normal(size=size)
        bandwidth = select_bandwidth(values).value
        took_ms = median_ms(lambda values=values: kde_on_grid(values, GRID, select_bandwidth(values).value), 3)
        peer = f"scikit-learn {peers_s(values, bandwidth):.2f} s, bandwidth given" if has_peer and size < 10**6 else ""
        yield Figure(f"{size:,} values: time", took_ms / 1000, "s", peer)
        some = GRID[::100]
        exact = np.array([stats.norm.pdf((place - values) / bandwidth).mean() / bandwidth for place in some])
        error = np.abs(kde_on_grid(values, GRID, bandwidth)[::100] - exact).max() * bandwidth / stats.norm.pdf(0)
        yield Figure(f"{size:,} values: error, of the kernel's peak", float(error))


BENCHMARK = Benchmark(
    "density",
    "Time and accuracy of a density at 1,000 points",
    measure,
    bars={f"{size:,} values: error, of the kernel's peak": at_most(1e-12) for size in SIZES},
    peer="scikit-learn",
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
