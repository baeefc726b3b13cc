"""How often does the interval of mean tail quality hold the long-run mean, and how wide is it beside an oracle's?

The oracle knows the standard deviation of the mean.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.bars import Bar, Row, at_least, falls_short, inside_reach, mean_at_most
from benchmarks.studies.series import (
    IDEAL,
    ON_TIME,
    RIGHT,
    ROUNDS,
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
from orchestrator.analysis.units import flags_of_units
from orchestrator.stats.interval import mean_intervals

TITLE = "Coverage of the mean, and width beside an oracle's"
REPETITIONS = 1_000


class Case(NamedTuple):
    group: str
    trials: int
    scenario: Scenario


CASES = [Case(group, trials, one) for group, scenarios in SETS.items() for trials in (*TRIALS, 1) for one in scenarios]


def run(case: Case, draws: int, seed: int) -> list[Row]:
    """Return one row per number of rounds and share on time."""
    group, trials, scenario = case
    random = generator(seed, "coverage", *case)
    found: list[Row] = []
    drawn = {}
    for rounds in ROUNDS[::-1]:
        if scenario.drift or rounds == ROUNDS[-1]:
            [drawn[rounds]] = draw(random, draws, rounds, trials, scenario)
        else:
            drawn[rounds] = drawn[2 * rounds]
    for on_time in ON_TIME:
        deadline = scenario.quantile(on_time)
        met, bad = drawn[ROUNDS[-1]].met(scenario.beyond(deadline, drawn[ROUNDS[-1]].background))
        late = {rounds: scenario.beyond(deadline, drawn[rounds].effects) for rounds in ROUNDS}
        lost = random.binomial(RIGHT, late[ROUNDS[-1]]) / SAMPLES
        for rounds in ROUNDS:
            loss = random.binomial(RIGHT, late[rounds]) / SAMPLES if scenario.drift else lost[:, :rounds]
            low, high = limits_of(loss, trials)
            signed = limits_of(loss, trials, bounded=False)
            found.append(
                {
                    "set": group,
                    "trials": trials,
                    "scenario": scenario.name,
                    "dependent": "yes" if scenario.dependent else "no",
                    "rounds": rounds,
                    "on time (%)": round(100 * on_time),
                    "bad stretches met": round(float(met[rounds - 1]), 2),
                    "within reach": "yes" if within_reach(scenario, rounds, trials, met[rounds - 1], bad) else "no",
                    "draws": draws,
                    "covers (%)": 100 * float(hold(low, high, on_time).mean()),
                    "width over oracle's": float((high - low).mean() / (2 * 1.96 * loss.mean(axis=1).std())),
                    "covers, Student's t (%)": 100 * float(hold(*signed, on_time).mean()),
                }
            )
    return found


def limits_of(loss: Floats, trials: int, bounded: bool = True) -> tuple[Floats, Floats]:
    """Return the limits of quality of each draw, [draws]; one trial is one stretch."""
    units = None if trials == 1 else np.arange(loss.shape[1]) // VISIT
    found = mean_intervals(IDEAL - loss, IDEAL, RIGHT, units, bounded=bounded)
    return np.array([one.low for one in found]), np.array([one.high for one in found])


def hold(low: Floats, high: Floats, on_time: float) -> NDArray[np.bool_]:
    """Return which limits hold the truth, [draws]."""
    truth = IDEAL * on_time
    return (low <= truth + 1e-12) & (truth - 1e-12 <= high)


def bars(rows: list[Row]) -> list[Bar]:
    found = []
    for group in SETS:
        of = [row for row in rows if row["set"] == group]
        inside = inside_reach(of)
        alone = [row for row in of if row["dependent"] == "no" and row["trials"] != 1]
        found += [
            at_least(f"mean, {group}: covers", inside, "covers (%)", 93, 0.95),
            at_least(f"mean, {group}: covers", inside, "covers (%)", 90),
            mean_at_most(
                f"width over oracle's, {group}, dependent", [row for row in inside if row["dependent"] == "yes"], "width over oracle's", 1.7
            ),
            *(
                mean_at_most(
                    f"width over oracle's, {group}, independent, {rounds} rounds",
                    [row for row in alone if row["rounds"] == rounds],
                    "width over oracle's",
                    most,
                )
                for rounds, most in ((120, 1.5), (240, 1.35))
            ),
        ]
    flagged = [visits for visits in range(1, 60) if flags_of_units(np.arange(VISIT * visits) // VISIT, under_load=False)]
    return [*found, Bar("few visits are flagged", f"up to {max(flagged)}", "1 to 19", flagged == list(range(1, 20)))]


def failing(rows: list[Row]) -> list[Row]:
    """Return the cells within reach from 60 rounds on that fall short of 93 %."""
    return [row for row in inside_reach(rows) if falls_short(float(row["covers (%)"]), int(row["draws"]), 93)]
