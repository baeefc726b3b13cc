"""Do trials that rule ``settled`` stopped still cover? It stops when the data look precise, which could select lucky data.

Bar: the intervals of trials stopped as ``settled`` hold the truth in at least 93 %. Each trial is what analysis makes of it: its own p95
frozen from the first 10 rounds, the interval of rounds to come from round 10 on, and the truth is expected quality at that frozen
threshold. Round effects and rounds that depend on each other are shown without a bar and, being slow to settle, with a tenth of the
trials.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.studies.rounds_fed import rounds_until_stop
from benchmarks.studies.scenarios import DEPENDENT, IDEAL, MEDIAN_NS, ROUND_EFFECTS, WITH_BAR, RoundsOfOneKind, generator, scores
from orchestrator.stats.intervals import intervals_of_rounds_to_come, rounds_intervals
from orchestrator.stats.long_run import weights_of_dependence
from orchestrator.stats.stopping import make_rule
from orchestrator.stats.tail_quality import quality_curve
from orchestrator.stats.thresholds import own_thresholds

TITLE = "Coverage of the 95 % interval of rounds to come in trials that rule `settled` stopped"
REPETITIONS = 1_000
MIN_ROUNDS, MAX_ROUNDS = 30, 200
HALF_WIDTH = 0.02
PERCENTILE = 95.0
BAR = 93.0
FEWEST_TO_JUDGE = 0.1


CASES = [RoundsOfOneKind(scenario, samples) for scenario in (*WITH_BAR, ROUND_EFFECTS, *DEPENDENT) for samples in (20, 1000)]


def run(case: RoundsOfOneKind, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row."""
    random = generator(seed, "settled", case.name)
    score = scores(case.samples)
    trials = repetitions if case.scenario in WITH_BAR else max(1, repetitions // 10)
    covering: dict[bool, list[bool]] = {True: [], False: []}
    rounds_taken = []
    for _ in range(trials):
        times = case.scenario.times(random, MAX_ROUNDS, case.samples)
        rule = make_rule("settled", min_rounds=MIN_ROUNDS, max_rounds=MAX_ROUNDS, half_width=HALF_WIDTH)
        rounds, decision = rounds_until_stop(rule, times, score)
        covering[decision.reason == "settled"].append(_covers(case, times[:rounds], score, random))
        rounds_taken.append(rounds)
    settled = len(covering[True])
    covers = _percent(covering[True])
    judged = case.scenario in WITH_BAR and settled >= FEWEST_TO_JUDGE * trials
    return [
        {
            "times": case.scenario.name,
            "samples": case.samples,
            "trials": trials,
            "settled (%)": 100 * settled / trials,
            "rounds, median": float(np.median(rounds_taken)),
            "covers, settled (%)": covers,
            "covers, others (%)": _percent(covering[False]),
            "bar": ("holds" if covers >= BAR else "missed") if judged else "none",
        }
    ]


def _covers(
    case: RoundsOfOneKind, times: np.ndarray[tuple[int, int], np.dtype[np.float64]], score: np.ndarray, random: np.random.Generator
) -> bool:
    """Return whether the interval of a finished trial holds expected quality at its own frozen threshold."""
    own = own_thresholds(times, [PERCENTILE])
    threshold = own.thresholds[0].ns
    measured = times[own.first_round :]
    curve = quality_curve(score, measured, [threshold])
    session = rounds_intervals(curve, IDEAL, float(score.sum()), random)
    weights = weights_of_dependence(curve, np.log(np.median(measured, axis=1)))
    [found] = intervals_of_rounds_to_come(curve, IDEAL, float(score.sum()), session, weights)
    return found.low <= IDEAL * case.scenario.on_time(math.log(threshold / MEDIAN_NS)) <= found.high


def _percent(covering: list[bool]) -> float:
    return 100 * float(np.mean(covering)) if covering else math.nan
