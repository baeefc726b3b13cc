"""Does the predicted interval hold the mean of the rounds that come next?

Bars, at 95 % and p60, p90 and p95 of the fitted rounds: independent rounds at least 93 %, with round effects of their own at least 90 %;
rounds that depend on each other at least 90 % from 90 fitted rounds on, in one stretch and in visits, but for AR(1) 0.95 (85 %). Fewer
fitted rounds, and p99 (of 20 samples hardly any lies beyond), stand without a bar.

The last 30 rounds are predicted from those before them. In visits: of 5 rounds, at the gaps that eight trials leave. Beside it the
interval of independent samples, which sees no round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.studies.scenarios import DEPENDENT, LOGNORMAL, ROUND_EFFECTS, Scenario, generator, scores
from orchestrator.stats.prediction import Method
from orchestrator.stats.prediction_validation import Validation, validate_prediction

TITLE = "Share of 95 % intervals, predicted from the first rounds, that hold the mean of the last 30, 20 samples"
REPETITIONS = 1_000
SAMPLES, VISIT_ROUNDS = 20, 5
PERCENTILES = (60.0, 90.0, 95.0, 99.0)
WAYS: dict[str, Method] = {"whole rounds": "block-bootstrap", "independent": "poisson-binomial"}
LEAST = {"lognormal": 93.0, "AR(1) 0.95": 85.0}
ENOUGH_FITTED = 90


@dataclass(frozen=True)
class Case:
    """Rounds of one kind: in one stretch, or in visits among those of seven other trials."""

    scenario: Scenario
    rounds: int
    visits: bool

    @property
    def name(self) -> str:
        return f"{self.scenario.name}, {self.rounds} rounds" + (" in visits" if self.visits else "")


CASES = [
    Case(scenario, rounds, visits)
    for scenario in (LOGNORMAL, ROUND_EFFECTS, *DEPENDENT)
    for rounds, visits in ((60, False), (130, False), (270, False), (60, True), (130, True), (270, True))
]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per percentile."""
    random = generator(seed, "prediction_interval", case.name)
    found: dict[tuple[str, float], list[Validation]] = {(way, percentile): [] for way in WAYS for percentile in PERCENTILES}
    score = scores(SAMPLES)
    for _ in range(repetitions):
        times, visits = case.scenario.trial(random, case.rounds, SAMPLES, VISIT_ROUNDS if case.visits else 0)
        for way, method in WAYS.items():
            for one in validate_prediction(score, times, random=random, method=method, percentiles=PERCENTILES, visits=visits):
                found[way, one.percentile].append(one)
    return [
        {
            "times": case.scenario.name,
            "fitted rounds": case.rounds - 30,
            "measured in": "visits" if case.visits else "one stretch",
            "percentile": percentile,
            "whole rounds: holds (%)": held(found["whole rounds", percentile]),
            "independent: holds (%)": held(found["independent", percentile]),
            "found dependent (%)": 100 * float(np.mean([one.unit != "rounds" for one in found["whole rounds", percentile]])),
            "width, mean": float(np.nanmean([one.high - one.low for one in found["whole rounds", percentile]])),
            "bar": bar(case, percentile, held(found["whole rounds", percentile])),
        }
        for percentile in PERCENTILES
    ]


def held(found: list[Validation]) -> float:
    """Return the share of intervals, in percent, that hold the mean; where the fitted rounds do not vary there is none."""
    return 100 * float(np.mean([one.inside for one in found if one.inside is not None]))


def bar(case: Case, percentile: float, holds: float) -> str:
    """Return whether a row keeps its bar, where it has one."""
    few = case.scenario in DEPENDENT and case.rounds - 30 < ENOUGH_FITTED
    if percentile == PERCENTILES[-1] or few:
        return "none"
    return "holds" if holds >= LEAST.get(case.scenario.name, 90.0) else "missed"
