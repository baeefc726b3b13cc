"""Bandwidth against the optimum on normal data, its steadiness under one outlier, and time and accuracy of the density.

python benchmarks/density.py [--no-peer]
"""

import argparse
import time

import numpy as np
from scipy import stats

from orchestrator.stats.density import kde_on_grid, select_bandwidth


def over_the_optimum(n: int, seeds: range) -> float:
    """Return the mean bandwidth of standard normal data over 1.059 n^(-1/5)."""
    return float(np.mean([select_bandwidth(np.random.default_rng(seed).normal(size=n)).value for seed in seeds]) / (1.059 * n**-0.2))


def moved_by_one_outlier(seeds: range) -> float:
    """Return the largest relative change of the bandwidth of 3,000 log times as one becomes 100 times the median."""
    changes = []
    for seed in seeds:
        times = np.random.default_rng(seed).lognormal(16, 0.1, 3000)
        before = select_bandwidth(np.log(times)).value
        times[0] = 100 * np.median(times)
        changes.append(abs(select_bandwidth(np.log(times)).value / before - 1))
    return max(changes)


def time_of_a_density(n: int, with_peer: bool) -> str:
    x = np.random.default_rng(0).normal(size=n)
    grid = np.linspace(-5, 5, 1000)
    start = time.perf_counter()
    bandwidth = select_bandwidth(x).value
    found = time.perf_counter()
    density = kde_on_grid(x, grid, bandwidth)
    done = time.perf_counter()
    some = grid[::100]
    exact = np.array([stats.norm.pdf((place - x) / bandwidth).mean() / bandwidth for place in some])
    error = np.abs(density[::100] - exact).max() * bandwidth / stats.norm.pdf(0)
    durations = f"bandwidth {found - start:.3f} s, density at 1,000 points {done - found:.3f} s"
    line = f"n = {n:>9,}: {durations}, error {error:.1e} of the kernel's peak"
    if not with_peer:
        return line
    try:
        from sklearn.neighbors import KernelDensity
    except ImportError:
        return line
    start = time.perf_counter()
    KernelDensity(bandwidth=bandwidth).fit(x[:, np.newaxis]).score_samples(grid[:, np.newaxis])
    return f"{line}; scikit-learn {time.perf_counter() - start:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1500, help="data sets of 1,000 values; a twentieth as many of 100,000")
    parser.add_argument("--no-peer", action="store_true", help="leave scikit-learn out")
    arguments = parser.parse_args()
    for n, seeds in ((1000, range(50)), (1000, range(arguments.seeds)), (100_000, range(50)), (100_000, range(arguments.seeds // 20))):
        print(f"bandwidth over 1.059 sigma n^(-1/5), n = {n:,}, mean of {len(seeds):,} seeds: {over_the_optimum(n, seeds):.4f}")
    print(f"moved by one outlier among 3,000, largest of 50 seeds: {100 * moved_by_one_outlier(range(50)):.2f} %")
    for n in (10**4, 10**5, 10**6):
        print(time_of_a_density(n, with_peer=not arguments.no_peer and n <= 10**5))


if __name__ == "__main__":
    main()
