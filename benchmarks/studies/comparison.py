"""Do the intervals of a difference cover it as often as they say, in both scopes?

*This data set*: Welch's t on 30 rounds a side, the same times on one side and slower by 0 or 10 % on the other, at thresholds where 50
to 99.9 % of the faster side's times are on time; paired by round where both sides share a round effect. Where losses are rare and
differ from round to round, skewness makes t too sure of itself; the floor of one answer a side helps where hardly anything is lost.

*Samples like these*: two-way bootstrap on samples that are drawn anew in every repetition, right with probability 0.9, and slower or
faster than each other by a log sd of 0 or 30 %. The truth is the difference over all samples there could be. The part of the variance
that belongs to single answers is counted three times (Owen 2007), so intervals are too wide where samples are alike, and wide enough
where they differ. Where few of few samples decide, a percentile interval is too narrow. Where none does there is no interval, which
counts as covering.

No bar is set. Round effects of 10 % and bursts break what Welch's t assumes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.studies.scenarios import IDEAL, LOGNORMAL, MEDIAN_NS, ROUND_EFFECTS, WITH_BAR, WITHOUT_BAR, Scenario, generator, scores
from orchestrator.stats.comparison import Difference, compare_rounds, compare_samples
from orchestrator.stats.tail_quality import quality_curve

TITLE = "Coverage of the 95 % intervals of a difference between two trials, 30 rounds a side"
REPETITIONS = 1000
ROUNDS = 30
RESAMPLES = 999
ON_TIME = (0.5, 0.8, 0.95, 0.99, 0.999)


@dataclass(frozen=True)
class Case:
    """Two trials, the second slower by a share; between_samples is for the scope of samples only."""

    scope: Literal["rounds", "paired rounds", "samples"]
    scenario: Scenario
    samples: int
    slow_down: float
    between_samples: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.scope}, {self.times}, {self.samples} samples, {self.slow_down:.0%} slower"

    @property
    def times(self) -> str:
        """Say what the times are like."""
        return self.scenario.name + (f", samples differ by {self.between_samples:.0%}" if self.between_samples else "")


CASES = [
    *(Case("rounds", times, samples, slow) for times in (*WITH_BAR, *WITHOUT_BAR) for samples in (20, 1000) for slow in (0.0, 0.1)),
    *(Case("paired rounds", ROUND_EFFECTS, samples, 0.02) for samples in (20, 1000)),
    *(
        Case("samples", times, samples, slow, between)
        for times, between in ((LOGNORMAL, 0.0), (LOGNORMAL, 0.3), (ROUND_EFFECTS, 0.3))
        for samples in (20, 100)
        for slow in (0.0, 0.1)
    ),
]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per share of samples on time."""
    random = generator(seed, "comparison", case.name)
    log_thresholds = [_log_threshold(case, share) for share in ON_TIME]
    truths = [
        IDEAL * (_on_time(case, bound - math.log1p(case.slow_down)) - share) for bound, share in zip(log_thresholds, ON_TIME, strict=True)
    ]
    compare = _samples if case.scope == "samples" else _rounds
    found = [compare(case, MEDIAN_NS * np.exp(log_thresholds), random) for _ in range(repetitions)]
    return [_row(case, share, truth, column) for share, truth, column in zip(ON_TIME, truths, zip(*found, strict=True), strict=True)]


def _rounds(case: Case, thresholds: NDArray[np.float64], random: np.random.Generator) -> list[Difference]:
    paired = case.scope == "paired rounds"
    shared = np.exp(random.normal(0, case.scenario.round_sd, (ROUNDS, 1))) if paired else 1.0
    scenario = replace(case.scenario, round_sd=0.0) if paired else case.scenario
    a = scenario.times(random, ROUNDS, case.samples) * shared
    b = scenario.times(random, ROUNDS, case.samples) * shared * (1 + case.slow_down)
    curves = (quality_curve(scores(case.samples), times, thresholds) for times in (a, b))
    return [compare_rounds(*pair, paired=paired, resolution=1 / case.samples) for pair in zip(*curves, strict=True)]


def _samples(case: Case, thresholds: NDArray[np.float64], random: np.random.Generator) -> list[Difference]:
    right = random.random(case.samples) < IDEAL
    slowness = np.exp(random.normal(0, case.between_samples, case.samples))
    a = case.scenario.times(random, ROUNDS, case.samples) * slowness
    b = case.scenario.times(random, ROUNDS, case.samples) * slowness * (1 + case.slow_down)
    return [compare_samples(right * (a <= bound), right * (b <= bound), random, resamples=RESAMPLES) for bound in thresholds]


def _on_time(case: Case, log_threshold: float) -> float:
    """Return the probability that a sample of the faster trial is on time."""
    if not case.between_samples:
        return case.scenario.on_time(log_threshold)
    [(_, mean, sd)] = case.scenario.parts
    return float(stats.norm.cdf((log_threshold - mean) / math.hypot(sd, case.scenario.round_sd, case.between_samples)))


def _log_threshold(case: Case, on_time: float) -> float:
    if not case.between_samples:
        return case.scenario.log_threshold(on_time)
    [(_, mean, sd)] = case.scenario.parts
    return mean + float(stats.norm.ppf(on_time)) * math.hypot(sd, case.scenario.round_sd, case.between_samples)


def _row(case: Case, share: float, truth: float, found: tuple[Difference, ...]) -> dict[str, str | int | float]:
    low, high = (np.array([getattr(difference, end) for difference in found]) for end in ("low", "high"))
    rounding = 1e-12
    return {
        "scope": case.scope,
        "times": case.times,
        "samples": case.samples,
        "slower by (%)": round(100 * case.slow_down),
        "on time (%)": 100 * share,
        "true difference": truth,
        "covers (%)": 100 * float(((low - rounding <= truth) & (truth <= high + rounding)).mean()),
        "too high (%)": 100 * float((low - rounding > truth).mean()),
        "too low (%)": 100 * float((high + rounding < truth).mean()),
        "mean width": float((high - low)[np.isfinite(low)].mean()) if np.isfinite(low).any() else math.nan,
        "sd of differences": float(np.std([difference.difference for difference in found])),
        "no interval (%)": 100 * sum(difference.method == "none" for difference in found) / len(found),
    }
