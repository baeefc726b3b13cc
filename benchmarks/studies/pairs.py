"""How often does a paired comparison of equal systems find a difference, and how often does it find a system 10 % slower?"""

import math

import numpy as np

from benchmarks.studies.bars import Bar, Row, at_least, at_most, exceeds
from benchmarks.studies.coverage import Case
from benchmarks.studies.series import IDEAL, RIGHT, SAMPLES, SETS, TRIALS, VISIT, draw, generator
from orchestrator.stats.pair import paired

TITLE = "Verdicts about equal systems, and about one that is 10 % slower"
REPETITIONS = 1_000
ROUNDS = (30, 60, 120)
ON_TIME = 0.8
SLOWER = math.log(1.1)
CASES = [Case(group, trials, one) for group, scenarios in SETS.items() for trials in TRIALS for one in scenarios]


def run(case: Case, draws: int, seed: int) -> list[Row]:
    """Return one row per number of rounds."""
    group, trials, scenario = case
    random = generator(seed, "pairs", *case)
    deadline = scenario.quantile(ON_TIME)
    found: list[Row] = []
    for rounds in ROUNDS:
        systems = [one.effects for one in draw(random, draws, rounds, trials, scenario, of=2)]
        verdicts = []
        for slower in (0.0, SLOWER):
            a, b = (
                (IDEAL - random.binomial(RIGHT, scenario.beyond(deadline - more, effects)) / SAMPLES)
                .reshape(draws, rounds // VISIT, VISIT)
                .mean(axis=2)
                for more, effects in zip((0.0, slower), systems, strict=True)
            )
            differences = [paired(*both, resolution=1 / SAMPLES / VISIT, within=(-IDEAL, IDEAL)) for both in zip(a, b, strict=True)]
            verdicts.append([(one.high < 0, one.low > 0) for one in differences])
        found.append(
            {
                "set": group,
                "trials": trials,
                "scenario": scenario.name,
                "rounds": rounds,
                "draws": draws,
                "false (%)": 100 * float(np.any(verdicts[0], axis=1).mean()),
                "finds +10 % (%)": 100 * float(np.mean(verdicts[1], axis=0)[0]),
            }
        )
    return found


def bars(rows: list[Row]) -> list[Bar]:
    """Judge false verdicts in both sets, and power at the noise that it was promised for: effects of 10 %, or slow by 35 %."""
    quiet = [row for row in rows if row["set"] == "tuning"]
    bursts = [row for row in quiet if row["scenario"] == "spells of 5 at 1/6" and int(row["rounds"]) >= 60]
    return [
        *(at_most(f"A/A, {group}: false", [row for row in rows if row["set"] == group], "false (%)", 6.5) for group in SETS),
        at_least("+10 %, AR(1) 0.8: found", [row for row in quiet if row["scenario"] == "AR(1) 0.8"], "finds +10 % (%)", 76),
        at_least("+10 %, bursts, from 60 rounds: found", bursts, "finds +10 % (%)", 76),
    ]


def failing(rows: list[Row]) -> list[Row]:
    """Return the cells that are false in more than 6.5 %."""
    return [row for row in rows if exceeds(float(row["false (%)"]), int(row["draws"]), 6.5)]
