"""Is a co-runner that comes and goes named, and nothing where evidence and times have nothing in common but their dependence?

Twelve series of evidence: the share of a core that a co-runner takes, six that are as dependent from round to round as the times, four
counts of events that come at one rate, rare to frequent (more of them in a longer round, by construction), and one that rises all along
as the times of *drift* do. Without a cause the share is that of another session. With it, the co-runner comes and goes (begins in 1 round
of 8, ends in 1 of 4) and makes rounds 35 % slower. 20 samples, threshold the p95 of undisturbed times.

Bars: without a cause at most 7 % of trials name anything (nominal 5 %), but for AR(1) 0.95, which is shown; from 120 rounds on and from
60 in visits the co-runner is named first in at least 90 % of trials, but for AR(1) 0.8 and 0.95, whose own rounds vary as much.
*Totals* shows what counts would name if they were not divided by time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.scenarios import generator
from orchestrator.stats.slow_rounds import LEVEL, association

TITLE = "How often evidence is named, with a co-runner and without"
REPETITIONS = 400
SAMPLES, NOISE, P95 = 20, 0.1, 1.645
SLOWER, COMES, GOES = 0.3, 1 / 8, 1 / 4
MOST_FALSE, FOUND = 7.0, 90.0
RATES = (0.1, 0.3, 3.0, 30.0)
# Rounds between two visits: what seven other trials take.
GAP = 40

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Rounds of one kind of dependence, in visits of so many rounds or in one stretch (0)."""

    times: str
    rounds: int
    visit: int = 0

    @property
    def name(self) -> str:
        return f"{self.times}, {self.rounds} rounds, visits of {self.visit}"


KINDS = ("independent", "bursts", "regime", "AR(1) 0.5", "AR(1) 0.8", "AR(1) 0.95", "drift")
HARD = ("AR(1) 0.8", "AR(1) 0.95")
CASES = [
    *(Case(kind, rounds) for kind in KINDS for rounds in (30, 60, 120, 400)),
    *(Case(kind, 60, 5) for kind in KINDS),
]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row."""
    random = generator(seed, "slow_rounds", case.name)
    named, first, totals = 0, 0, 0
    for _ in range(repetitions):
        without, counted = _named(random, case, caused=False)
        named += without is not None
        totals += counted
        first += _named(random, case, caused=True)[0] == 0
    false, found = 100 * named / repetitions, 100 * first / repetitions
    return [
        {
            "times": case.times,
            "rounds": case.rounds,
            "in visits of": case.visit or "-",
            "without: named (%)": false,
            "without, totals: named (%)": 100 * totals / repetitions,
            "with: co-runner first (%)": found,
            "bar": _bar(case, false, found),
        }
    ]


def _bar(case: Case, false: float, found: float) -> str:
    kept = [false <= MOST_FALSE] if case.times != "AR(1) 0.95" else []
    kept += [found >= FOUND] if (case.rounds >= 120 or case.visit) and case.times not in HARD else []
    return "none" if not kept else "holds" if all(kept) else "missed"


def _named(random: np.random.Generator, case: Case, caused: bool) -> tuple[int | None, bool]:
    """Return the evidence that is named first, the co-runner's being 0, and whether counts alone would name anything."""
    chosen, visits = _chosen(case)
    length = int(chosen[-1]) + 1
    share = _two_states(random, length, COMES, GOES)
    slow = share if caused else _two_states(random, length, COMES, GOES) if case.times == "bursts" else np.zeros(length)
    effect = (SLOWER * slow + _effect(random, case.times, length))[chosen]
    logs = effect[:, None] + NOISE * random.standard_normal((len(chosen), SAMPLES))
    durations = np.exp(logs).sum(axis=1) / SAMPLES
    late = (logs > NOISE * P95).mean(axis=1)
    counts = np.stack([random.poisson(rate * durations) for rate in RATES])
    others = np.stack([_effect(random, "AR(1) 0.8" if case.times in ("bursts", "drift") else case.times, length)[chosen] for _ in range(6)])
    rising = np.linspace(0, 3, len(chosen)) + random.standard_normal(len(chosen))
    taken = share[chosen] + 0.2 * random.standard_normal(len(chosen))
    evidence = np.stack([np.maximum(taken, 0), rising, *others, *(counts / durations)])
    found = association([late, durations], evidence, visits).p_values.min(axis=0)
    first = int(found.argmin()) if found.min() <= LEVEL else None
    return first, bool(association([late, durations], counts, visits).p_values.min() <= LEVEL)


def _chosen(case: Case) -> tuple[NDArray[np.intp], NDArray[np.intp] | None]:
    """Return which rounds of the session are this trial's, and their visits."""
    if not case.visit:
        return np.arange(case.rounds), None
    visits = np.arange(case.rounds) // case.visit
    return np.arange(case.rounds) + visits * GAP, visits


def _effect(random: np.random.Generator, kind: str, length: int) -> Floats:
    """Return the log effect of each round of a session."""
    if kind == "regime":
        return 2 * NOISE * _two_states(random, length, 0.1, 0.1)
    if kind == "drift":
        return np.linspace(0, 0.3, length) + NOISE * random.standard_normal(length)
    if kind.startswith("AR"):
        return NOISE * _autoregressive(random, length, float(kind.split()[1]))
    return NOISE * random.standard_normal(length) if kind == "independent" else np.zeros(length)


def _autoregressive(random: np.random.Generator, length: int, memory: float) -> Floats:
    steps = random.standard_normal(length)
    steps[1:] *= np.sqrt(1 - memory**2)
    for place in range(1, length):
        steps[place] += memory * steps[place - 1]
    return steps


def _two_states(random: np.random.Generator, length: int, comes: float, goes: float) -> Floats:
    """Return 1 for rounds in the second state."""
    state, draws = np.zeros(length), random.random(length)
    state[0] = draws[0] < comes / (comes + goes)
    for place in range(1, length):
        state[place] = draws[place] >= goes if state[place - 1] else draws[place] < comes
    return state
