"""How well do whole rounds and independent samples predict rounds that are yet to come, and what does independence fail to see?

Claims of docs/statistics.md: where whole rounds are slow, independence sees a few percent of the true variance of tail quality (the
fewer, the more samples a round has and the more rounds differ) and promises a minimum that the rounds to come undercut; the block
bootstrap does not (it pays with noise where samples are independent); and the paper's measure, which recomputes the percentile on the
test rounds, agrees whatever happens. No bar. Bursts come in series, so that first and last rounds are not alike: nothing predicts them
well. The threshold is the fitted rounds' own percentile, which flatters them: where rounds differ, variance turns out larger than theirs.

Of 60 rounds half are fitted and half are the test; of 130 rounds 100 are fitted. Expected quality at a threshold is known, and the bias
of the mean is against that truth.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import nan

import numpy as np

from benchmarks.studies.scenarios import BURSTS, IDEAL, MEDIAN_NS, ROUND_EFFECTS, WITH_BAR, Scenario, generator, scores
from orchestrator.analysis.tables.prediction import Halves
from orchestrator.stats.prediction import Figures, predict_independent, predict_rounds, ratio_of_variances
from orchestrator.stats.tail_quality import quality_curve

TITLE = "Predicting the rounds to come: whole rounds against independent samples"
REPETITIONS = 200
SAMPLES = 1000
PERCENTILES = (95.0, 99.0)
MILD = replace(ROUND_EFFECTS, name="mild round effects", round_sd=0.03)
SCENARIOS = (*WITH_BAR, MILD, ROUND_EFFECTS, BURSTS)
WAYS = ("whole rounds", "independent")


@dataclass(frozen=True)
class Case:
    """Times of one kind, and so many rounds of them."""

    scenario: Scenario
    rounds: int

    @property
    def name(self) -> str:
        return f"{self.scenario.name}, {self.rounds} rounds"


CASES = [Case(scenario, rounds) for rounds in (60, 130) for scenario in SCENARIOS]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per percentile and way of prediction."""
    random = generator(seed, "prediction", case.name)
    score = scores(SAMPLES)
    tallies = {(percentile, way): Tally() for percentile in PERCENTILES for way in WAYS}
    for _ in range(repetitions):
        times = case.scenario.times(random, case.rounds, SAMPLES)
        halves = Halves(partial(quality_curve, score), times, percentiles=PERCENTILES)
        truths = [IDEAL * case.scenario.on_time(float(np.log(bound / MEDIAN_NS))) for bound in halves.bounds]
        ratios = ratio_of_variances(score, halves.quality, halves.on_time).tolist()
        found = {
            "whole rounds": predict_rounds(halves.quality, len(halves.test), within=(0.0, IDEAL)),
            "independent": predict_independent(score, halves.on_time, len(halves.fit), len(halves.test)),
        }
        for way, predicted in found.items():
            sides = [np.array(one).T for one in (predicted.figures, halves.observed, halves.at_recomputed)]
            for place, percentile in enumerate(halves.percentiles.tolist()):
                ratio = ratios[place] if way == "independent" else nan
                tallies[percentile, way].add(*(Figures(*side[place]) for side in sides), truths[place], ratio)
    return [
        {"times": case.scenario.name, "fitted rounds": case.rounds - 30, "percentile": percentile, "predicted from": way, **tally.row()}
        for (percentile, way), tally in tallies.items()
    ]


class Tally:
    """Predictions beside what came."""

    def __init__(self) -> None:
        self._rows: list[tuple[Figures, Figures, Figures, float, float]] = []

    def add(self, predicted: Figures, observed: Figures, in_paper: Figures, truth: float, ratio: float) -> None:
        """Take one repetition into account: what was predicted, what came, and what came at the test rounds' own percentile."""
        self._rows.append((predicted, observed, in_paper, truth, ratio))

    def row(self) -> dict[str, str | int | float]:
        """Return the columns of the table."""
        predicted, observed, recomputed = (np.array([row[place] for row in self._rows]) for place in range(3))
        truths, ratios = (np.array([row[place] for row in self._rows]) for place in (3, 4))
        differences, in_paper = (np.abs(predicted - other).mean(axis=0) for other in (observed, recomputed))
        below = (observed[:, 2] < predicted[:, 2]).mean() + (observed[:, 2] == predicted[:, 2]).mean() / 2
        return {
            "bias of the mean": float((predicted[:, 0] - truths).mean()),
            "off by, mean": float(differences[0]),
            "off by, mean, as in the paper": float(in_paper[0]),
            "off by, minimum": float(differences[2]),
            "minimum turned out lower (%)": 100 * float(below),
            "predicted of observed variance (%)": 100 * float(predicted[:, 1].mean() / observed[:, 1].mean()),
            "observed over independent variance": float(np.median(ratios)),
        }
