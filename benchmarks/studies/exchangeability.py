"""Is a drift flagged, and are rounds in random order left alone?

Bars, over 30 rounds: a drift of 3 standard deviations of a round's log median from first round to last is flagged in at least 90 % of
trials, exchangeable rounds in at most 2 %. Heavy round effects are exchangeable and must not be flagged; bursts are not, and are shown
without a bar.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.studies.scenarios import BURSTS, ROUND_EFFECTS, WITH_BAR, Scenario, generator, scores
from orchestrator.stats.exchangeability import exchangeability_flag
from orchestrator.stats.tail_quality import quality_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

TITLE = "How often the exchangeability flag is raised, 30 rounds"
REPETITIONS = 1_000
ROUNDS = 30
PRIMARY = 0.95
DRIFTS = (0.0, 1.0, 2.0, 3.0)
FALSE_FLAGS, FOUND = 2.0, 90.0


@dataclass(frozen=True)
class Case:
    """Times of one kind and drift, in rounds of so many samples."""

    scenario: Scenario
    samples: int

    @property
    def name(self) -> str:
        return f"{self.scenario.name}, drift {self.scenario.drift:g}, {self.samples} samples"


DRIFTING = tuple(replace(scenario, drift=drift) for scenario in WITH_BAR for drift in DRIFTS)
CASES = [Case(scenario, samples) for scenario in (*DRIFTING, ROUND_EFFECTS, BURSTS) for samples in (20, 1000)]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row; quality is that at the p95 of undisturbed times."""
    random = generator(seed, "exchangeability", case.name)
    score, threshold = scores(case.samples), case.scenario.threshold_ns(PRIMARY)
    raised = 0
    for _ in range(repetitions):
        times = case.scenario.times(random, ROUNDS, case.samples)
        quality = quality_curve(score, times, [threshold])[0]
        raised += exchangeability_flag(np.log(np.median(times, axis=1)), quality).flagged
    flagged = 100 * raised / repetitions
    return [
        {
            "times": case.scenario.name,
            "samples": case.samples,
            "drift (sd)": case.scenario.drift,
            "flagged (%)": flagged,
            "bar": _bar(case.scenario, flagged),
        }
    ]


def _bar(scenario: Scenario, flagged: float) -> str:
    if scenario.burst or 0 < scenario.drift < max(DRIFTS):
        return "none"
    return "holds" if (flagged >= FOUND if scenario.drift else flagged <= FALSE_FLAGS) else "missed"


def figure(rows: Sequence[dict[str, str | int | float]]) -> Figure:
    """Draw how often a drift is flagged against its size."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(5.5, 3.6))
    panel = drawn.subplots()
    for scenario in WITH_BAR:
        for samples, style in ((20, "--"), (1000, "-")):
            some = [row for row in rows if row["times"] == scenario.name and row["samples"] == samples]
            drifts, flagged = [row["drift (sd)"] for row in some], [row["flagged (%)"] for row in some]
            panel.plot(drifts, flagged, style, marker="o", label=f"{scenario.name}, {samples:,} samples")
    panel.axhline(FOUND, color="black", linewidth=0.8)
    panel.set(xlabel="drift over 30 rounds (sd of a round's log median)", ylabel="flagged (%)")
    panel.legend(fontsize="small")
    return drawn
