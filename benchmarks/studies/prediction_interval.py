"""Does the predicted interval hold the mean of the rounds that come next?

Bars, at 95 % and p60, p90 and p95 of the fitted rounds: independent rounds at least 93 %, with round effects of their own at least 90 %;
rounds that depend on each other at least 90 % from 90 fitted rounds on, in one stretch and in visits, but for AR(1) 0.95 (85 %). Fewer
fitted rounds, and p99 (of 20 samples hardly any lies beyond), stand without a bar.

The last 30 rounds are predicted from those before them. In visits: of 5 rounds, at the gaps that eight trials leave. Beside it the
interval of independent samples, which sees no round.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.studies.bars import falls_short
from benchmarks.studies.scenarios import DEPENDENT, LOGNORMAL, ROUND_EFFECTS, Scenario, generator, scores
from orchestrator.analysis.tables.prediction import Halves
from orchestrator.stats.prediction import predict_independent, predict_rounds
from orchestrator.stats.tail_quality import quality_curve

TITLE = "Share of 95 % intervals, predicted from the first rounds, that hold the mean of the last 30, 20 samples"
REPETITIONS = 1_000
SAMPLES, VISIT_ROUNDS = 20, 5
PERCENTILES = (60.0, 90.0, 95.0, 99.0)
LEAST = {"lognormal": 93.0, "AR(1) 0.95": 85.0}
ENOUGH_FITTED = 90
ROUNDING = 1e-9


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
    score = scores(SAMPLES)
    held: dict[tuple[str, float], list[float]] = {(way, of): [] for way in ("whole rounds", "independent") for of in PERCENTILES}
    widths: dict[float, list[float]] = {percentile: [] for percentile in PERCENTILES}
    for _ in range(repetitions):
        times, visits = case.scenario.trial(random, case.rounds, SAMPLES, VISIT_ROUNDS if case.visits else 0)
        halves = Halves(partial(quality_curve, score), times, units=visits, percentiles=PERCENTILES)
        whole = predict_rounds(halves.quality, len(halves.test), halves.units, (0.0, float(score.mean())))
        apart = predict_independent(score, halves.on_time, len(halves.fit), len(halves.test))
        for way, found in (("whole rounds", whole), ("independent", apart)):
            inside = (found.low - ROUNDING <= halves.observed.mean) & (halves.observed.mean <= found.high + ROUNDING)
            for percentile, low, one in zip(halves.percentiles.tolist(), found.low, inside.tolist(), strict=True):
                if np.isfinite(low):
                    held[way, percentile].append(100.0 * one)
        for percentile, width in zip(halves.percentiles.tolist(), whole.high - whole.low, strict=True):
            widths[percentile].append(float(width))
    return [
        {
            "times": case.scenario.name,
            "fitted rounds": case.rounds - 30,
            "measured in": "visits" if case.visits else "one stretch",
            "percentile": percentile,
            "whole rounds: holds (%)": float(np.mean(held["whole rounds", percentile])),
            "independent: holds (%)": float(np.mean(held["independent", percentile])),
            "width, mean": float(np.nanmean(widths[percentile])),
            "bar": bar(case, percentile, held["whole rounds", percentile]),
        }
        for percentile in PERCENTILES
    ]


def bar(case: Case, percentile: float, held: list[float]) -> str:
    """Return whether a row keeps its bar, where it has one."""
    few = case.scenario in DEPENDENT and case.rounds - 30 < ENOUGH_FITTED
    if percentile == PERCENTILES[-1] or few:
        return "none"
    return "missed" if falls_short(float(np.mean(held)), len(held), LEAST.get(case.scenario.name, 90.0)) else "holds"
