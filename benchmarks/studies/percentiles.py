"""Does the interval of a latency percentile cover the true percentile, also where samples of a round are alike?

No bar. Order statistics hold for independent samples whatever their distribution; where the design effect exceeds 1.5 the number of
samples is divided by it, an approximation that 30 rounds can carry only so far. Percentiles with fewer than 10 effective samples beyond
them are reported as `not certified`: their share is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.studies.scenarios import LOGNORMAL, STALLS, WITHOUT_BAR, Scenario, generator
from orchestrator.stats.latency import LatencyPercentile, latency_percentile

TITLE = "Coverage of the 95 % interval of latency percentiles, 30 rounds"
REPETITIONS = 2000
ROUNDS = 30
PERCENTILES = (50.0, 90.0, 99.0, 99.9)


@dataclass(frozen=True)
class Case:
    """Times of one kind, in rounds of so many samples."""

    scenario: Scenario
    samples: int

    @property
    def name(self) -> str:
        return f"{self.scenario.name}, {self.samples} samples"


CASES = [Case(scenario, samples) for scenario in (LOGNORMAL, STALLS, *WITHOUT_BAR) for samples in (20, 1000)]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per percentile."""
    random = generator(seed, "percentiles", case.name)
    found: dict[float, list[LatencyPercentile]] = {percentile: [] for percentile in PERCENTILES}
    for _ in range(repetitions):
        times = case.scenario.times(random, ROUNDS, case.samples)
        for percentile, some in found.items():
            some.append(latency_percentile(times, percentile))
    return [_row(case, percentile, some) for percentile, some in found.items()]


def _row(case: Case, percentile: float, found: list[LatencyPercentile]) -> dict[str, str | int | float]:
    truth = case.scenario.threshold_ns(percentile / 100)
    return {
        "times": case.scenario.name,
        "samples": case.samples,
        "percentile": percentile,
        "covers (%)": 100 * float(np.mean([one.low_ns <= truth <= one.high_ns for one in found])),
        "design effect, mean": float(np.mean([one.design_effect for one in found])),
        "no upper limit (%)": 100 * float(np.mean([np.isinf(one.high_ns) for one in found])),
        "not certified (%)": 100 * float(np.mean([not one.certified for one in found])),
    }
