"""How often does the gate cry wolf, and how often does it find a slow-down?

Bars: with 3 repeats a side and a process effect of 1 %, at most 5 % of campaigns without a change hold a ``worse`` verdict; a
slow-down of 10 % is found in at least 90 % of campaigns with 5 repeats. Holm's method leaves 4.9 % to 8 independent trials, so that a
bar is missed only where the share lies beyond it by more than 2 standard errors of the simulation.

A campaign has 8 trials of 30 rounds. Every process multiplies all its times by exp(N(0, 0.01)). The endpoint is tail quality at a
percentile of one repeat of the baseline: of the matching trial's, or, where speeds are 7-fold, of the median trial's for all 8. The
slow-down strikes one trial of the 8, which is the hardest for Holm's method; false alarms are those of the others. A false gain is a
``better`` of any trial. Beside the gate
stands what Welch's t on the rounds of one repeat a side would say, with Holm over trials too.

Without a bar are times in which quality at p95 says little about speed. 6 % stalls put the p95 on the plateau between body and
stalls. Samples that differ from each other by 30 % and from round to round by less put it into a gap between two samples, or on a
sample whose answer is wrong anyway. At one reference's p95 the trials of a 7-fold range have everything on time or nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.scenarios import LOGNORMAL, ROUND_EFFECTS, WITH_BAR, Scenario, generator, scores
from orchestrator.stats.comparison import compare_rounds, holm_adjusted
from orchestrator.stats.gate import gate
from orchestrator.stats.latency import percentile_inverted_cdf
from orchestrator.stats.tail_quality import quality_curve

Floats: TypeAlias = NDArray[np.float64]

TITLE = "False alarms of the gate and slow-downs it finds, over campaigns of 8 trials of 30 rounds"
REPETITIONS = 400
TRIALS, ROUNDS = 8, 30
PROCESS_SD = 0.01
LEVEL = 0.05
FEWEST_FOUND = 0.9
SEVENFOLD = np.linspace(-0.5, 0.5, TRIALS) * math.log(7)
MEDIAN_TRIAL = (TRIALS - 1) // 2
PLATEAU = Scenario("6 % stalls", ((0.94, 0.0, 0.05), (0.06, 2.0, 0.5)))
STEADY, USUAL, NOISY = (Scenario(f"sd {sd:.1%}", ((1.0, 0.0, sd),)) for sd in (0.005, 0.02, 0.05))


@dataclass(frozen=True)
class Case:
    """One kind of campaign.

    between_samples is the log sd by which samples differ, the same in every round and process.
    """

    scenario: Scenario
    samples: int
    repeats: int = 3
    slow_down: float = 0.0
    between_samples: float = 0.0
    one_reference: bool = False
    percentile: float = 95

    @property
    def name(self) -> str:
        return f"{self.times}, {self.samples} samples, p{self.percentile}, {self.repeats} repeats, {self.slow_down:.0%} slower"

    @property
    def times(self) -> str:
        """Say what the times are like."""
        differ = f", samples differ by {self.between_samples:.0%}" if self.between_samples else ""
        return self.scenario.name + differ + (", speeds 7-fold" if self.one_reference else "")

    @property
    def has_bar(self) -> bool:
        plain = self.scenario in WITH_BAR and not self.between_samples and not self.one_reference and self.percentile == 95
        return plain and self.repeats == (5 if self.slow_down else 3)


def _cases() -> Iterator[Case]:
    plain = [Case(scenario, 20) for scenario in (*WITH_BAR, ROUND_EFFECTS)]
    unlike = [Case(scenario, 20, between_samples=0.3) for scenario in (STEADY, USUAL, NOISY)]
    blind = [Case(PLATEAU, 20), Case(LOGNORMAL, 20, one_reference=True), *unlike]
    median = [replace(kind, percentile=50) for kind in (plain[0], Case(PLATEAU, 20), *unlike)]
    for kind in (*plain, *blind, *median):
        for repeats in (3, 5):
            yield replace(kind, repeats=repeats)
            yield replace(kind, repeats=repeats, slow_down=0.1)
    for kind in (*(Case(scenario, 1000) for scenario in WITH_BAR), replace(unlike[1], samples=1000)):
        yield kind
        yield replace(kind, repeats=5, slow_down=0.1)


CASES = list(_cases())


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row of shares of campaigns."""
    random = generator(seed, "gate", case.name)
    resolutions = {str(trial): 1 / (ROUNDS * case.samples) for trial in range(TRIALS)}
    unchanged = [trial > 0 or not case.slow_down for trial in range(TRIALS)]
    false, found, naive, gains = 0, 0, 0, 0
    drops, variances = [], []
    for _ in range(repetitions):
        a, b = campaigns(case, random)
        means_a, means_b = ({str(trial): qualities.mean(axis=1) for trial, qualities in enumerate(side)} for side in (a, b))
        verdicts = list(gate(means_a, means_b, level=LEVEL, resolutions=resolutions).values())
        worse = np.array([verdict.outcome == "worse" for verdict in verdicts])
        false += bool(worse[unchanged].any())
        gains += any(verdict.outcome == "better" for verdict in verdicts)
        naive += bool(welch_alarms(a, b)[unchanged].any())
        found += bool(worse[0])
        drops.append(-verdicts[0].difference)
        variances.append(verdicts[0].sd ** 2)
    return [
        {
            "times": case.times,
            "samples": case.samples,
            "threshold": f"p{case.percentile}",
            "repeats": case.repeats,
            "slower by (%)": round(100 * case.slow_down),
            "false alarm (%)": 100 * false / repetitions,
            "false gain (%)": 100 * gains / repetitions,
            "false alarm of Welch on rounds (%)": 100 * naive / repetitions,
            "slow-down found (%)": 100 * found / repetitions if case.slow_down else math.nan,
            "mean drop": float(np.mean(drops)),
            "sd of repeats": math.sqrt(float(np.mean(variances))),
            "bar": _judged(case, (found if case.slow_down else false) / repetitions, repetitions),
        }
    ]


def campaigns(case: Case, random: np.random.Generator) -> tuple[list[Floats], list[Floats]]:
    """Return tail quality of baseline and candidate, by trial, [repeats, rounds] each."""
    samples = case.between_samples * random.standard_normal((TRIALS, case.samples))
    slowness = samples + SEVENFOLD[:, None] if case.one_reference else samples
    times_a = [_times(case, slow, random) for slow in slowness]
    slowness[0] += math.log1p(case.slow_down)
    times_b = [_times(case, slow, random) for slow in slowness]
    references = [times_a[MEDIAN_TRIAL if case.one_reference else trial][0] for trial in range(TRIALS)]
    thresholds = [percentile_inverted_cdf(reference, case.percentile) for reference in references]
    a, b = ([_qualities(case, *pair) for pair in zip(times, thresholds, strict=True)] for times in (times_a, times_b))
    return a, b


def welch_alarms(a: list[Floats], b: list[Floats]) -> NDArray[np.bool_]:
    """Return which trials Welch's t on the rounds of the second repeat calls worse, one-sided; the first chose the threshold."""
    p_values = []
    for before, after in zip(a, b, strict=True):
        found = compare_rounds(before[1], after[1])
        two_sided = found.parameters.get("p_value", float(found.difference == 0))
        p_values.append(two_sided / 2 if found.difference < 0 else 1 - two_sided / 2)
    alarms: NDArray[np.bool_] = holm_adjusted(p_values) <= LEVEL
    return alarms


def _times(case: Case, slowness: Floats, random: np.random.Generator) -> Floats:
    """Return times of one trial on one side in ns, [repeats, rounds, samples]."""
    processes = random.normal(0, PROCESS_SD, case.repeats)
    return np.array([case.scenario.times(random, ROUNDS, case.samples) * np.exp(slowness + process) for process in processes])


def _qualities(case: Case, times: Floats, threshold: float) -> Floats:
    pooled = times.reshape(-1, case.samples)
    curve = quality_curve(scores(case.samples), pooled, [threshold])
    return curve.reshape(case.repeats, ROUNDS)


def _judged(case: Case, share: float, repetitions: int) -> str:
    if not case.has_bar:
        return "none"
    bar = FEWEST_FOUND if case.slow_down else LEVEL
    doubt = 2 * math.sqrt(bar * (1 - bar) / repetitions)
    return "holds" if (share >= bar - doubt if case.slow_down else share <= bar + doubt) else "missed"
