"""How often is a comparison wrong when the machine drifts, by how both sides were measured?

The machine's speed wanders: the logarithm of all times of a process, in slots one after the other, is a stationary AR(1) process. Every
process also has a speed of its own, 1 %. A process has 30 rounds of 20 samples, lognormal times, and the endpoint is tail quality at the
p95 of the baseline's processes (of the first campaign, where there are several). Given its speed, answers of a process are late
independently, so that its mean quality is binomial and no times need be drawn.

A then B: n processes of A, then n of B, pooled t. Pairs: n pairs of adjacent slots, each in random order, paired t. Stored: K campaigns
of n processes at other times, so far apart that speeds are independent, then one of B: pooled t for K = 1, t with K - 1 degrees of
freedom for more. A figure is the share of comparisons with a verdict, either way: nominal are 10 %, two families of 5 %. Where B is
slower it is the share that finds B worse.

Bar: pairs are wrong in at most 10 %. It is missed only where a share lies beyond it by more than 3 standard errors of the simulation.
Stored campaigns have no bar: quality cannot rise above its ideal, so that the means of campaigns are skewed where speeds differ much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from benchmarks.studies.scenarios import IDEAL, generator
from orchestrator.stats.gate import gate
from orchestrator.stats.replication import Design

Floats: TypeAlias = NDArray[np.float64]

TITLE = "Verdicts on a drifting machine (%), by how both sides were measured"
REPETITIONS = 2000
ROUNDS, SAMPLES = 30, 20
TIMES_SD, PROCESS_SD = 0.1, 0.01
NOMINAL = 0.1
STORED = (1, 3, 5, 10)


@dataclass(frozen=True)
class Machine:
    """How speed wanders: standard deviation of the logarithm of times, and its correlation from one process to the next."""

    name: str
    sd: float
    correlation: float

    def speeds(self, random: np.random.Generator, slots: int) -> Floats:
        """Return the logarithm of the times of processes in adjacent slots, [slots], their own speeds included."""
        steps = random.standard_normal(slots)
        found = np.empty(slots)
        found[0] = steps[0]
        for slot in range(1, slots):
            found[slot] = self.correlation * found[slot - 1] + math.sqrt(1 - self.correlation**2) * steps[slot]
        speeds: Floats = self.sd * found + random.normal(0, PROCESS_SD, slots)
        return speeds


QUIET = Machine("quiet", 0.0, 0.0)
WITHIN = Machine("wanders within the hour (3 %)", 0.03, 0.95)
SLOWLY = Machine("wanders over days (3 %)", 0.03, 0.999)
EVERY = Machine("another speed each process (3 %)", 0.03, 0.0)


@dataclass(frozen=True)
class Case:
    """One machine, with so many repeats a side; B's times are longer by a share."""

    machine: Machine
    repeats: int
    slow_down: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.machine.name}, {self.repeats} repeats, {self.slow_down:.0%} slower"


CASES = [
    *(Case(machine, repeats) for machine in (QUIET, WITHIN, SLOWLY, EVERY) for repeats in (3, 5, 10)),
    *(Case(machine, 5, 0.1) for machine in (QUIET, WITHIN, SLOWLY, EVERY)),
]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row of shares of comparisons with a verdict."""
    random = generator(seed, "over time", case.name)
    counts: dict[str, int] = {}
    for _ in range(repetitions):
        for name, outcome in verdicts(case, random).items():
            counts[name] = counts.get(name, 0) + (outcome == "worse" if case.slow_down else outcome in ("worse", "better"))
    shares = {name: count / repetitions for name, count in counts.items()}
    figures = {f"{name} (%)": 100 * share for name, share in shares.items()}
    return [
        {
            "machine": case.machine.name,
            "repeats": case.repeats,
            "slower by (%)": round(100 * case.slow_down),
            **figures,
            "bar": "none" if case.slow_down else _judged(shares, repetitions),
        }
    ]


def verdicts(case: Case, random: np.random.Generator) -> Mapping[str, str]:
    """Return the outcome of one comparison by each way of measuring."""
    n, machine = case.repeats, case.machine
    straight = machine.speeds(random, 2 * n)
    found = {"A then B": _outcome([straight[:n]], straight[n:], case, "two samples", random)}
    turned = random.random(n) < 0.5
    pairs = machine.speeds(random, 2 * n).reshape(n, 2)
    pairs[turned] = pairs[turned, ::-1]
    found["pairs"] = _outcome([pairs[:, 0]], pairs[:, 1], case, "pairs", random)
    for count in STORED:
        campaigns = [machine.speeds(random, n) for _ in range(count + 1)]
        design: Design = "two samples" if count == 1 else "earlier campaigns"
        found[f"{count} stored"] = _outcome(campaigns[:-1], campaigns[-1], case, design, random)
    return found


def _outcome(a: list[Floats], b: Floats, case: Case, design: Design, random: np.random.Generator) -> str:
    """Return the verdict on speeds of B's processes against those of A's, campaign by campaign."""
    threshold = optimize.brentq(lambda x: float(special.ndtr((x - a[0]) / TIMES_SD).mean()) - 0.95, -2, 3)
    means = [_qualities(speeds, threshold, random) for speeds in a]
    before = means[0] if len(means) == 1 else np.array([of_campaign.mean() for of_campaign in means])
    after = _qualities(b + math.log1p(case.slow_down), threshold, random)
    return gate({"t": before}, {"t": after}, resolutions={"t": 1 / (ROUNDS * SAMPLES)}, designs={"t": design})["t"].outcome


def _qualities(speeds: Floats, threshold: float, random: np.random.Generator) -> Floats:
    """Return mean tail quality of processes, [processes]."""
    right = ROUNDS * round(IDEAL * SAMPLES)
    found: Floats = random.binomial(right, special.ndtr((threshold - speeds) / TIMES_SD)) / (ROUNDS * SAMPLES)
    return found


def _judged(shares: Mapping[str, float], repetitions: int) -> str:
    doubt = 3 * math.sqrt(NOMINAL * (1 - NOMINAL) / repetitions)
    return "holds" if shares["pairs"] <= NOMINAL + doubt else "missed"
