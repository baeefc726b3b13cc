"""Time of one tail-quality curve: 10,000 samples x 100 rounds x 100 thresholds, on one core, beside brute force.

python benchmarks/quality_curve.py
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from orchestrator.stats.tail_quality import quality_curve

BAR_MS = 50.0


def brute_force(scores: NDArray[np.float64], times: NDArray[np.int64], thresholds: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.array([(scores * (times <= threshold)).mean(axis=1) for threshold in thresholds])


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--thresholds", type=int, default=100)
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    times = (10e6 * np.exp(random.normal(0, 0.3, (arguments.rounds, arguments.samples)))).astype(np.int64)
    thresholds = np.geomspace(times.min(), times.max(), arguments.thresholds).astype(np.int64)
    for name, scores in (
        ("scores of 0 and 1", (random.random(arguments.samples) < 0.9).astype(float)),
        ("fractional scores", random.random(arguments.samples)),
    ):
        expected = brute_force(scores, times, thresholds)
        difference = float(np.abs(quality_curve(scores, times, thresholds) - expected).max())
        ours = statistics.median(milliseconds(partial(quality_curve, scores, times, thresholds)) for _ in range(arguments.runs))
        theirs = statistics.median(milliseconds(partial(brute_force, scores, times, thresholds)) for _ in range(3))
        print(
            f"{name}: {ours:.1f} ms, median of {arguments.runs} runs (bar {BAR_MS:.0f} ms); brute force {theirs:.0f} ms; "
            f"largest difference {difference:.1e}"
        )


if __name__ == "__main__":
    main()
