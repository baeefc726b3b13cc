"""How often is a certified deadline one that more than a tenth of all rounds miss, and how often is one issued?"""

import math
from dataclasses import replace
from functools import cache

import numpy as np
from scipy import special

from benchmarks.studies.bars import Bar, Row, at_least, at_most, exceeds
from benchmarks.studies.coverage import Case
from benchmarks.studies.series import SETS, TRIALS, VISIT, Floats, draw, generator
from orchestrator.stats.certificate import certify, risk_of_mean
from orchestrator.stats.constants import CONFIDENCE, COSINES_OF_CERTIFICATE
from orchestrator.stats.interval import effective_number
from orchestrator.stats.units import Units, spread

TITLE = "False certificates"
REPETITIONS = 1_000
ROUNDS = (120, 240)
LATE_SHARE = 0.1
# Spells up to so many cycles are within the certificate's reach: where at least one round in six is
# slow, and where fewer are.
CYCLES, CYCLES_OF_RARE = 2.5, 1.25
CASES = [Case(group, trials, one) for group, scenarios in SETS.items() for trials in TRIALS for one in scenarios if not one.drift]


def run(case: Case, draws: int, seed: int) -> list[Row]:
    """Return one row per number of rounds; a round's own deadline is a third as uncertain as a sample's time."""
    group, trials, scenario = case
    spell = scenario.spell / (VISIT * trials)
    rounds_of = replace(scenario, own_sd=scenario.own_sd / 3, stalls=0.0)
    random = generator(seed, "certificates", *case)
    truth = float(np.exp(rounds_of.quantile(1 - LATE_SHARE)))
    found: list[Row] = []
    for rounds in ROUNDS:
        [drawn] = draw(random, draws, rounds, trials, rounds_of)
        deadlines = np.exp(drawn.effects + rounds_of.own_sd * random.standard_normal(drawn.effects.shape))
        units = np.arange(rounds) // VISIT
        issued = certified(deadlines, units)
        inside = spell <= (CYCLES if scenario.share >= 1 / 6 else CYCLES_OF_RARE) and scenario.correlation ** (VISIT * trials) <= 0.45
        found.append(
            {
                "set": group,
                "trials": trials,
                "scenario": scenario.name,
                "spell (cycles)": spell,
                "rounds": rounds,
                "within reach": "yes" if inside else "no",
                "draws": draws,
                "issued (%)": 100 * float(np.isfinite(issued).mean()),
                "false (%)": 100 * float((issued < truth).mean()),
            }
        )
    return found


def certified(deadlines: Floats, units: Units) -> Floats:
    """Return what `certify` certifies for each draw, [draws], all at once; infinite where it is nothing."""
    draws, rounds = deadlines.shape
    ordered = np.sort(deadlines, axis=1)
    beyond = (deadlines > ordered[:, [math.ceil((1 - LATE_SHARE) * rounds) - 1]]).astype(float)
    known = spread(beyond, units, COSINES_OF_CERTIFICATE)
    effective = effective_number(beyond.mean(axis=1), rounds, known.variance, known.degrees, CONFIDENCE)[:, None]
    breaks = np.arange(math.floor(LATE_SHARE * rounds) + 1)
    allowed = special.betaincinv(breaks * effective / rounds + 1, effective * (1 - breaks / rounds), CONFIDENCE) <= LATE_SHARE
    found = np.full(draws, np.inf)
    for draw_, keeps in enumerate(allowed):
        for count in breaks[keeps][::-1]:
            candidate = ordered[draw_, rounds - 1 - count]
            kept = (deadlines[draw_] <= candidate).reshape(-1, VISIT).sum(axis=1)
            if _risk(*np.bincount(kept, minlength=VISIT + 1).tolist()) <= 1 - CONFIDENCE:
                found[draw_] = candidate
                break
    return found


@cache
def _risk(*visits: int) -> float:
    """Return the guard's risk where so many visits kept it in none, one, ... of their rounds."""
    return risk_of_mean(np.repeat(np.arange(VISIT + 1) / VISIT, visits), 1 - LATE_SHARE)


def bars(rows: list[Row]) -> list[Bar]:
    found = []
    for group in SETS:
        of = [row for row in rows if row["set"] == group and row["within reach"] == "yes"]
        found.append(at_most(f"certificate, {group}: false", of, "false (%)", 5))
        for rounds, least in ((120, 60), (240, 85)):
            tens = [row for row in of if row["scenario"] == "spells of 10 at 1/6" and row["trials"] == 8 and row["rounds"] == rounds]
            found.append(at_least(f"certificate, {group}: issued in spells of 10 at {rounds} rounds", tens, "issued (%)", least))
    none = certify(np.arange(1.0, 121), None, 120).ns is None
    return [*found, Bar("certificate from one stretch", "none" if none else "one", "none", none)]


def failing(rows: list[Row]) -> list[Row]:
    """Return the cells within reach that are false in more than 5 %."""
    return [row for row in rows if row["within reach"] == "yes" and exceeds(float(row["false (%)"]), int(row["draws"]), 5)]
