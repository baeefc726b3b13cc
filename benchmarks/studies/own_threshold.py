"""Why a trial's own percentile ranks nothing: it fixes the share of samples on time, whatever the system.

Three systems of equal ideal quality: one fast, one twice as slow, one with a stall in 20 samples. At their own p95 they look alike; at
one common threshold, the fast system's p99, they do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.studies.scenarios import IDEAL, LOGNORMAL, Scenario, generator, scores
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.thresholds import own_thresholds

TITLE = "Mean tail quality at a trial's own p95 and at a common threshold, 1,000 samples, 30 rounds"
REPETITIONS = 200
ROUNDS, SAMPLES = 30, 1000
OWN_PERCENTILE = 95.0
COMMON_ON_TIME = 0.99


@dataclass(frozen=True)
class Case:
    """One system."""

    scenario: Scenario

    @property
    def name(self) -> str:
        return self.scenario.name


CASES = [
    Case(Scenario("fast", LOGNORMAL.parts)),
    Case(Scenario("twice as slow", ((1.0, float(np.log(2)), 0.1),))),
    Case(Scenario("5 % stalls", ((0.95, 0.0, 0.1), (0.05, 2.0, 0.5)))),
]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row: means over trials."""
    random = generator(seed, "own_threshold", case.name)
    score, common = scores(SAMPLES), LOGNORMAL.threshold_ns(COMMON_ON_TIME)
    at_own, at_common = [], []
    for _ in range(repetitions):
        times = case.scenario.times(random, ROUNDS, SAMPLES)
        own = own_thresholds(times, [OWN_PERCENTILE])
        at_own.append(quality_curve(score, times[own.first_round :], [own.thresholds[0].ns]).mean())
        at_common.append(quality_curve(score, times, [common]).mean())
    return [
        {
            "system": case.name,
            "ideal quality": IDEAL,
            "at its own p95": float(np.mean(at_own)),
            "at the fast system's p99": float(np.mean(at_common)),
        }
    ]
