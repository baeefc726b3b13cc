"""Time of one tail-quality curve: 10,000 samples x 100 rounds x 100 thresholds, on one core, beside brute force."""

import sys
from argparse import Namespace
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Benchmark, Figure, at_most, median_ms
from orchestrator.stats.tail_quality import quality_curve

SAMPLES, ROUNDS, THRESHOLDS, RUNS = 10_000, 100, 100, 15


def brute_force(scores: NDArray[np.float64], times: NDArray[np.int64], thresholds: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.array([(scores * (times <= threshold)).mean(axis=1) for threshold in thresholds])


def measure(asked: Namespace) -> Iterator[Figure]:
    random = np.random.default_rng(0)
    times = (10e6 * np.exp(random.normal(0, 0.3, (ROUNDS, SAMPLES)))).astype(np.int64)
    thresholds = np.geomspace(times.min(), times.max(), THRESHOLDS).astype(np.int64)
    for name, scores in (
        ("scores of 0 and 1", (random.random(SAMPLES) < 0.9).astype(float)),
        ("fractional scores", random.random(SAMPLES)),
    ):
        expected = brute_force(scores, times, thresholds)
        theirs = median_ms(lambda scores=scores: brute_force(scores, times, thresholds), 3)
        ours = median_ms(lambda scores=scores: quality_curve(scores, times, thresholds), RUNS)
        yield Figure(f"{name}: time", ours, "ms", f"brute force {theirs:.0f} ms")
        yield Figure(f"{name}: difference", float(np.abs(quality_curve(scores, times, thresholds) - expected).max()))


BENCHMARK = Benchmark(
    "quality_curve",
    f"Time of a curve of {THRESHOLDS} thresholds over {ROUNDS} rounds of {SAMPLES:,} samples",
    measure,
    bars={
        "scores of 0 and 1: time": at_most(50),
        "fractional scores: time": at_most(50),
        "scores of 0 and 1: difference": at_most(1e-12),
        "fractional scores: difference": at_most(1e-12),
    },
    peer="brute force",
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
