"""Does the interval of a latency percentile cover the true percentile of rounds to come, also where rounds depend on each other?

Bars, at p50, p90 and p95, those of means (`rounds_to_come`): in one stretch at least 90 % from 60 rounds but for bursts (86 %) and AR(1)
0.95 (70 %), at least 93 % from 120 rounds but for AR(1) 0.95 (83 %); in visits, at the gaps that eight trials leave, at least 93 %. 30
rounds in one stretch, visits beside one other trial, which lie closer together, and p99 of 20 samples stand without a bar. Percentiles with
fewer than 10 effective samples beyond them are reported as `not certified`: their share is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.studies.rounds_to_come import EXCEPTIONS, IN_VISITS, LEAST
from benchmarks.studies.scenarios import BURSTS, DEPENDENT, LOGNORMAL, ROUND_EFFECTS, STALLS, TRIALS, Scenario, generator
from orchestrator.stats.latency import LatencyPercentile, latency_percentiles

TITLE = "Coverage of the 95 % interval of latency percentiles of rounds to come"
REPETITIONS = 1000
PERCENTILES = (50.0, 90.0, 95.0, 99.0)
JUDGED = PERCENTILES[:3]


@dataclass(frozen=True)
class Case:
    """Times of one kind, in rounds of so many samples: in one stretch, or in visits of so many rounds of so many trials that take turns."""

    scenario: Scenario
    samples: int
    rounds: int
    visit_rounds: int = 0
    trials: int = TRIALS

    @property
    def name(self) -> str:
        beside = "" if self.trials == TRIALS else f", {self.trials} trials"
        return f"{self.scenario.name}, {self.rounds} rounds of {self.samples} samples in {self.measured_in}{beside}"

    @property
    def measured_in(self) -> str:
        """Say how the rounds lie in time."""
        return f"visits of {self.visit_rounds}" if self.visit_rounds else "one stretch"


CASES = [
    *(Case(scenario, 1000, 30) for scenario in (LOGNORMAL, STALLS, ROUND_EFFECTS, BURSTS)),
    *(
        Case(scenario, 20, rounds, visit_rounds)
        for scenario in (LOGNORMAL, STALLS, ROUND_EFFECTS, *DEPENDENT)
        for rounds, visit_rounds in ((30, 0), (60, 0), (120, 0), (60, 5), (120, 5))
    ),
    *(
        Case(scenario, 20, rounds, 2, trials)
        for scenario in (LOGNORMAL, ROUND_EFFECTS, *DEPENDENT)
        for rounds in (30, 60)
        for trials in (TRIALS, 2)
    ),
]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per percentile."""
    random = generator(seed, "percentiles", case.name)
    found: list[list[LatencyPercentile]] = []
    for _ in range(repetitions):
        times, visits = case.scenario.trial(random, case.rounds, case.samples, case.visit_rounds, case.trials)
        found.append(latency_percentiles(times, PERCENTILES, visits=visits))
    return [_row(case, percentile, some) for percentile, some in zip(PERCENTILES, zip(*found, strict=True), strict=True)]


def _row(case: Case, percentile: float, found: tuple[LatencyPercentile, ...]) -> dict[str, str | int | float]:
    truth = case.scenario.threshold_ns(percentile / 100)
    covers = 100 * float(np.mean([one.low_ns <= truth <= one.high_ns for one in found]))
    return {
        "times": case.scenario.name,
        "samples": case.samples,
        "rounds": case.rounds,
        "measured in": case.measured_in,
        "trials": case.trials if case.visit_rounds else 1,
        "percentile": percentile,
        "covers (%)": covers,
        "found dependent (%)": 100 * float(np.mean([one.dependent for one in found])),
        "worth, median of independent times": float(np.median([one.interval_samples for one in found])),
        "no upper limit (%)": 100 * float(np.mean([np.isinf(one.high_ns) for one in found])),
        "not certified (%)": 100 * float(np.mean([not one.enough_beyond for one in found])),
        "bar": bar(case, percentile, covers),
    }


def bar(case: Case, percentile: float, covers: float) -> str:
    """Return whether a row keeps its bar, where it has one."""
    if percentile not in JUDGED or case.trials != TRIALS or (case.rounds not in LEAST and not case.visit_rounds):
        return "none"
    least = IN_VISITS if case.visit_rounds else EXCEPTIONS.get((case.scenario.name, case.rounds), LEAST[case.rounds])
    return "holds" if covers >= least else "missed"
