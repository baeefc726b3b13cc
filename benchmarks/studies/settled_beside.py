"""What can rule `settled` say of a trial in visits beside a co-runner that comes and goes, within the minutes of the vision sweep?

A campaign of eight trials on one machine: in every cycle each has one visit of two rounds, in random order. A co-runner computes for
times drawn between 1 and 20 s and rests for as long, as that of `benchmarks/gate.py` does; while it computes, samples take longer. So much
longer, and at so tight a deadline, that quality alone and beside it differ by the column *swing*, as a share of ideal quality. Rounds begin
at times that do not depend on the co-runner, so that the truth is half of each. Rule `settled` has the rounds and the seconds of the vision
sweep, as they were (half-width of 2 % of ideal quality, 2 s after 34 rounds) and as they are (5 %, 6 s); what stops is read as analysis
does.

Bars: at most 7 % of all trials settle on an interval that misses the truth, and where 90 % settle or more these cover in at least
93 %. Where few settle it is the lucky ones whose visits met little of the co-runner, and of them fewer are covered: shown without a bar.
The last column is the number of visits after which an interval of visits is narrower than 2 % of ideal quality on either side, by the true
spread of their means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from benchmarks.studies.scenarios import IDEAL, TRIALS, generator, scores
from orchestrator.stats.intervals import intervals_of_rounds_to_come, rounds_intervals
from orchestrator.stats.long_run import visits_alike, weights_of_dependence
from orchestrator.stats.stopping import RoundObservation, make_rule
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.times import Clock

TITLE = "Trials of eight in visits that rule `settled` ended beside a co-runner that comes and goes for 1 to 20 s"
REPETITIONS = 400
SAMPLES = 20
VISIT_ROUNDS = 2
MIN_ROUNDS = 34
ROUND_S, LEAD_IN_S = 0.45, 0.07
VISIT_S = VISIT_ROUNDS * ROUND_S + LEAD_IN_S
CYCLE_S = TRIALS * VISIT_S
SHORTEST_S, LONGEST_S = 1.0, 20.0
SD = 0.1
THRESHOLD_NS = 20e6
RESAMPLES = 999
MOST_FALSE, COVERS, MOST_SETTLE = 7.0, 93.0, 90.0
VISITS_FOR_SPREAD = 20_000


@dataclass(frozen=True)
class Settings:
    """What the sweep asks of the rule: a half-width, as a share of ideal quality, within seconds after the first 34 rounds."""

    half_width: float
    max_seconds: float

    @property
    def most_rounds(self) -> int:
        """Rounds after which a trial has ended whatever they show, in whole visits."""
        return MIN_ROUNDS + VISIT_ROUNDS * math.ceil(self.max_seconds / ROUND_S / VISIT_ROUNDS + 1)


@dataclass(frozen=True)
class Case:
    """A trial that is so much slower beside the co-runner (log), with so many samples on time in the long run."""

    slow_down: float
    on_time: float
    settings: Settings

    @property
    def name(self) -> str:
        return f"{self.slow_down} slower, {self.on_time} on time, {self.settings}"

    @property
    def log_threshold(self) -> float:
        """The threshold over the median time alone."""
        return float(optimize.brentq(lambda x: np.mean(self.shares_on_time(x)) - self.on_time, -2, 5))

    def shares_on_time(self, log_threshold: float) -> tuple[float, float]:
        """Return the share of samples on time alone and beside the co-runner."""
        alone, beside = (float(stats.norm.cdf((log_threshold - slow) / SD)) for slow in (0.0, self.slow_down))
        return alone, beside

    @property
    def swing(self) -> float:
        """By how much quality alone and beside the co-runner differ, as a share of ideal."""
        alone, beside = self.shares_on_time(self.log_threshold)
        return alone - beside

    def trial(self, random: np.random.Generator, visits: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw times in ns, [rounds, samples], and the visit of each round, [rounds]."""
        begins = CYCLE_S * np.arange(visits) + VISIT_S * random.integers(0, TRIALS, visits) + LEAD_IN_S
        rounds_s = (begins[:, None] + ROUND_S * np.arange(VISIT_ROUNDS)).ravel()
        at_s = rounds_s[:, None] + ROUND_S / SAMPLES * np.arange(SAMPLES)
        log_times = SD * random.standard_normal(at_s.shape) + self.slow_down * computes(random, at_s) - self.log_threshold
        return THRESHOLD_NS * np.exp(log_times), np.repeat(np.arange(visits), VISIT_ROUNDS)


def computes(random: np.random.Generator, at_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether the co-runner computes at each of these times, of any shape; it has come and gone for a long time before them."""
    long_before_s = random.uniform(10, 20) * LONGEST_S
    spells = random.uniform(SHORTEST_S, LONGEST_S, int(2 * (long_before_s + at_s.max()) / SHORTEST_S / 10) + 100)
    found: NDArray[np.bool_] = np.searchsorted(np.cumsum(spells), at_s + long_before_s) % 2 == 0
    return found


AS_IT_WAS, AS_IT_IS = Settings(0.02, 2.0), Settings(0.05, 6.0)
CASES = [
    Case(slow_down, on_time, settings)
    for settings in (AS_IT_WAS, AS_IT_IS)
    for slow_down in (0.03, 0.1, 0.3)
    for on_time in (0.8, 0.9, 0.95, 0.99)
]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row."""
    random = generator(seed, "settled_beside", case.name)
    settled, covers, rounds, half_widths = (np.zeros(repetitions) for _ in range(4))
    for repetition in range(repetitions):
        times, visits = case.trial(random, case.settings.most_rounds // VISIT_ROUNDS)
        rounds[repetition], reason = ended(case.settings, times, visits)
        settled[repetition] = reason.startswith("settled")
        low, high = interval(times[: int(rounds[repetition])], visits[: int(rounds[repetition])], random)
        covers[repetition] = low <= IDEAL * case.on_time <= high
        half_widths[repetition] = (high - low) / 2 / IDEAL
    of_settled, of_others = covers[settled == 1], covers[settled == 0]
    false = 100 * float(np.mean((settled == 1) & (covers == 0)))
    enough = 100 * settled.mean() < MOST_SETTLE or 100 * of_settled.mean() >= COVERS
    return [
        {
            "slower beside it (%)": round(100 * math.expm1(case.slow_down)),
            "on time (%)": round(100 * case.on_time),
            "swing": case.swing,
            "wanted half-width": case.settings.half_width,
            "rounds, median": float(np.median(rounds)),
            "settled (%)": 100 * float(settled.mean()),
            "settled and false (%)": false,
            "covers, settled (%)": 100 * float(of_settled.mean()) if of_settled.size else math.nan,
            "covers, others (%)": 100 * float(of_others.mean()) if of_others.size else math.nan,
            "half-width, median": float(np.median(half_widths)),
            "visits for 2 %": visits_for(case, AS_IT_WAS.half_width, random),
            "bar": "holds" if false <= MOST_FALSE and enough else "missed",
        }
    ]


def ended(settings: Settings, times: NDArray[np.float64], visits: NDArray[np.int64]) -> tuple[int, str]:
    """Return after how many rounds a trial ends, and why. The rule's clock stands still until then: no earlier check could end it."""
    rule = make_rule(
        "settled", min_rounds=MIN_ROUNDS, max_rounds=len(times), max_seconds=settings.max_seconds, half_width=settings.half_width,
        primary=f"{THRESHOLD_NS / 1e6:g} ms",
    )  # fmt: skip
    still = np.full(SAMPLES, 1e6)
    for number, total in enumerate(times):
        quality = partial(quality_of, total)
        observation = RoundObservation(number, {Clock.INFERENCE: still, Clock.TOTAL: total}, quality, IDEAL, int(visits[number]))
        decision = rule.update(observation, ROUND_S * max(number + 1, MIN_ROUNDS))
        if decision.stop:
            return number + 1, decision.reason or ""
    raise ValueError(f"{len(times)} rounds are fewer than max_rounds")


def quality_of(total: NDArray[np.float64], threshold_ns: float) -> float:
    return float(quality_curve(scores(SAMPLES), total[np.newaxis], [threshold_ns])[0, 0])


def interval(times: NDArray[np.float64], visits: NDArray[np.int64], random: np.random.Generator) -> tuple[float, float]:
    """Return the interval of rounds to come."""
    curve = quality_curve(scores(SAMPLES), times, [THRESHOLD_NS])
    right = float(scores(SAMPLES).sum())
    session = rounds_intervals(curve, IDEAL, right, random, resamples=RESAMPLES)
    log_medians = np.log(np.median(times, axis=1))
    weights = weights_of_dependence(curve, log_medians, visits)
    alike = visits_alike(log_medians, visits)
    [found] = intervals_of_rounds_to_come(curve, IDEAL, right, session, weights, visits, alike=alike)
    return found.low, found.high


def visits_for(case: Case, half_width: float, random: np.random.Generator) -> int:
    """Return the fewest visits whose interval is narrow enough, a third as many degrees of freedom as visits."""
    times, _ = case.trial(random, VISITS_FOR_SPREAD)
    means = quality_curve(scores(SAMPLES), times, [THRESHOLD_NS])[0].reshape(-1, VISIT_ROUNDS).mean(axis=1)
    spread = float(means.std(ddof=1))
    return next(v for v in count(12) if stats.t.ppf(0.975, v // 3) * spread / math.sqrt(v) <= half_width * IDEAL)
