"""Time and accuracy of the exact law of independent samples (Poisson-binomial): 100 laws of 10,000 samples, beside SciPy.

A peer that takes seconds a law is timed on one law, and the time is multiplied.
"""

import sys
from argparse import Namespace
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.common import Benchmark, Figure, at_most, median_ms
from orchestrator.stats.prediction import poisson_binomial_pmf

SAMPLES, LAWS = 10_000, 100

Floats = NDArray[np.float64]


def direct_transform(chances: Floats) -> Floats:
    """Return the law of one row from its characteristic function, n points times n events (Hong 2013)."""
    points = chances.size + 1
    turn = np.exp(2j * np.pi * np.arange(points) / points)
    return np.fft.fft(np.prod(1 + chances * (turn[:, None] - 1), axis=1)).real / points


def measure(asked: Namespace) -> Iterator[Figure]:
    random = np.random.default_rng(0)
    chances = random.beta(9, 1, (LAWS, SAMPLES))
    found: list[Floats] = []
    scipy_s = median_ms(lambda: found.append(stats.poisson_binom.pmf(np.arange(SAMPLES + 1), chances[0]))) / 1000
    ours_s = median_ms(lambda: poisson_binomial_pmf(chances), 3) / 1000
    yield Figure("laws: time", ours_s, "s", f"SciPy {scipy_s * LAWS:.0f} s")
    yield Figure("laws: difference from SciPy", float(np.abs(found[0] - poisson_binomial_pmf(chances[:1])[0]).max()))
    few = chances[:1, :300]
    yield Figure("laws: difference from the direct transform", float(np.abs(poisson_binomial_pmf(few)[0] - direct_transform(few[0])).max()))


BENCHMARK = Benchmark(
    "prediction",
    f"Time and accuracy of the law of how many of {SAMPLES:,} independent samples are on time, at {LAWS} thresholds",
    measure,
    bars={
        "laws: time": at_most(5),
        "laws: difference from SciPy": at_most(1e-12),
        "laws: difference from the direct transform": at_most(1e-12),
    },
    peer="SciPy",
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
