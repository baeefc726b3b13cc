"""Time and accuracy of the exact law of independence: 10,000 samples x 100 thresholds, beside its peers.

python benchmarks/prediction.py

Peers: the direct transform of the characteristic function (Hong 2013; what poibin, MIT licence, does), scipy.stats.poisson_binom (BSD)
where SciPy has it, and fast-poibin (MPL-2.0, compiled by numba) where it is installed. Those that take seconds per law are timed on one
law, and the time is multiplied. Times are those of one core, so that what else the machine does has little part in them.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from orchestrator.stats.prediction import poisson_binomial_pmf, predict_independent, shares_on_time

BAR_S = 5.0
DRAWS = 100_000
UNIFORMS_AT_ONCE = 10**7
# How seldom Monte Carlo may lie further from the true law than the distance that is printed as its
# limit.
ONCE_IN = 10_000

Floats = NDArray[np.float64]


def seconds(call: Callable[[], object], runs: int = 1) -> float:
    """Return the median time of a call, in seconds of one core."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def direct_transform(probabilities: Floats) -> Floats:
    """Return the law of one row from its characteristic function, n points times n events."""
    points = probabilities.size + 1
    characteristic = np.empty(points, dtype=np.complex128)
    for start in range(0, points, 200):
        turn = np.exp(2j * np.pi * np.arange(start, min(start + 200, points)) / points)
        characteristic[start : start + 200] = np.prod(1 + probabilities * (turn[:, None] - 1), axis=1)
    return np.fft.fft(characteristic).real / points


def drawn(probabilities: Floats, random: np.random.Generator) -> Floats:
    """Return the law of one row as Monte Carlo sees it."""
    step = max(1, UNIFORMS_AT_ONCE // probabilities.size)
    counts = [
        np.count_nonzero(random.random((min(step, DRAWS - done), probabilities.size)) < probabilities, axis=1)
        for done in range(0, DRAWS, step)
    ]
    return np.bincount(np.concatenate(counts), minlength=probabilities.size + 1) / DRAWS


def furthest(first: Floats, second: Floats) -> float:
    """Return the largest distance between two distribution functions."""
    return float(np.abs(np.cumsum(first) - np.cumsum(second)).max())


def report_laws(probabilities: Floats, runs: int) -> None:
    laws, samples = probabilities.shape
    print(f"{laws} laws of {samples:,} samples (bar {BAR_S:.0f} s):")
    print(f"  convolution tree, any probabilities {seconds(lambda: poisson_binomial_pmf(probabilities), runs):.2f} s")


def report_predictions(samples: int, thresholds: int) -> None:
    random = np.random.default_rng(2)
    for kind, scores in (("0 and 1", (random.random(samples) < 0.9).astype(float)), ("0 to 1", random.random(samples))):
        times = (10e6 * np.exp(random.normal(0, 0.1, (100, samples)))).astype(np.int64)
        bounds = np.quantile(times, np.linspace(0.01, 0.999, thresholds), method="inverted_cdf")
        took = seconds(
            lambda scores=scores, times=times, bounds=bounds: predict_independent(scores, shares_on_time(times, bounds), 100, 30)
        )
        print(f"whole prediction from 100 rounds, scores {kind}, probabilities included: {took:.2f} s")


def report_accuracy(probabilities: Floats) -> None:
    row = probabilities[0]
    limit = float(np.sqrt(np.log(2 * ONCE_IN) / 2 / DRAWS))
    distance = furthest(poisson_binomial_pmf(row[None])[0], drawn(row, np.random.default_rng(3)))
    print(f"distance of the distribution functions from {DRAWS:,} draws: {distance:.4f} (beyond {limit:.4f} once in {ONCE_IN:,})")
    for few in (10, 300):
        difference = np.abs(poisson_binomial_pmf(row[None, :few])[0] - direct_transform(row[:few])).max()
        print(f"largest difference from the direct transform, {few} samples: {difference:.1e} (bar 1e-12)")


def report_peers(probabilities: Floats, runs: int) -> None:
    laws, row = len(probabilities), probabilities[0]
    ours = poisson_binomial_pmf(row[None])[0]
    took = seconds(lambda: direct_transform(row))
    print(f"direct transform: {took:.1f} s a law, {took * laws:,.0f} s for {laws}")
    if hasattr(stats, "poisson_binom"):
        events = np.arange(row.size + 1)
        start = time.process_time()
        difference = np.abs(stats.poisson_binom.pmf(events, row) - ours).max()
        took = time.process_time() - start
        print(f"scipy.stats.poisson_binom: {took:.2f} s a law, {took * laws:,.0f} s for {laws}; largest difference {difference:.1e}")
    try:
        from fast_poibin import PoiBin
    except ImportError:
        print("fast-poibin: not installed")
        return
    difference = np.abs(PoiBin(row).pmf - ours).max()  # the first call compiles
    took = seconds(lambda: [PoiBin(one).pmf for one in probabilities], runs)
    print(f"fast-poibin: {took:.2f} s for {laws}; largest difference {difference:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--thresholds", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    probabilities = np.random.default_rng(0).beta(9, 1, (arguments.thresholds, arguments.samples))
    report_laws(probabilities, arguments.runs)
    report_predictions(arguments.samples, arguments.thresholds)
    report_accuracy(probabilities)
    report_peers(probabilities, arguments.runs)


if __name__ == "__main__":
    main()
