"""How often do the limits of p95 and p99 of latency hold the long-run percentile, and how often is there no upper limit?

Where exactly as many rounds are slow as may lie beyond the percentile, it lies in the gap between fast and slow times, where any value
is as good: such cells are beyond reach.
"""

import numpy as np

from benchmarks.studies.bars import Bar, Row, at_least, at_most, falls_short, inside_reach, mean_at_most
from benchmarks.studies.coverage import Case
from benchmarks.studies.series import ROUNDS, SAMPLES, SETS, STALL, STALL_SD, TRIALS, VISIT, Floats, Scenario, draw, generator, within_reach
from orchestrator.stats.latency import limits_of_quantiles

TITLE = "Coverage of percentiles of latency, and how often they have no upper limit"
REPETITIONS = 1_000
PERCENTILES = (95, 99)
CASES = [Case(group, trials, one) for group, scenarios in SETS.items() for trials in TRIALS for one in scenarios if not one.drift]


def run(case: Case, draws: int, seed: int) -> list[Row]:
    """Return one row per number of rounds and percentile."""
    group, trials, scenario = case
    random = generator(seed, "percentiles", *case)
    [drawn] = draw(random, draws, ROUNDS[-1], trials, scenario)
    times = log_times(random, drawn.effects, scenario)
    truths = {percentile: scenario.quantile(percentile / 100) for percentile in PERCENTILES}
    bad = {percentile: drawn.met(scenario.beyond(truth, drawn.background)) for percentile, truth in truths.items()}
    found: list[Row] = []
    for rounds in ROUNDS:
        ordered = np.sort(times[:, :rounds].reshape(draws, -1), axis=1)
        for percentile, truth in truths.items():
            low, high = limits_of(times[:, :rounds], ordered, percentile)
            met, share = float(bad[percentile][0][rounds - 1]), bad[percentile][1]
            in_a_gap = abs(scenario.share - (1 - percentile / 100)) < 1e-9
            found.append(
                {
                    "set": group,
                    "trials": trials,
                    "scenario": scenario.name,
                    "rounds": rounds,
                    "percentile": percentile,
                    "bad stretches met": round(met, 2),
                    "within reach": "yes" if within_reach(scenario, rounds, trials, met, share) and not in_a_gap else "no",
                    "draws": draws,
                    "covers (%)": 100 * float(((low <= truth) & (truth <= high)).mean()),
                    "no upper limit (%)": 100 * float(np.isinf(high).mean()),
                }
            )
    return found


def log_times(random: np.random.Generator, effects: Floats, scenario: Scenario) -> Floats:
    """Draw the logarithm of the time of every sample, [draws, R, SAMPLES]."""
    shape = (*effects.shape, SAMPLES)
    own = scenario.own_sd * random.standard_normal(shape)
    if scenario.stalls:
        own = np.where(random.random(shape) < scenario.stalls, random.normal(STALL, STALL_SD, shape), own)
    return own + effects[..., None]


def limits_of(times: Floats, ordered: Floats, percentile: int) -> tuple[Floats, Floats]:
    """Return the limits of a percentile for each draw, [draws], by the parts of `latency_percentiles`; infinite where there is none.

    times : [draws, R, S]; ordered : [draws, R S], the same in order.
    """
    draws, rounds, samples = times.shape
    n = rounds * samples
    estimate = ordered[:, -(-percentile * n // 100) - 1]
    beyond = (times > estimate[:, None, None]).mean(axis=2)
    low, high, _ = limits_of_quantiles(np.full(draws, percentile / 100), beyond, np.arange(rounds) // VISIT, n)
    framed = np.column_stack([np.full(draws, -np.inf), ordered, np.full(draws, np.inf)])
    each = np.arange(draws)
    return framed[each, low], framed[each, high]


def bars(rows: list[Row]) -> list[Bar]:
    found = []
    for group in SETS:
        for percentile, rounds, most in ((95, 60, 5), (99, 120, 10)):
            of = [row for row in inside_reach(rows) if row["set"] == group and row["percentile"] == percentile]
            late = [row for row in of if int(row["rounds"]) >= rounds]
            found += [
                at_least(f"p{percentile}, {group}: covers", of, "covers (%)", 93),
                mean_at_most(f"p{percentile}, {group}: no upper limit from {rounds} rounds on, %", late, "no upper limit (%)", most),
            ]
            if percentile == 95:
                found.append(at_most(f"p95, {group}: no upper limit", of, "no upper limit (%)", 20))
    return found


def failing(rows: list[Row]) -> list[Row]:
    """Return the cells within reach from 60 rounds on that fall short of 93 %."""
    return [row for row in inside_reach(rows) if falls_short(float(row["covers (%)"]), int(row["draws"]), 93)]
