"""How many rounds until rJSD <= 0.05 by the definition, and where is the figure of the paper's program then?

No bar: the two figures share a name in the literature and differ more than tenfold. A fit every 2 rounds, as in the paper's program; the
earliest possible answer is 12 rounds by the definition, and 13 in the program, which leaves out the first round and compares every 10.
"""

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.studies.scenarios import WITH_BAR, Scenario, generator
from orchestrator.stats.convergence import DensityConvergence
from orchestrator.stats.paper import NS_PER_S, PaperLoop

TITLE = "Rounds until rJSD <= 0.05 by the definition, and the figure of the paper's program"
REPETITIONS = 10
# The program's 19th comparison.
MAX_ROUNDS = 193
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
    """Return one row: medians over trials, and in how many of them the program would have stopped."""
    random = generator(seed, "convergence", case.name)
    definition, first, last, stopped = np.array([_course(case, random) for _ in range(repetitions)]).T
    return [
        {
            "times": case.scenario.name,
            "samples": case.samples,
            "trials": repetitions,
            "rounds by the definition, median": float(np.median(definition)),
            "the program's figure at 13 rounds, median": float(np.median(first)),
            f"at {MAX_ROUNDS} rounds, median": float(np.median(last)),
            f"trials within {BOUND} by then": int(stopped.sum()),
        }
    ]


def _course(case: Case, random: np.random.Generator) -> tuple[float, float, float, bool]:
    """Return the first round within the bound by the definition, the program's first and last figure, and whether any is within it."""
    convergence, program = DensityConvergence(threshold=BOUND, fit_every=FIT_EVERY), PaperLoop(fit_every=FIT_EVERY)
    definition, figures = math.inf, []
    while convergence.rounds < MAX_ROUNDS:
        for times in case.scenario.times(random, min(BLOCK, MAX_ROUNDS - convergence.rounds), case.samples):
            if convergence.update(times).converged:
                definition = min(definition, convergence.rounds)
            _, compared = program.add(times / NS_PER_S)
            figures += [] if compared is None else [compared.rjsd]
    return definition, figures[0], figures[-1], min(figures) <= BOUND
