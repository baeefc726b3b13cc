"""What do 60 rounds of a machine that is not quiet say of the mean over all its 1,800 rounds?

The times are real (`benchmarks/data`), and nothing is known of their law; the truth is the mean over the whole series. The rounds are
taken in one stretch, or in visits of 5 that are spread over the series in equal distances, the first of them anywhere. 95 % is the promise,
and the bar is 90 %, of 120 rounds in one stretch 93 %.

Beside it stands what the rounds themselves can say: whether the mean lies between the worst and the best of them. That is no interval of a
mean, and the widest that anybody would draw from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.studies.scenarios import IDEAL, generator, scores
from orchestrator.stats.intervals import intervals_of_rounds_to_come, rounds_intervals
from orchestrator.stats.long_run import visits_alike, weights_of_dependence
from orchestrator.stats.tail_quality import quality_curve

TITLE = "Coverage of the mean over 1,800 rounds of a busy machine, from 60 and 120 of them"
REPETITIONS = 1_000
SERIES = Path(__file__).parents[1] / "data" / "busy_machine.parquet"
VISIT_ROUNDS = 5
ON_TIME = (0.5, 0.8, 0.95)
RESAMPLES = 999
BAR, BAR_OF_LONG_STRETCH = 90.0, 93.0


@dataclass(frozen=True)
class Case:
    """So many rounds, in one stretch or in visits."""

    rounds: int
    in_visits: bool

    @property
    def name(self) -> str:
        return f"{self.rounds} rounds in {'visits' if self.in_visits else 'one stretch'}"

    @property
    def bar(self) -> float:
        """Least coverage, in percent."""
        return BAR if self.in_visits or self.rounds < 120 else BAR_OF_LONG_STRETCH


CASES = [Case(rounds, in_visits) for rounds in (60, 120) for in_visits in (False, True)]


@cache
def series() -> NDArray[np.float64]:
    """Return the times in ns, [rounds, samples]."""
    return np.stack(pq.read_table(SERIES).column("total_us").to_numpy()).astype(np.float64) * 1000


def run(case: Case, repetitions: int, seed: int) -> list[dict[str, str | int | float]]:
    """Return one row per share of samples on time."""
    random = generator(seed, "real_series", case.name)
    times = series()
    score = scores(times.shape[1])
    thresholds = [float(np.quantile(times, share)) for share in ON_TIME]
    truth = quality_curve(score, times, thresholds).mean(axis=1)
    covers, of_session, width, seen, reach = (np.zeros((repetitions, len(ON_TIME))) for _ in range(5))
    for repetition in range(repetitions):
        chosen, visits = places(case, len(times), random)
        curve = quality_curve(score, times[chosen], thresholds)
        session = rounds_intervals(curve, IDEAL, float(score.sum()), random, resamples=RESAMPLES)
        log_medians = np.log(np.median(times[chosen], axis=1))
        weights = weights_of_dependence(curve, log_medians, visits)
        alike = visits_alike(log_medians, visits)
        found = intervals_of_rounds_to_come(curve, IDEAL, float(score.sum()), session, weights, visits, alike=alike)
        covers[repetition] = [one.low <= mean <= one.high for one, mean in zip(found, truth, strict=True)]
        of_session[repetition] = [one.low <= mean <= one.high for one, mean in zip(session, truth, strict=True)]
        width[repetition] = [one.high - one.low for one in found]
        seen[repetition] = (curve.min(axis=1) <= truth) & (truth <= curve.max(axis=1))
        reach[repetition] = np.ptp(curve, axis=1)
    return [
        {
            "rounds": case.rounds,
            "measured in": "visits" if case.in_visits else "one stretch",
            "on time (%)": round(100 * share),
            "covers (%)": 100 * float(covers[:, place].mean()),
            "this session's covers (%)": 100 * float(of_session[:, place].mean()),
            "width, mean": float(width[:, place].mean()),
            "between the worst and the best round (%)": 100 * float(seen[:, place].mean()),
            "from worst to best, mean": float(reach[:, place].mean()),
            "bar": "holds" if 100 * covers[:, place].mean() >= case.bar else "missed",
        }
        for place, share in enumerate(ON_TIME)
    ]


def places(case: Case, rounds: int, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Return which rounds of the series are taken, and the visit of each."""
    if not case.in_visits:
        return int(random.integers(rounds - case.rounds + 1)) + np.arange(case.rounds), None
    visits = case.rounds // VISIT_ROUNDS
    apart = rounds // visits
    starts = int(random.integers(apart - VISIT_ROUNDS + 1)) + apart * np.arange(visits)
    return (starts[:, None] + np.arange(VISIT_ROUNDS)).ravel(), np.repeat(np.arange(visits), VISIT_ROUNDS)
