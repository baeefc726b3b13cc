"""Do trials that rule `settled` stopped still cover? It stops when data look precise, which could select lucky data.

The rule looks first at 30 rounds, as by default, or at 60, and each time that rounds have doubled; a trial that has not settled ends at
240, which is a look, too. Coverage is that of all trials, wherever each ended, and that of those that settled. One more machine is that of
the vision sweep beside a neighbour that computes for 4 s and rests for 8 s on average: rounds of 0.45 s make spells of 9 rounds. There a
trial that does not settle at its first look tells how many rounds it needs: beside it stands what the width after 240 rounds says it does.
"""

import math
from collections.abc import Mapping
from itertools import product

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
# The first look: from 60 rounds on, intervals have their reach; 30 rounds are the default.
FIRSTS, LAST = (60, 30), 240
LOOKS = [round(min(FIRSTS) * LOOKS_GROW**number) for number in range(round(math.log(LAST / min(FIRSTS), LOOKS_GROW)) + 1)]
# Wanted, as shares of ideal quality: the default, and that of the vision sweep.
HALF_WIDTHS = (0.02, 0.05)
NEIGHBOUR = Scenario("a neighbour for 4 s of 12", slow=0.3, share=1 / 3, spell=9)


CASES = [
    *(Case(group, trials, one) for group, scenarios in SETS.items() for trials in TRIALS for one in scenarios if not one.drift),
    *(Case("neighbour", trials, NEIGHBOUR) for trials in TRIALS),
]


def run(case: Case, draws: int, seed: int) -> list[Row]:
    """Return one row per share on time, wanted half-width and first look."""
    group, trials, scenario = case
    random = generator(seed, "settled", *case)
    [drawn] = draw(random, draws, LAST, trials, scenario)
    found: list[Row] = []
    for on_time in ON_TIME:
        deadline = scenario.quantile(on_time)
        met, bad = drawn.met(scenario.beyond(deadline, drawn.background))
        lost = random.binomial(RIGHT, scenario.beyond(deadline, drawn.effects)) / SAMPLES
        limits = [limits_of(lost[:, :look], trials) for look in LOOKS]
        for half_width, first in product(HALF_WIDTHS, FIRSTS):
            wanted = half_width * IDEAL
            begun = LOOKS.index(first)
            low, high, rounds, settled = stopped(dict(zip(LOOKS[begun:], limits[begun:], strict=True)), wanted)
            covers = hold(low, high, on_time)
            told, later = (
                VISIT * np.array([units_for(width / 2, wanted, LOOKS[at] // VISIT) for width in np.subtract(*limits[at][::-1])])
                for at in (begun, -1)
            )
            lacks = told > first
            found.append(
                {
                    "set": group,
                    "trials": trials,
                    "scenario": scenario.name,
                    "on time (%)": round(100 * on_time),
                    "half-width (%)": round(100 * half_width),
                    "first look": first,
                    "within reach": "yes" if within_reach(scenario, max(FIRSTS), trials, met[max(FIRSTS) - 1], bad) else "no",
                    "draws": draws,
                    "rounds": float(rounds.mean()),
                    "settled (%)": 100 * float(settled.mean()),
                    "covers (%)": 100 * float(covers.mean()),
                    "settled and false (%)": 100 * float((settled & ~covers).mean()),
                    "covers, settled (%)": 100 * float(covers[settled].mean()) if settled.any() else "",
                    "rounds predicted": float(np.median(told[lacks])) if lacks.any() else "",
                    "rounds needed": float(np.median(later)) if lacks.any() else "",
                }
            )
    return found


def stopped(limits: Mapping[int, tuple[Floats, Floats]], wanted: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return limits and rounds where each draw stops, and whether it has settled there, [draws] each; ``limits`` are those of each look."""
    low, high = (limit.copy() for limit in limits[LAST])
    rounds = np.full(low.size, float(LAST))
    for look, (lower, upper) in sorted(limits.items(), reverse=True)[1:]:
        narrow = (upper - lower) / 2 <= wanted
        low[narrow], high[narrow], rounds[narrow] = lower[narrow], upper[narrow], look
    return low, high, rounds, (high - low) / 2 <= wanted


def promised(rows: list[Row]) -> list[Row]:
    """Return the cells that bars are for: within reach, which begins at 60 rounds. Trials that settled have no bar of their own."""
    return [row for row in rows if row["within reach"] == "yes" and row["first look"] == max(FIRSTS)]


def bars(rows: list[Row]) -> list[Bar]:
    found = []
    for group in (*SETS, "neighbour"):
        inside = [row for row in promised(rows) if row["set"] == group]
        found += [at_least(f"`settled` from 60 rounds, {group}: covers", inside, "covers (%)", *bar) for bar in ((93, 0.95), (90,))]
    return found


def failing(rows: list[Row]) -> list[Row]:
    """Return the cells within reach that fall short of 93 %."""
    return [row for row in promised(rows) if falls_short(float(row["covers (%)"]), int(row["draws"]), 93)]
