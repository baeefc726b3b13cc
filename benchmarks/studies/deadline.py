"""Does the deadline that a system can promise hold as often as it says?

Claim: at least 90 % of all rounds keep a certified deadline (99 % of ideal quality), with a confidence of 95 % over all looks together.
A certificate is false where fewer rounds keep it. Bar: at most 5 % of trials get a false certificate, at their only look (30 rounds) or
at any of their looks (30, 60, 120, 240 rounds). Beside it, without a bar, the same looks when none pays for the others.

Where rounds depend on each other, the only look is at 120 or 240 rounds, in one stretch or in visits of 2 or 5 rounds among those of 1, 2
or 7 other trials; the bar is the same, and at least half of the trials must get a certificate at 240 rounds of AR(1) 0.8. Looks at 30 and
60 rounds of one stretch and of visits of 2 stand without a bar: they show why fewer than `measurement.certify_rounds` certify nothing. The
*busy machine* is the stored series of 1,800 rounds, whose law is unknown: its truth is the deadline that 90 % of these keep.

The other truths are exact: a round keeps a deadline if enough of its right answers are on time, which is a binomial probability.
Independent rounds come from a pool of 20 for each repetition, whose deadlines are read once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from benchmarks.studies import real_series
from benchmarks.studies.scenarios import DEPENDENT, IDEAL, MEDIAN_NS, ROUND_EFFECTS, WITH_BAR, Scenario, generator, in_turns, scores
from orchestrator.stats.deadline import certify_deadline
from orchestrator.stats.round_deadlines import mean_deadlines, round_deadlines
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
    """Times of one kind, in rounds of so many samples: in one stretch, or in visits of so many rounds among those of other trials.

    ``scenario`` is None for the stored series.
    """

    scenario: Scenario | None
    samples: int
    visit_rounds: int = 0
    trials: int = 1

    @property
    def name(self) -> str:
        return f"{self.times}, {self.samples} samples, {self.measured_in}"

    @property
    def times(self) -> str:
        """Say where the times come from."""
        return "busy machine" if self.scenario is None else self.scenario.name

    @property
    def measured_in(self) -> str:
        """Say how the rounds lie in time."""
        return f"visits of {self.visit_rounds}, {self.trials} trials" if self.visit_rounds else "one stretch"

    @property
    def plans(self) -> tuple[Plan, ...]:
        """When its trials are looked at."""
        if self.scenario in WITH_BAR:
            return PLANS
        most = LOOKS[-1] if self.scenario is not None or LOOKS[-1] * self.trials <= len(real_deadlines()) else LOOKS[-2]
        return tuple(Plan((rounds,)) for rounds in LOOKS if rounds <= most and (rounds in JUDGED or self.visit_rounds != 5))


@dataclass(frozen=True)
class Plan:
    """When a trial is looked at, and whether each look pays for the others."""

    looks: tuple[int, ...]
    paid: bool = True

    @property
    def name(self) -> str:
        return ", ".join(map(str, self.looks)) + ("" if self.paid else ", not paid for")

    def certified_ns(self, deadlines: NDArray[np.float64], visits: NDArray[np.int64] | None = None) -> list[float]:
        """Return what is certified at each look, [looks]; inf where nothing is."""
        promised = partial(certify_deadline, late_share=LATE_SHARE, confidence=CONFIDENCE, visits=visits)
        found = (promised(deadlines[:rounds], self.looks if self.paid else (rounds,)).ns for rounds in self.looks)
        return [math.inf if ns is None else ns for ns in found]


IN_TURNS = ((0, 1), (2, 2), (2, 3), (2, 8), (5, 2), (5, 8))
"""Rounds of a visit, 0 for one stretch, and trials that take turns."""
CASES = [Case(scenario, samples) for scenario in WITH_BAR for samples in (20, 1000)]
CASES += [Case(scenario, 20, *turns) for scenario in (ROUND_EFFECTS, *DEPENDENT, None) for turns in IN_TURNS]
PLANS = (Plan(LOOKS[:1]), Plan(LOOKS), Plan(LOOKS, paid=False))
JUDGED = LOOKS[2:]
ISSUED = {("AR(1) 0.8", (240,)): 50.0}


@cache
def real_deadlines() -> NDArray[np.float64]:
    """Return the deadline of every round of the stored series."""
    return deadlines_of(real_series.series())


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per plan of looks."""
    random = generator(seed, "deadline", case.name)
    truth = true_deadline_ns(case)
    certified: dict[Plan, list[list[float]]] = {plan: [] for plan in case.plans}
    beyond = []
    for deadlines, visits in trials(case, repetitions, random):
        beyond.append((deadlines > truth).mean())
        for plan in case.plans:
            certified[plan].append(plan.certified_ns(deadlines, visits))
    return [
        {
            "times": case.times,
            "samples": case.samples,
            "measured in": case.measured_in,
            "looks at rounds": plan.name,
            "rounds beyond the true deadline (%)": 100 * float(np.mean(beyond)),
            **columns(np.array(found), truth),
            "bar": verdict(case, plan, np.array(found), truth),
        }
        for plan, found in certified.items()
    ]


def trials(case: Case, repetitions: int, random: np.random.Generator) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64] | None]]:
    """Yield the deadlines of the rounds of so many trials, [rounds of the last look], and the visit of each round."""
    rounds = case.plans[-1].looks[-1]
    if case.scenario in WITH_BAR:
        pool = pool_of_deadlines(case, max(FEWEST_IN_POOL, POOL_PER_REPETITION * repetitions), random)
        yield from ((random.choice(pool, rounds), None) for _ in range(repetitions))
        return
    for _ in range(repetitions):
        start = int(random.integers(real_deadlines().size - rounds * case.trials + 1)) if case.scenario is None else 0
        chosen, visits = in_turns(random, rounds, case.visit_rounds, case.trials) if case.visit_rounds else (np.arange(rounds), None)
        if case.scenario is None:
            yield real_deadlines()[start + chosen], visits
        else:
            effects = case.scenario.effects(random, rounds * case.trials)[chosen]
            yield deadlines_of(MEDIAN_NS * np.exp(case.scenario.log_times(random, effects, case.samples))), visits


def deadlines_of(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deadline of every round."""
    return mean_deadlines(scores(times.shape[1]), times, [SHARE_OF_IDEAL * IDEAL])[0]


def columns(certified_ns: NDArray[np.float64], truth_ns: float) -> dict[str, str | int | float]:
    """Return figures of certificates, [repetitions, looks]."""
    last = certified_ns[:, -1]
    return {
        "certified at the last look (%)": 100 * float(np.isfinite(last).mean()),
        "false certificates (%)": false_certificates(certified_ns, truth_ns),
        "false at the last look (%)": 100 * float((last < truth_ns).mean()),
        "median deadline over the true one": float(np.median(last)) / truth_ns,
    }


def verdict(case: Case, plan: Plan, certified_ns: NDArray[np.float64], truth_ns: float) -> str:
    if not plan.paid or (case.scenario not in WITH_BAR and plan.looks[0] not in JUDGED):
        return "none"
    issued = 100 * float(np.isfinite(certified_ns[:, -1]).mean())
    enough = issued >= ISSUED.get((case.times, plan.looks), 0.0)
    return "holds" if false_certificates(certified_ns, truth_ns) <= BAR and enough else "missed"


def false_certificates(certified_ns: NDArray[np.float64], truth_ns: float) -> float:
    """Return the share of trials, in percent, with a false certificate at any look."""
    return 100 * float((certified_ns < truth_ns).any(axis=1).mean())


def true_deadline_ns(case: Case) -> float:
    """Return the deadline that exactly 90 % of rounds keep: P(Bin(right answers, on time) >= as many as the floor needs) = 0.9."""
    if case.scenario is None:
        return float(np.quantile(real_deadlines(), 1 - LATE_SHARE, method="inverted_cdf"))
    right = round(IDEAL * case.samples)
    needed = math.ceil(Fraction(str(SHARE_OF_IDEAL)) * right)
    if case.scenario in WITH_BAR:
        return case.scenario.threshold_ns(float(stats.beta.ppf(1 - LATE_SHARE, needed, right - needed + 1)))
    effects, chances = case.scenario.law_of_effects()
    alone = replace(case.scenario, round_sd=0.0, burst=0.0, regime=0.0)

    def kept(log_threshold: float) -> float:
        on_time = np.array([alone.on_time(log_threshold - effect) for effect in effects])
        return float(chances @ stats.beta.cdf(on_time, needed, right - needed + 1))

    return MEDIAN_NS * math.exp(float(optimize.brentq(lambda log: kept(log) - (1 - LATE_SHARE), -2, 5, xtol=1e-9)))


def pool_of_deadlines(case: Case, rounds: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return deadlines of fresh rounds, [rounds], a bounded number of times drawn at once."""
    assert case.scenario is not None
    curve, floor = partial(quality_curve, scores(case.samples)), SHARE_OF_IDEAL * IDEAL
    step = TIMES_AT_ONCE // case.samples
    starts = range(0, rounds, step)
    drawn = (case.scenario.times(random, min(step, rounds - start), case.samples) for start in starts)
    return np.concatenate([round_deadlines(curve, times, floor) for times in drawn])
