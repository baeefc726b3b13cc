"""How often is a requirement called *met* that is just not, and how often is one found that is met by a wide margin?

*Just not*: the bound is broken 1.02 times as often as it may be. *By a wide margin*: a quarter as often. Trials take turns in visits of
two rounds. A mean is one of answers that are on time. A share of rounds is judged by one time of each round. Whole visits are *bad*, each
on its own: all their answers are late, or half of them.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from benchmarks.studies.bars import Bar, Row, at_least, at_most, exceeds
from benchmarks.studies.series import IDEAL, RIGHT, SAMPLES, SETS, SPELLS, TRIALS, VISIT, Floats, Scenario, draw, generator, within_reach
from orchestrator.stats.constants import MARGIN
from orchestrator.stats.requirements import mean_reaches, planned_units, rounds_keep

TITLE = "Requirements called met"
REPETITIONS = 1_000
ROUNDS = (60, 120, 240)
ERROR = 0.05
OUTSIDE = 1.02
BAD, BAD_HALF = "bad visits", "half bad visits"
BAD_SHARE, SLOW = 1 / 20, 2.0


class Case(NamedTuple):
    """A scenario among so many trials, and what may be lost: in the mean, or of rounds."""

    trials: int
    scenario: Scenario
    kind: str
    allowed: float


NAMES = (
    "independent",
    "1 % stalls",
    "AR(1) 0.8",
    "AR(1) 0.95",
    *(f"spells of {rounds} at 1/{share}" for rounds in SPELLS for share in (6, 20)),
)
SCENARIOS = [
    *(one for one in SETS["judging"] if one.name in NAMES),
    Scenario(BAD, slow=SLOW, share=BAD_SHARE),
    Scenario(BAD_HALF, slow=SLOW, share=BAD_SHARE),
]
ALLOWED = {"mean": (0.2, 0.05), "rounds": (0.1, 0.05)}
CASES = [
    Case(trials, one, kind, allowed)
    for trials in TRIALS
    for one in SCENARIOS
    for kind in ALLOWED
    for allowed in ({BAD: (BAD_SHARE / OUTSIDE,), BAD_HALF: (BAD_SHARE / OUTSIDE / 2,)}.get(one.name) or ALLOWED[kind])
    if one.name != BAD_HALF or kind == "mean"
]


def run(case: Case, draws: int, seed: int) -> list[Row]:
    """Return one row per number of rounds where the bound is just broken, and one at the planned size where it is kept."""
    trials, scenario, kind, allowed = case
    random = generator(seed, "requirements", trials, scenario.name, kind, allowed)
    planned = VISIT * (planned_units("mean" if kind == "mean" else "rounds", allowed, ERROR, VISIT * (RIGHT if kind == "mean" else 1)) or 0)
    found: list[Row] = []
    for rounds, truth in (
        *((rounds, OUTSIDE) for rounds in ROUNDS),
        *([(planned, MARGIN)] if scenario.name in NAMES[:2] and trials == 8 else []),
    ):
        effects, met, bad = _effects(random, draws, rounds, case, truth)
        verdicts = [_verdict(row, random, case, _deadline(case, truth)) for row in effects]
        found.append(
            {
                "trials": trials,
                "scenario": scenario.name,
                "what": kind,
                "allowed (%)": round(100 * allowed, 2),
                "broken": "just too often" if truth == OUTSIDE else "a quarter as often",
                "rounds": rounds,
                "bad stretches met": round(met, 2),
                "within reach": "yes" if scenario.name in (BAD, BAD_HALF) or within_reach(scenario, rounds, trials, met, bad) else "no",
                "draws": draws,
                "met (%)": 100 * verdicts.count("met") / draws,
                "not met (%)": 100 * verdicts.count("not met") / draws,
            }
        )
    return found


@cache
def _deadline(case: Case, truth: float) -> float:
    """Return the log time beyond which so large a part of the allowed share lies."""
    if case.scenario.name in (BAD, BAD_HALF):
        return SLOW if case.scenario.name == BAD_HALF else SLOW / 2
    return case.scenario.quantile(1 - truth * case.allowed)


def _effects(random: np.random.Generator, draws: int, rounds: int, case: Case, truth: float) -> tuple[Floats, float, float]:
    """Return what rounds add to log times, [draws, R], how many bad stretches they met on average, and the share of bad rounds."""
    if case.scenario.name in (BAD, BAD_HALF):
        bad = random.random((draws, rounds // VISIT)) < BAD_SHARE * truth / OUTSIDE
        return np.repeat(SLOW * bad, VISIT, axis=1), float(bad.sum(axis=1).mean()), float(bad.mean())
    [drawn] = draw(random, draws, rounds, case.trials, case.scenario)
    late = case.scenario.beyond(_deadline(case, truth), drawn.background)
    met, share = drawn.met(late)
    return drawn.effects, float(met[-1]), share


def _verdict(effects: Floats, random: np.random.Generator, case: Case, deadline: float) -> str:
    """Return the verdict on the rounds of one campaign."""
    units = np.arange(effects.size) // VISIT
    late = case.scenario if case.scenario.name not in (BAD, BAD_HALF) else Scenario("bad", case.scenario.own_sd)
    if case.kind == "mean":
        kept = random.binomial(RIGHT, 1 - late.beyond(deadline, effects)) / SAMPLES
        return mean_reaches(kept, IDEAL * (1 - case.allowed), IDEAL, RIGHT, units, error=ERROR).verdict
    times = np.exp(effects + _own(random, late, effects.size))
    return rounds_keep(times, float(np.exp(deadline)), units, effects.size, late_share=case.allowed, error=ERROR).verdict


def _own(random: np.random.Generator, scenario: Scenario, rounds: int) -> Floats:
    """Return what one sample of each round adds to its log time, [R]."""
    stalled = random.random(rounds) < scenario.stalls
    return np.where(stalled, random.normal(2.0, 0.5, rounds), random.normal(0, scenario.own_sd, rounds))


def bars(rows: list[Row]) -> list[Bar]:
    inside = [row for row in rows if row["within reach"] == "yes" and row["broken"] == "just too often"]
    planned = [row for row in rows if row["broken"] != "just too often"]
    return [
        at_most("requirements, within reach: falsely met", inside, "met (%)", 100 * ERROR),
        at_least("requirements, at the planned size, independent rounds: found met", planned, "met (%)", 80),
    ]


def failing(rows: list[Row]) -> list[Row]:
    """Return the cells within reach that are falsely met too often."""
    return [
        row
        for row in rows
        if row["within reach"] == "yes"
        and row["broken"] == "just too often"
        and exceeds(float(row["met (%)"]), int(row["draws"]), 100 * ERROR)
    ]
