"""Do trials that rule `settled` stopped still cover? It stops when data look precise, which could select lucky data.

The rule looks after 60, 120 and 240 rounds; a trial that has not settled ends at 240, which is a look, too. One more machine is that of
the vision sweep beside a neighbour that computes for 4 s and rests for 8 s on average: rounds of 0.45 s make spells of 9 rounds. There a
trial that does not settle at 60 rounds tells how many more it needs: beside it stands what the width after 240 rounds says it does.
"""

import math

import numpy as np

from benchmarks.studies.bars import Bar, Row, at_least, falls_short
from benchmarks.studies.coverage import Case, hold, limits_of
from benchmarks.studies.series import (
    IDEAL,
    ON_TIME,
    RIGHT,
    SAMPLES,
    SETS,
    TRIALS,
    VISIT,
    Floats,
    Scenario,
    draw,
    generator,
    within_reach,
)
from orchestrator.stats.constants import LOOKS_GROW
from orchestrator.stats.stopping.rules import units_for

TITLE = "Coverage where rule `settled` stopped"
REPETITIONS = 1_000
FIRST, LAST = 60, 240
LOOKS = [round(FIRST * LOOKS_GROW**number) for number in range(round(math.log(LAST / FIRST, LOOKS_GROW)) + 1)]
# Wanted, as shares of ideal quality: the default, and that of the vision sweep.
HALF_WIDTHS = (0.02, 0.05)
NEIGHBOUR = Scenario("a neighbour for 4 s of 12", slow=0.3, share=1 / 3, spell=9)


CASES = [
    *(Case(group, trials, one) for group, scenarios in SETS.items() for trials in TRIALS for one in scenarios if not one.drift),
    *(Case("neighbour", trials, NEIGHBOUR) for trials in TRIALS),
]


def run(case: Case, draws: int, seed: int) -> list[Row]:
    """Return one row per share on time and wanted half-width."""
    group, trials, scenario = case
    random = generator(seed, "settled", *case)
    [drawn] = draw(random, draws, LAST, trials, scenario)
    found: list[Row] = []
    for on_time in ON_TIME:
        deadline = scenario.quantile(on_time)
        met, bad = drawn.met(scenario.beyond(deadline, drawn.background))
        lost = random.binomial(RIGHT, scenario.beyond(deadline, drawn.effects)) / SAMPLES
        limits = [limits_of(lost[:, :look], trials) for look in LOOKS]
        for half_width in HALF_WIDTHS:
            wanted = half_width * IDEAL
            low, high, rounds, settled = stopped(limits, wanted)
            covers = hold(low, high, on_time)
            told, later = (
                VISIT * np.array([units_for(width / 2, wanted, LOOKS[at] // VISIT) for width in np.subtract(*limits[at][::-1])])
                for at in (0, -1)
            )
            lacks = told > FIRST
            found.append(
                {
                    "set": group,
                    "trials": trials,
                    "scenario": scenario.name,
                    "on time (%)": round(100 * on_time),
                    "half-width (%)": round(100 * half_width),
                    "within reach": "yes" if within_reach(scenario, FIRST, trials, met[FIRST - 1], bad) else "no",
                    "draws": draws,
                    "rounds": float(rounds.mean()),
                    "settled (%)": 100 * float(settled.mean()),
                    "covers (%)": 100 * float(covers.mean()),
                    "settled and false (%)": 100 * float((settled & ~covers).mean()),
                    "rounds predicted at 60": float(np.median(told[lacks])) if lacks.any() else "",
                    "rounds needed": float(np.median(later)) if lacks.any() else "",
                }
            )
    return found


def stopped(limits: list[tuple[Floats, Floats]], wanted: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return limits and rounds where each draw stops, and whether it has settled there, [draws] each."""
    low, high = (limit.copy() for limit in limits[-1])
    rounds = np.full(low.size, float(LAST))
    for look, (lower, upper) in list(zip(LOOKS, limits, strict=True))[-2::-1]:
        narrow = (upper - lower) / 2 <= wanted
        low[narrow], high[narrow], rounds[narrow] = lower[narrow], upper[narrow], look
    return low, high, rounds, (high - low) / 2 <= wanted


def bars(rows: list[Row]) -> list[Bar]:
    found = []
    for group in (*SETS, "neighbour"):
        inside = [row for row in rows if row["set"] == group and row["within reach"] == "yes"]
        found += [at_least(f"`settled` from 60 rounds, {group}: covers", inside, "covers (%)", *bar) for bar in ((93, 0.95), (90,))]
    return found


def failing(rows: list[Row]) -> list[Row]:
    """Return the cells within reach that fall short of 93 %."""
    return [row for row in rows if row["within reach"] == "yes" and falls_short(float(row["covers (%)"]), int(row["draws"]), 93)]
