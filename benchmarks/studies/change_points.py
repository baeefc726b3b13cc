"""How often does a history without a change show one, and which changes does it find?

The penalty is worked out, not tuned: it allows 5 % of histories a false alarm over all their series (Bonferroni over places and series).
Levels are looked for in normal scores of ranks, so that the law of the noise of a campaign, which may be skewed or come in bursts, does
not matter as long as campaigns are alike and do not depend on each other. The study takes laws that are, and that are not: a machine
whose speed wanders from night to night makes real levels that no change of code has made, and the last cases show how many.

A change is found where a change point lies within 3 campaigns of it; one that lies further off counts as a false alarm. Shifts are in
standard deviations of one campaign.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from benchmarks.studies.bars import Bar, Row, at_most
from benchmarks.studies.scenarios import generator
from orchestrator.history.change_points import course

Floats = NDArray[np.float64]
Law = Callable[[np.random.Generator, int], Floats]

TITLE = "False alarms of a history and changes it finds"
REPETITIONS = 500
NEAR = 3


def _normal(random: np.random.Generator, count: int) -> Floats:
    return random.normal(size=count)


def _heavy(random: np.random.Generator, count: int) -> Floats:
    return random.standard_t(2.5, count)


def _bad_nights(random: np.random.Generator, count: int) -> Floats:
    """One campaign in ten keeps far less."""
    return random.normal(size=count) - 8 * (random.random(count) < 0.1)


def _few_values(random: np.random.Generator, count: int) -> Floats:
    """Nearly all campaigns keep all, some lose one answer or two."""
    return -np.minimum(random.poisson(0.3, count), 2).astype(np.float64)


def _wandering(share: float) -> Law:
    """Return a law of campaigns that depend on the one before."""

    def law(random: np.random.Generator, count: int) -> Floats:
        steps = random.normal(0, np.sqrt(1 - share**2), count)
        steps[0] /= np.sqrt(1 - share**2)
        found: Floats = scipy.signal.lfilter([1.0], [1.0, -share], steps)
        return found

    return law


LAWS: dict[str, Law] = {
    "normal": _normal,
    "heavy tails (t, 2.5)": _heavy,
    "one bad night in ten": _bad_nights,
    "three values": _few_values,
    "each like the last, 0.3": _wandering(0.3),
    "each like the last, 0.6": _wandering(0.6),
}


@dataclass(frozen=True)
class Case:
    """One kind of history: ``since`` campaigns from the end on its level is ``shift`` lower."""

    law: str
    campaigns: int
    series: int = 1
    shift: float = 0.0
    since: int = 0

    @property
    def name(self) -> str:
        return f"{self.law}, {self.campaigns} campaigns, {self.series} series, shift {self.shift:g} of the last {self.since}"


def _cases() -> Iterator[Case]:
    for law in LAWS:
        yield Case(law, 30)
        yield Case(law, 100)
        yield Case(law, 100, series=24)
    yield Case("normal", 1000)
    yield Case("one bad night in ten", 1000)
    for shift in (1.0, 2.0, 4.0):
        for campaigns, since in ((30, 15), (100, 50), (100, 5), (100, 10)):
            yield Case("normal", campaigns, shift=shift, since=since)
    yield Case("one bad night in ten", 100, shift=2.0, since=50)
    yield Case("normal", 100, series=24, shift=2.0, since=50)


CASES = list(_cases())


def run(case: Case, repetitions: int, seed: int) -> list[Row]:
    """Return one row: shares of histories with a change point where there is none, and with one near the change."""
    random = generator(seed, "change_points", case.name)
    alarms, found = 0, 0
    for _ in range(repetitions):
        alarm, near = False, False
        for number in range(case.series):
            values = LAWS[case.law](random, case.campaigns)
            changed = case.shift > 0 and number == 0
            at = case.campaigns - case.since
            if changed:
                values[at:] -= case.shift
            starts = [level.start for level in course(values, series=case.series).levels[1:]]
            near |= changed and any(abs(start - at) <= NEAR for start in starts)
            alarm |= any(not changed or abs(start - at) > NEAR for start in starts)
        alarms, found = alarms + alarm, found + near
    return [
        {
            "campaigns are": case.law,
            "campaigns": case.campaigns,
            "series": case.series,
            "shift (sd)": case.shift,
            "of the last": case.since,
            "draws": repetitions,
            "false alarms (%)": 100 * alarms / repetitions,
            "found (%)": 100 * found / repetitions if case.shift else float("nan"),
        }
    ]


def bars(rows: list[Row]) -> list[Bar]:
    """Judge false alarms where campaigns do not depend on the one before."""
    alike = [row for row in rows if row["shift (sd)"] == 0 and not str(row["campaigns are"]).startswith("each like the last")]
    return [at_most("history without a change: false alarms", alike, "false alarms (%)", 5)]
