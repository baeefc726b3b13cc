"""Does the interval of *rounds to come* cover the long-run mean of tail quality where rounds depend on each other?

Bars, at 95 %. In one stretch: at least 90 % from 60 rounds but for bursts (86 %) and AR(1) 0.95 (70 %), at least 93 % from 120 rounds
but for AR(1) 0.95 (83 %). In visits, at the gaps that eight trials leave: at least 93 %. Independent rounds: at most 5 % wider than the
interval of this session. Without a bar: 30 rounds in one stretch, stalls in spells in one stretch (spells last 60 rounds on average: so
few rounds tell little of them), and visits among those of one or two other trials, which lie closer together. Fewer than 60 rounds in one
stretch or of such visits are flagged in a report where they depend on each other.

Beside it the coverage of the interval of *this session*, which promises nothing of the kind, and the standard errors of coverage and of the
ratio of mean widths: a figure within two of them of its bar may lie on either side of it with another seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.studies.scenarios import (
    DEPENDENT,
    IDEAL,
    LOGNORMAL,
    ROUND_EFFECTS,
    STALLS_IN_SPELLS,
    TRIALS,
    Scenario,
    generator,
    scores,
)
from orchestrator.stats.intervals import intervals_of_rounds_to_come, rounds_intervals
from orchestrator.stats.long_run import visits_alike, weights_of_dependence
from orchestrator.stats.tail_quality import quality_curve

TITLE = "Coverage of the 95 % interval of rounds to come, 20 samples"
REPETITIONS = 2_000
SAMPLES = 20
ON_TIME = (0.5, 0.8, 0.95, 0.99)
RESAMPLES = 999
LEAST = {60: 90.0, 120: 93.0}
EXCEPTIONS = {("bursts", 60): 86.0, ("AR(1) 0.95", 60): 70.0, ("AR(1) 0.95", 120): 83.0}
IN_VISITS = 93.0
WIDEST = 5.0
OF_INDEPENDENT = 5
"""Times as many repetitions of independent rounds: how wide their intervals are depends on the few that are taken for dependent."""


@dataclass(frozen=True)
class Case:
    """Rounds of one kind: in one stretch, or in visits of so many rounds of so many trials that take turns."""

    scenario: Scenario
    rounds: int
    visit_rounds: int = 0
    trials: int = TRIALS

    @property
    def name(self) -> str:
        beside = "" if self.trials == TRIALS else f", {self.trials} trials"
        return f"{self.scenario.name}, {self.rounds} rounds in {self.measured_in}{beside}"

    @property
    def measured_in(self) -> str:
        """Say how the rounds lie in time."""
        return f"visits of {self.visit_rounds}" if self.visit_rounds else "one stretch"


CASES = [
    Case(scenario, rounds, visit_rounds)
    for scenario in (LOGNORMAL, ROUND_EFFECTS, *DEPENDENT, STALLS_IN_SPELLS)
    for rounds, visit_rounds in ((30, 0), (60, 0), (120, 0), (30, 2), (60, 2), (60, 5), (120, 5))
]
CASES += [
    Case(scenario, rounds, visit_rounds, trials)
    for scenario in DEPENDENT
    for trials in (2, 3)
    for rounds, visit_rounds in ((30, 2), (60, 2))
]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per share of samples on time."""
    repetitions *= OF_INDEPENDENT if case.scenario is LOGNORMAL else 1
    random = generator(seed, "rounds_to_come", case.name)
    score = scores(SAMPLES)
    thresholds = [case.scenario.threshold_ns(share) for share in ON_TIME]
    truth = IDEAL * np.array(ON_TIME)
    covers, of_session, width, width_of_session, widened = (np.zeros((repetitions, len(ON_TIME))) for _ in range(5))
    for repetition in range(repetitions):
        times, visits = case.scenario.trial(random, case.rounds, SAMPLES, case.visit_rounds, case.trials)
        curve = quality_curve(score, times, thresholds)
        session = rounds_intervals(curve, IDEAL, float(score.sum()), random, resamples=RESAMPLES)
        log_medians = np.log(np.median(times, axis=1))
        weights = weights_of_dependence(curve, log_medians, visits)
        alike = visits_alike(log_medians, visits)
        to_come = intervals_of_rounds_to_come(curve, IDEAL, float(score.sum()), session, weights, visits, alike=alike)
        covers[repetition] = [found.low <= mean <= found.high for found, mean in zip(to_come, truth, strict=True)]
        of_session[repetition] = [found.low <= mean <= found.high for found, mean in zip(session, truth, strict=True)]
        width[repetition] = [found.high - found.low for found in to_come]
        width_of_session[repetition] = [found.high - found.low for found in session]
        widened[repetition] = weights > 0
    ratio = width.mean(axis=0) / width_of_session.mean(axis=0)
    wider = 100 * (ratio - 1)
    error = 100 * (width - ratio * width_of_session).std(axis=0) / width_of_session.mean(axis=0) / repetitions**0.5
    return [
        {
            "times": case.scenario.name,
            "rounds": case.rounds,
            "measured in": case.measured_in,
            "trials": case.trials if case.visit_rounds else 1,
            "on time (%)": round(100 * share, 2),
            "repetitions": repetitions,
            "covers (%)": 100 * float(covers[:, place].mean()),
            "standard error": 100 * float(covers[:, place].std()) / repetitions**0.5,
            "this session's covers (%)": 100 * float(of_session[:, place].mean()),
            "widened (%)": 100 * float(widened[:, place].mean()),
            "wider than this session's (%)": float(wider[place]),
            "standard error of that": float(error[place]),
            "bar": bar(case, 100 * float(covers[:, place].mean()), float(wider[place])),
        }
        for place, share in enumerate(ON_TIME)
    ]


def bar(case: Case, covers: float, wider: float) -> str:
    """Return whether a row keeps its bar, where it has one."""
    long_enough = case.rounds in LEAST and case.scenario is not STALLS_IN_SPELLS
    if case.trials != TRIALS or not (case.visit_rounds or long_enough):
        return "none"
    least = IN_VISITS if case.visit_rounds else EXCEPTIONS.get((case.scenario.name, case.rounds), LEAST[case.rounds])
    holds = covers >= least and (case.scenario is not LOGNORMAL or wider <= WIDEST)
    return "holds" if holds else "missed"
