"""Does the interval of mean tail quality cover where a late answer may cost quality or add to it, as under mAP and F1?

Bars, at 95 %: `signed_intervals` covers in at least 93 % of every row but those of round effects, and never excludes its own mean.
Beside it, on a tenth of the repetitions and without a bar: the rule for metrics that are means (`rounds_interval`), which knows losses
only and ends at ideal quality, and Student's t.

The truth is exact: rounds are drawn from a pool, whose mean is the truth. Tasks are made up once per case, with wrong answers that are
late now and then, so that the mean may lie above ideal quality. *all alike*: every answer is late equally often. *wrong ones*: an answer
whose absence adds to quality is late often, the others a third as often as on average. *right ones*: an answer whose absence costs
quality is late, the others a tenth as often. *round effects*: as all alike, in rounds of which some lose many answers and most few.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.studies.scenarios import generator
from orchestrator.analysis.quality import at_stake, judge
from orchestrator.metrics import Answers, Judged
from orchestrator.stats.intervals import rounds_interval
from orchestrator.stats.signed_intervals import signed_intervals

TITLE = "Coverage of the 95 % interval of metrics that are no mean over samples"
REPETITIONS = 1_000
LATE = (0.0005, 0.002, 0.01, 0.03, 0.1, 0.4)
POOL, ROUNDS_PER_REPETITION = 4_000, 50
CLASSES = 5
BAR = 93.0
ROUNDING = 1e-12


@dataclass(frozen=True)
class Case:
    """A metric over so many answers, in trials of so many rounds; ``rare`` classes have few members."""

    metric: str
    answers: int
    rounds: int
    late: str
    rare: bool = False

    @property
    def name(self) -> str:
        return f"{self.metric}{', rare classes' if self.rare else ''}, {self.answers} answers, {self.rounds} rounds, {self.late}"


TASKS = (("map", 30, 30, False), ("map", 30, 6, False), ("map", 100, 30, False), ("f1_macro", 40, 30, False), ("f1_macro", 100, 30, True))
WITH_BAR = ("all alike", "wrong ones", "right ones")
CASES = [Case(metric, answers, rounds, late, rare) for metric, answers, rounds, rare in TASKS for late in (*WITH_BAR, "round effects")]


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per share of late answers."""
    random = generator(seed, "signed_intervals", case.name)
    judged = judge(case.metric, detections(case) if case.metric == "map" else classes(case))
    costs = costs_alone(judged, case.answers)
    return [row(case, judged, costs, late, repetitions, random) for late in LATE]


def row(
    case: Case, judged: Judged, costs: NDArray[np.float64], late: float, repetitions: int, random: np.random.Generator
) -> dict[str, str | int | float]:
    ideal, stake = judged.ideal(), at_stake(judged, case.answers)
    assert stake.sway is not None
    pool = min(POOL, ROUNDS_PER_REPETITION * repetitions)
    is_late = random.random((pool, case.answers)) < chances(case, costs, late, pool, random)
    quality = judged.curve(np.where(is_late, 2.0, 1.0), [1.5])[0]
    truth = float(quality.mean())
    trials = quality[random.integers(pool, size=(repetitions, case.rounds))]
    limits = np.array([(found.low, found.high) for found in signed_intervals(trials, ideal, stake.sway)])
    means = trials.mean(axis=1)
    half = stats.t.ppf(0.975, case.rounds - 1) * trials.std(axis=1, ddof=1) / sqrt(case.rounds)
    some = trials[: max(1, repetitions // 10)]
    for_means = [rounds_interval(one, ideal, stake.answers, random, balanced=stake.balanced, resamples=999) for one in some]
    clipped = np.array([(found.low, found.high) for found in for_means])
    covers, excludes = 100 * covering(limits, truth), 100 * (1 - covering(limits, means))
    return {
        "metric": case.metric + (", rare classes" if case.rare else ""),
        "answers": case.answers,
        "rounds": case.rounds,
        "late": case.late,
        "late (%)": 100 * late,
        "truth - ideal": truth - ideal,
        "covers (%)": covers,
        "above truth (%)": 100 * float((limits[:, 0] > truth + ROUNDING).mean()),
        "below truth (%)": 100 * float((limits[:, 1] < truth - ROUNDING).mean()),
        "width, mean": float(np.diff(limits).mean()),
        "excludes its mean (%)": excludes,
        "rule for means covers (%)": 100 * covering(clipped, truth),
        "and excludes its mean (%)": 100 * (1 - covering(clipped, means[: len(some)])),
        "t covers (%)": 100 * covering(np.stack([means - half, means + half], axis=1), truth) if case.rounds > 1 else nan,
        "bar": "none" if case.late not in WITH_BAR else "holds" if covers >= BAR and excludes == 0 else "missed",
    }


def covering(limits: NDArray[np.float64], figures: float | NDArray[np.float64]) -> float:
    """Return the share of intervals, [n, 2], that hold their figure, but for rounding."""
    return float(((limits[:, 0] <= figures + ROUNDING) & (figures <= limits[:, 1] + ROUNDING)).mean())


def chances(case: Case, costs: NDArray[np.float64], late: float, pool: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the probability of each answer to be late, [rounds of the pool or 1, answers]."""
    if case.late == "wrong ones":
        return np.where(costs < 0, min(8 * late, 0.9), late / 3)[None]
    if case.late == "right ones":
        return np.where(costs > 0, late, late / 10)[None]
    if case.late == "round effects":
        return np.minimum(late * random.lognormal(-0.5, 1, (pool, 1)), 0.95)
    return np.full((1, case.answers), late)


def costs_alone(judged: Judged, answers: int) -> NDArray[np.float64]:
    """Return what quality loses where one answer alone is late, negative where it gains."""
    times = np.where(np.eye(answers, dtype=bool), 2.0, 1.0)
    costs = judged.ideal() - judged.curve(times, [1.5])[0]
    return np.where(np.abs(costs) < ROUNDING, 0.0, costs)


def detections(case: Case) -> Answers:
    """Return pictures of 1 to 3 boxes, half of them found, among up to 2 boxes a picture that are not there."""
    random = np.random.default_rng(1)
    references, predictions = [], []
    for _ in range(case.answers):
        count, wrong = int(random.integers(1, 4)), int(random.integers(0, 3))
        truth, stray = boxes(random, count), boxes(random, wrong)
        labels, found = random.integers(1, 4, count), random.random(count) < 0.5
        near = truth[found] + random.normal(0, 3, (int(found.sum()), 4))
        scores = np.concatenate([random.beta(3, 2, len(near)), random.beta(2, 2, wrong)])
        references.append({"boxes": truth.tolist(), "labels": labels.tolist()})
        predictions.append(
            {
                "boxes": np.vstack([near, stray]).tolist(),
                "labels": np.concatenate([labels[found], random.integers(1, 4, wrong)]).tolist(),
                "scores": scores.tolist(),
            }
        )
    return Answers(predictions, references)


def boxes(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    return np.hstack([random.integers(0, 300, (count, 2)), random.integers(30, 120, (count, 2))]).astype(np.float64)


def classes(case: Case) -> Answers:
    """Return answers of five classes, equally common or each twice as common as the next, seven in ten of them right."""
    random = np.random.default_rng(2)
    shares = 0.5 ** np.arange(CLASSES) if case.rare else np.ones(CLASSES)
    right = random.choice(CLASSES, case.answers, p=shares / shares.sum())
    given = np.where(random.random(case.answers) < 0.7, right, random.integers(0, CLASSES, case.answers))
    return Answers(given.tolist(), right.tolist())
