"""Does the deadline that a system can promise hold as often as it says?

Claim: at least 90 % of all rounds keep a certified deadline (99 % of ideal quality), with a confidence of 95 % over all looks together.
A certificate is false where fewer rounds keep it. Bar: at most 5 % of trials get a false certificate, at their only look (30 rounds) or
at any of their looks (30, 60, 120, 240 rounds). Beside it, without a bar, the same looks when none pays for the others.

The truth is exact: a round keeps a deadline if enough of its right answers are on time, which is a binomial probability. Rounds come from
a pool of 20 for each repetition, whose deadlines are read once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.studies.scenarios import IDEAL, WITH_BAR, Scenario, generator, scores
from orchestrator.stats.deadline import certify_deadline, round_deadlines
from orchestrator.stats.tail_quality import quality_curve

TITLE = "False certificates of the deadline that 90 % of rounds keep, at a confidence of 95 %"
REPETITIONS = 2_000
SHARE_OF_IDEAL = 0.99
LATE_SHARE = 0.10
CONFIDENCE = 0.95
LOOKS = (30, 60, 120, 240)
POOL_PER_REPETITION = 20
FEWEST_IN_POOL = 2000
TIMES_AT_ONCE = 10**6
BAR = 5.0


@dataclass(frozen=True)
class Case:
    """Times of one kind, in rounds of so many samples."""

    scenario: Scenario
    samples: int

    @property
    def name(self) -> str:
        return f"{self.scenario.name}, {self.samples} samples"


@dataclass(frozen=True)
class Plan:
    """When a trial is looked at, and whether each look pays for the others."""

    looks: tuple[int, ...]
    paid: bool = True

    @property
    def name(self) -> str:
        return ", ".join(map(str, self.looks)) + ("" if self.paid else ", not paid for")

    def certified_ns(self, deadlines: NDArray[np.float64]) -> list[float]:
        """Return what is certified at each look, [looks]; inf where nothing is."""
        found = (
            certify_deadline(deadlines[:rounds], self.looks if self.paid else (rounds,), late_share=LATE_SHARE, confidence=CONFIDENCE).ns
            for rounds in self.looks
        )
        return [math.inf if ns is None else ns for ns in found]


CASES = [Case(scenario, samples) for scenario in WITH_BAR for samples in (20, 1000)]
PLANS = (Plan(LOOKS[:1]), Plan(LOOKS), Plan(LOOKS, paid=False))


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per plan of looks."""
    random = generator(seed, "deadline", case.name)
    truth = true_deadline_ns(case)
    pool = pool_of_deadlines(case, max(FEWEST_IN_POOL, POOL_PER_REPETITION * repetitions), random)
    certified: dict[Plan, list[list[float]]] = {plan: [] for plan in PLANS}
    for _ in range(repetitions):
        deadlines = random.choice(pool, LOOKS[-1])
        for plan in PLANS:
            certified[plan].append(plan.certified_ns(deadlines))
    return [
        {
            "times": case.scenario.name,
            "samples": case.samples,
            "looks at rounds": plan.name,
            "rounds beyond the true deadline (%)": 100 * float((pool > truth).mean()),
            **columns(np.array(found), truth),
            "bar": verdict(np.array(found), truth) if plan.paid else "none",
        }
        for plan, found in certified.items()
    ]


def columns(certified_ns: NDArray[np.float64], truth_ns: float) -> dict[str, str | int | float]:
    """Return figures of certificates, [repetitions, looks]."""
    last = certified_ns[:, -1]
    return {
        "certified at the last look (%)": 100 * float(np.isfinite(last).mean()),
        "false certificates (%)": false_certificates(certified_ns, truth_ns),
        "false at the last look (%)": 100 * float((last < truth_ns).mean()),
        "median deadline over the true one": float(np.median(last)) / truth_ns,
    }


def verdict(certified_ns: NDArray[np.float64], truth_ns: float) -> str:
    return "holds" if false_certificates(certified_ns, truth_ns) <= BAR else "missed"


def false_certificates(certified_ns: NDArray[np.float64], truth_ns: float) -> float:
    """Return the share of trials, in percent, with a false certificate at any look."""
    return 100 * float((certified_ns < truth_ns).any(axis=1).mean())


def true_deadline_ns(case: Case) -> float:
    """Return the deadline that exactly 90 % of rounds keep: P(Bin(right answers, on time) >= as many as the floor needs) = 0.9."""
    right = round(IDEAL * case.samples)
    needed = math.ceil(Fraction(str(SHARE_OF_IDEAL)) * right)
    return case.scenario.threshold_ns(float(stats.beta.ppf(1 - LATE_SHARE, needed, right - needed + 1)))


def pool_of_deadlines(case: Case, rounds: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return deadlines of fresh rounds, [rounds], a bounded number of times drawn at once."""
    curve, floor = partial(quality_curve, scores(case.samples)), SHARE_OF_IDEAL * IDEAL
    step = TIMES_AT_ONCE // case.samples
    starts = range(0, rounds, step)
    drawn = (case.scenario.times(random, min(step, rounds - start), case.samples) for start in starts)
    return np.concatenate([round_deadlines(curve, times, floor) for times in drawn])
