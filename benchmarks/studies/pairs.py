"""How often is a difference of equal systems found, and one of 10 %, and how often do limits hold the truth if effects hit one system?"""

import math

import numpy as np

from benchmarks.studies.bars import Bar, Row, at_least, at_most, exceeds, falls_short, inside_reach
from benchmarks.studies.coverage import Case
from benchmarks.studies.series import IDEAL, RIGHT, SAMPLES, SETS, TRIALS, VISIT, draw, generator, within_reach
from orchestrator.stats.pair import paired

TITLE = "Verdicts about equal systems and about one that is 10 % slower, and coverage where effects hit one of two"
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
    # Of a system that meets no effects, less that of one that does.
    truth = IDEAL * (scenario.beyond_in_the_long_run(deadline) - float(scenario.beyond(deadline)))
    found: list[Row] = []
    for rounds in ROUNDS:
        systems = draw(random, draws, rounds, trials, scenario, of=2)
        met, bad = systems[0].met(scenario.beyond(deadline, systems[0].background))
        limits = []
        for slower, hit in ((0.0, True), (SLOWER, True), (0.0, False)):
            a, b = (
                (IDEAL - random.binomial(RIGHT, scenario.beyond(deadline - more, effects)) / SAMPLES)
                .reshape(draws, rounds // VISIT, VISIT)
                .mean(axis=2)
                for more, effects in zip((0.0, slower), (systems[0].effects, systems[1].effects * hit), strict=True)
            )
            each = (paired(*both, resolution=1 / SAMPLES / VISIT, within=(-IDEAL, IDEAL)) for both in zip(a, b, strict=True))
            limits.append(np.array([(one.low, one.high) for one in each]).T)
        (low, high), (_, below), (least, most) = limits
        found.append(
            {
                "set": group,
                "trials": trials,
                "scenario": scenario.name,
                "rounds": rounds,
                "bad stretches met": round(float(met[-1]), 2),
                "within reach": "yes" if within_reach(scenario, rounds, trials, met[-1], bad) else "no",
                "draws": draws,
                "false (%)": 100 * float(((high < 0) | (low > 0)).mean()),
                "finds +10 % (%)": 100 * float((below < 0).mean()),
                "covers (%)": 100 * float(((least <= truth + 1e-12) & (truth - 1e-12 <= most)).mean()),
                "width": float((most - least).mean()),
            }
        )
    return found


def bars(rows: list[Row]) -> list[Bar]:
    """Judge false verdicts and coverage in both sets, and power at the noise that it is promised for: effects of 10 %, or slow by 35 %."""
    noisy = {
        name: [row for row in rows if (row["set"], row["scenario"]) == ("tuning", name) and int(row["rounds"]) >= 60]
        for name in ("AR(1) 0.8", "spells of 5 at 1/6")
    }
    return [
        *(at_most(f"A/A, {group}: false", [row for row in rows if row["set"] == group], "false (%)", 6.5) for group in SETS),
        at_least("effects on one system: covers", inside_reach(rows), "covers (%)", 90, 0.9),
        *(at_least(f"+10 %, {name}, from 60 rounds: found", of, "finds +10 % (%)", 76) for name, of in noisy.items()),
    ]


def failing(rows: list[Row]) -> list[Row]:
    """Return the cells that are false in more than 6.5 %, and those within reach from 60 rounds on that cover less than 90 %."""
    return [
        *(row for row in rows if exceeds(float(row["false (%)"]), int(row["draws"]), 6.5)),
        *(row for row in inside_reach(rows) if falls_short(float(row["covers (%)"]), int(row["draws"]), 90)),
    ]
