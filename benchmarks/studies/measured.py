"""What do visits to a machine that is not quiet say of all its 1,800 rounds? The series is stored in benchmarks/data."""

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.studies.bars import Bar, Row, at_least, falls_short
from benchmarks.studies.coverage import limits_of
from benchmarks.studies.percentiles import PERCENTILES
from benchmarks.studies.percentiles import limits_of as percentile_limits_of
from benchmarks.studies.series import IDEAL, RIGHT, SAMPLES, Floats, generator, places

TITLE = "Coverage of what a busy machine did in 1,800 rounds"
REPETITIONS = 1_000
SERIES = Path(__file__).parents[1] / "data" / "busy_machine.parquet"
ON_TIME = (0.5, 0.8, 0.95)
CASES = (60, 120, 240)


@cache
def series() -> Floats:
    """Return the times in ns, [1800, SAMPLES]."""
    return np.stack(pq.read_table(SERIES).column("total_us").to_numpy()).astype(np.float64) * 1000


def run(rounds: int, draws: int, seed: int) -> list[Row]:
    """Return one row per share of samples on time and per percentile; visits of 2 rounds lie anywhere in their cycles."""
    random = generator(seed, "measured", rounds)
    times = series()
    trials = len(times) // rounds
    [at] = places(random, draws, rounds, trials)
    found: list[Row] = []
    for share in ON_TIME:
        lost = (times[:, :RIGHT] > np.quantile(times, share)).sum(axis=1) / SAMPLES
        low, high = limits_of(lost[at], trials)
        truth = IDEAL - lost[: rounds * trials].mean()
        covers = (low <= truth) & (truth <= high)
        found.append({"rounds": rounds, "of": f"mean, {100 * share:g} % on time", "draws": draws, "covers (%)": 100 * float(covers.mean())})
    ordered = np.sort(times[at].reshape(draws, -1), axis=1)
    for percentile in PERCENTILES:
        low, high = percentile_limits_of(times[at], ordered, percentile)
        truth = np.quantile(times, percentile / 100, method="inverted_cdf")
        covers = (low <= truth) & (truth <= high)
        found.append({"rounds": rounds, "of": f"p{percentile}", "draws": draws, "covers (%)": 100 * float(covers.mean())})
    return found


def bars(rows: list[Row]) -> list[Bar]:
    means = [row for row in rows if str(row["of"]).startswith("mean")]
    return [at_least("real series: visits cover the span", means, "covers (%)", 95)]


def failing(rows: list[Row]) -> list[Row]:
    """Return the rows that fall short of 95 %."""
    return [row for row in rows if falls_short(float(row["covers (%)"]), int(row["draws"]), 95)]
