"""Are the counts of LoadGen's early stopping ours, and is what rule `certify` then bounds really bounded?

Bar: the counts agree (MLPerf inference, early stopping, 99 % confidence, one overrun). Rule `certify` stops when the samples suffice for
p99 with one overrun, so the second-longest time is the bound. How often the true p99 lies beyond it is shown, nominal at most 1 %, for
independent samples and, without a bar, where samples of a round are alike and the design effect has to make up for it.
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.studies.scenarios import IDEAL, LOGNORMAL, STALLS, WITHOUT_BAR, Scenario, generator, scores
from orchestrator.stats.certificate import samples_to_certify
from orchestrator.stats.stopping import Decision, RoundObservation, StoppingRule, make_rule
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.times import Clock

TITLE = "Samples that certify a percentile at 99 %, and false bounds of rule `certify`"
REPETITIONS = 1000
MAX_ROUNDS = 300
CONFIDENCE = 0.99
# A round takes a second, so that the clock never holds a check back.
ROUND_S = 1.0
LOADGEN = {(90.0, 1): 64, (95.0, 1): 130, (99.0, 1): 662, (99.9, 1): 6636, (99.0, 0): 459, (99.9, 0): 4603}


@dataclass(frozen=True)
class Counted:
    """One count, with LoadGen's own."""

    percentile: float
    overruns: int

    @property
    def name(self) -> str:
        return f"p{self.percentile:g}, overruns allowed: {self.overruns}"


@dataclass(frozen=True)
class Simulated:
    """Trials of rule `certify`."""

    scenario: Scenario
    samples: int

    @property
    def name(self) -> str:
        return f"rule certify, {self.scenario.name}, {self.samples:,} samples a round"


CASES: list[Counted | Simulated] = [
    *(Counted(*key) for key in LOADGEN),
    *(Simulated(scenario, samples) for scenario in (LOGNORMAL, STALLS, *WITHOUT_BAR) for samples in (20, 1000)),
]


def run(case: Counted | Simulated, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row."""
    return [_counted(case) if isinstance(case, Counted) else _simulated(case, repetitions, seed)]


def _counted(case: Counted) -> dict[str, str | int | float]:
    n = samples_to_certify(case.percentile, CONFIDENCE, case.overruns)
    published = LOADGEN[case.percentile, case.overruns]
    false = 100 * float(stats.binom.cdf(case.overruns, n, 1 - case.percentile / 100))
    return {
        "case": case.name,
        "samples": n,
        "LoadGen's": published,
        "false bounds (%)": false,
        "not certified (%)": 0.0,
        "bar": "holds" if n == published else "missed",
    }


def _simulated(case: Simulated, repetitions: int, seed: int) -> dict[str, str | int | float]:
    """Return how many samples the rule took, and how often the second-longest time lies below the true p99."""
    random = generator(seed, "certification", case.name)
    score, truth = scores(case.samples), case.scenario.threshold_ns(0.99)
    taken, false = [], []
    for _ in range(repetitions):
        times = case.scenario.times(random, MAX_ROUNDS, case.samples)
        rounds, decision = rounds_until_stop(make_rule("certify", min_rounds=1, max_rounds=MAX_ROUNDS), times, score)
        if decision.reason == "certified":
            taken.append(rounds * case.samples)
            false.append(np.partition(times[:rounds], -2, axis=None)[-2] < truth)
    certified = len(taken)
    return {
        "case": case.name,
        "samples": float(np.median(taken)) if certified else math.nan,
        "LoadGen's": math.nan,
        "false bounds (%)": 100 * float(np.mean(false)) if certified else math.nan,
        "not certified (%)": 100 * (1 - certified / repetitions),
        "bar": "none",
    }


def rounds_until_stop(rule: StoppingRule, times: NDArray[np.float64], score: NDArray[np.float64]) -> tuple[int, Decision]:
    """Feed rounds of total times, [R, S] in ns, to a rule; return how many it took and its last word.

    The inference clock stands still: its density has settled at once, so that the total clock alone decides.
    """
    still = np.full(times.shape[1], 1e6)
    decision = Decision(False)
    for number, total in enumerate(times):
        observation = RoundObservation(number, {Clock.INFERENCE: still, Clock.TOTAL: total}, partial(_quality, score, total), IDEAL)
        decision = rule.update(observation, (number + 1) * ROUND_S)
        if decision.stop:
            return number + 1, decision
    return len(times), decision


def _quality(score: NDArray[np.float64], total: NDArray[np.float64], threshold_ns: float) -> float:
    return float(quality_curve(score, total[np.newaxis], [threshold_ns])[0, 0])
