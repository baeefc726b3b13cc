"""Does pairing the visits of one cycle find a slow-down that Welch's t on rounds one after another misses?

Two trials of one machine, whose state all rounds share as time goes on; 30 or 60 rounds of 20 samples each, the second trial slower by 0
or 3 %, at the threshold within which 80 % of the first one's answers are on time. *One after another*: first one trial, then the other,
compared by Welch's t with the long-run variance where rounds depend on each other. *In visits*: they take turns in visits of 1, 2 (the
default) or 5 rounds, in random order within a cycle, and the means of the visits of one cycle are paired.

Bar: at most 5 % of verdicts are false in visits (6 % with the noise of the repetitions), and a slow-down is found in visits of 2 more often
than one after another wherever rounds depend on each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.scenarios import DEPENDENT, LOGNORMAL, MEDIAN_NS, ROUND_EFFECTS, Scenario, generator, scores
from orchestrator.stats.comparison import Difference, compare_rounds
from orchestrator.stats.long_run import depend, long_run_spreads, means_of_visits
from orchestrator.stats.tail_quality import quality_curve

TITLE = "Verdicts on two trials of one machine, found by pairs of visits and without"
REPETITIONS = 2_000
SAMPLES, VISIT_ROUNDS, DEFAULT = 20, (5, 2, 1), 2
ON_TIME = 0.8
BAR = 6.0


@dataclass(frozen=True)
class Case:
    """A machine, and how much slower the second trial is."""

    scenario: Scenario
    slow_down: float
    rounds: int

    @property
    def name(self) -> str:
        return f"{self.scenario.name}, {self.slow_down:.0%} slower, {self.rounds} rounds"


CASES = [
    Case(scenario, slow_down, rounds)
    for scenario in (LOGNORMAL, ROUND_EFFECTS, *DEPENDENT)
    for slow_down in (0.0, 0.03)
    for rounds in (30, 60)
]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row."""
    random = generator(seed, "pairing", case.name)
    found = dict.fromkeys((0, *VISIT_ROUNDS), 0)
    for _ in range(repetitions):
        for visit_rounds in found:
            difference = in_visits(case, visit_rounds, random) if visit_rounds else one_after_another(case, random)
            found[visit_rounds] += difference.high < 0 or difference.low > 0
    share = {visit_rounds: 100 * count / repetitions for visit_rounds, count in found.items()}
    false = case.slow_down == 0
    holds = max(share[one] for one in VISIT_ROUNDS) <= BAR if false else share[DEFAULT] > share[0] or case.scenario not in DEPENDENT
    return [
        {
            "times": case.scenario.name,
            "slower by (%)": round(100 * case.slow_down),
            "rounds": case.rounds,
            "verdicts, one after another (%)": share[0],
            **{f"in visits of {visit_rounds} (%)": share[visit_rounds] for visit_rounds in VISIT_ROUNDS},
            "bar": "holds" if holds else "missed",
        }
    ]


def one_after_another(case: Case, random: np.random.Generator) -> Difference:
    """Measure one trial, then the other."""
    effects = case.scenario.effects(random, 2 * case.rounds)
    parts = ((effects[: case.rounds], False), (effects[case.rounds :], True))
    first, second = (quality(case, part, slower, random) for part, slower in parts)
    spreads = [long_run_spreads(side)[0] if depend(side)[0] else None for side in (first, second)]
    return compare_rounds(first[0], second[0], resolution=1 / SAMPLES, spreads=(spreads[0], spreads[1]))


def in_visits(case: Case, visit_rounds: int, random: np.random.Generator) -> Difference:
    """Measure both in turns."""
    cycles = case.rounds // visit_rounds
    effects = case.scenario.effects(random, 2 * case.rounds).reshape(cycles, 2, visit_rounds)
    order = random.permuted(np.tile([0, 1], (cycles, 1)), axis=1)
    visits = np.repeat(np.arange(cycles), visit_rounds)
    sides = [
        means_of_visits(quality(case, effects[np.arange(cycles), order[:, side]].ravel(), bool(side), random), visits)[0] for side in (0, 1)
    ]
    return compare_rounds(*sides, paired=True, resolution=1 / SAMPLES / visit_rounds)


def quality(case: Case, effects: NDArray[np.float64], slower: bool, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the quality of rounds with these effects, [1, rounds]."""
    logs = case.scenario.log_times(random, effects, SAMPLES) + (math.log1p(case.slow_down) if slower else 0.0)
    return quality_curve(scores(SAMPLES), MEDIAN_NS * np.exp(logs), [threshold_ns(case.scenario)])


@cache
def threshold_ns(scenario: Scenario) -> float:
    """Return the time within which so many of the first trial's answers are on time."""
    return scenario.threshold_ns(ON_TIME)
