"""Does the rounds interval cover the true mean tail quality as often as it says?

Bars, at 95 % and 30 rounds: the bootstrap-t branch covers in 93 to 97 %, the Korn-Graubard branch in at least 93 %, the rule of both in
at least 93 % of every case. The data choose the branch, and coverage *given* the branch is not what either method promises: where both
serve, each sees the data that suit it. Trials that happened to lose much go to bootstrap-t, those that happened to lose little to
Korn-Graubard, so that the rarer branch covers too seldom and the commoner one too often. A branch is therefore held to its bar where it
serves alone (99 % of the repetitions), and the rule as a whole everywhere; shares on time of 0.98 to 0.993 (20 samples) and 0.9998
(1,000 samples) are there to show where both serve. Bursts break the assumption that rounds are exchangeable, and heavy round effects
leave 30 rounds too few to have met the slow ones: shown without a bar.

Samples are independent and thresholds stand at a fixed share on time, so that the kinds of times with a bar have the same law of quality:
they are three repetitions of one experiment. The shares on time of one repetition share their resamples, as the thresholds of a trial do.
"""

from __future__ import annotations

from collections import Counter
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.studies.scenarios import IDEAL, WITH_BAR, WITHOUT_BAR, RoundsOfOneKind, generator, scores
from orchestrator.stats.intervals import rounds_intervals
from orchestrator.stats.tail_quality import quality_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

TITLE = "Coverage of the 95 % rounds interval over 30 rounds"
REPETITIONS = 10_000
ROUNDS = 30
ON_TIME = (0.5, 0.8, 0.95, 0.98, 0.99, 0.993, 0.999, 0.9998)
ALONE = 0.99
BRANCHES = {"bootstrap-t": (93.0, 97.0), "korn-graubard": (93.0, 100.0)}
WHOLE = (93.0, 100.0)


CASES = [RoundsOfOneKind(scenario, samples) for scenario in WITH_BAR + WITHOUT_BAR for samples in (20, 1000)]


def run(case: RoundsOfOneKind, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per share of samples on time; a tenth of the repetitions where no bar is judged."""
    with_bar = case.scenario in WITH_BAR
    repetitions = repetitions if with_bar else max(1, repetitions // 10)
    random = generator(seed, "intervals", case.name)
    score = scores(case.samples)
    thresholds = [case.scenario.threshold_ns(share) for share in ON_TIME]
    tallies = [Tally(IDEAL * share) for share in ON_TIME]
    for _ in range(repetitions):
        curve = quality_curve(score, case.scenario.times(random, ROUNDS, case.samples), thresholds)
        found = rounds_intervals(curve, IDEAL, float(score.sum()), random)
        for tally, one in zip(tallies, found, strict=True):
            tally.add(one.method, one.low, one.high)
    return [
        {
            "times": case.scenario.name,
            "samples": case.samples,
            "on time (%)": round(100 * share, 2),
            "repetitions": repetitions,
            **tally.row(with_bar),
        }
        for share, tally in zip(ON_TIME, tallies, strict=True)
    ]


class Tally:
    """How often intervals held the truth."""

    def __init__(self, truth: float) -> None:
        self._truth = truth
        self._used: Counter[str] = Counter()
        self._covering: Counter[str] = Counter()
        self._above = self._below = 0
        self._widths: list[float] = []

    def add(self, method: str, low: float, high: float) -> None:
        """Count one interval."""
        self._used[method] += 1
        self._covering[method] += low <= self._truth <= high
        self._above += low > self._truth
        self._below += high < self._truth
        self._widths.append(high - low)

    def row(self, with_bar: bool) -> dict[str, str | int | float]:
        """Return the columns of the table."""
        total = self._used.total()
        columns: dict[str, str | int | float] = {
            "covers (%)": 100 * self._covering.total() / total,
            "interval above truth (%)": 100 * self._above / total,
            "interval below truth (%)": 100 * self._below / total,
        }
        judged = [(columns["covers (%)"], WHOLE)]
        for method, bar in BRANCHES.items():
            used = self._used[method]
            covers = 100 * self._covering[method] / used if used else nan
            columns |= {f"{method} served": used, f"{method} covers (%)": covers}
            if used >= ALONE * total:
                judged.append((covers, bar))
        columns["width, mean"] = float(np.mean(self._widths))
        holds = all(low <= float(covers) <= high for covers, (low, high) in judged)
        columns["bar"] = ("holds" if holds else "missed") if with_bar else "none"
        return columns


def figure(rows: Sequence[dict[str, str | int | float]]) -> Figure:
    """Draw coverage against the share of samples on time, one panel per number of samples."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9, 3.6))
    panels = drawn.subplots(1, 2, sharey=True)
    for panel, samples in zip(panels, sorted({int(row["samples"]) for row in rows}), strict=True):
        some = [row for row in rows if row["samples"] == samples]
        for times in dict.fromkeys(str(row["times"]) for row in some):
            covers = [float(row["covers (%)"]) for row in some if row["times"] == times]
            panel.plot(range(len(covers)), covers, marker="o", label=times)
        panel.axhline(95, color="black", linewidth=0.8)
        panel.axhspan(93, 97, color="black", alpha=0.08)
        panel.set_xticks(range(len(ON_TIME)), [f"{100 * share:g}" for share in ON_TIME])
        panel.set(title=f"{samples:,} samples a round", xlabel="on time (%)")
    panels[0].set_ylabel("covers (%)")
    panels[0].legend(fontsize="small")
    return drawn
