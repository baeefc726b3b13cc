"""How many rounds until rJSD <= 0.05, by the definition and as the paper's program computes it?

No bar: the two figures share a name in the literature and differ more than tenfold in the rounds they ask for. A fit every 2 rounds, as
in the paper's program; the earliest possible answer is 12 rounds by the definition, and 13 in the program, which leaves out the first round
and then compares every 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.studies.scenarios import WITH_BAR, Scenario, generator
from orchestrator.stats.convergence import DensityConvergence
from orchestrator.stats.divergence import NS_PER_S
from orchestrator.stats.paper_program.loop import PaperLoop

TITLE = "Rounds until rJSD <= 0.05, by the definition and as in the paper's code"
REPETITIONS = 10
MAX_ROUNDS = 200
BOUND = 0.05
FIT_EVERY = 2
BLOCK = 50


@dataclass(frozen=True)
class Case:
    """Times of one kind, in rounds of so many samples."""

    scenario: Scenario
    samples: int

    @property
    def name(self) -> str:
        return f"{self.scenario.name}, {self.samples} samples"


CASES = [Case(scenario, samples) for scenario in WITH_BAR for samples in (20, 1000)]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row: medians over trials, and how many trials never got there."""
    random = generator(seed, "convergence", case.name)
    rounds = np.array([_rounds_needed(case, random) for _ in range(repetitions)])
    definition, in_code = np.median(rounds, axis=0)
    return [
        {
            "times": case.scenario.name,
            "samples": case.samples,
            "trials": repetitions,
            "rounds by the definition, median": float(definition),
            "as in the paper's code, median": float(in_code),
            "at most": float(rounds[:, 1].max()),
            f"not within {MAX_ROUNDS:,} rounds": int(np.isinf(rounds[:, 1]).sum()),
        }
    ]


def _rounds_needed(case: Case, random: np.random.Generator) -> tuple[float, float]:
    """Return the first round at which each figure is within its bound; +inf where it never is."""
    convergence, program = DensityConvergence(threshold=BOUND, fit_every=FIT_EVERY), PaperLoop(fit_every=FIT_EVERY)
    definition = in_code = math.inf
    while convergence.rounds < MAX_ROUNDS and math.isinf(in_code):
        for times in case.scenario.times(random, BLOCK, case.samples):
            if convergence.update(times).converged:
                definition = min(definition, convergence.rounds)
            _, compared = program.add(times / NS_PER_S)
            if compared is not None and compared.rjsd <= BOUND:
                in_code = min(in_code, compared.rounds)
    return definition, in_code
