"""Searches for a capacity on a virtual clock: false certificates, and how near estimates and certificates come to the truth.

One server, Poisson arrivals, services of 1 on average; waits follow by Lindley's recursion, which is the timed loop bit for bit
(tests/measurement/test_loops.py). Streams differ in speed as a kind says. Constants were chosen on the tuning set, the judging set
decides: it has other deadlines, and kinds marked * of its own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.bars import Bar, Row, at_least, at_most, exceeds
from orchestrator.stats.capacity import (
    Estimate,
    PilotRate,
    estimated,
    is_certified,
    next_of_pilot,
    ramp_of_stream,
    rates_to_certify,
    streams_kept,
)
from orchestrator.stats.constants import PILOT_AROUND, PILOT_STREAMS, PILOT_STREAMS_AROUND, STREAMS, STREAMS_TO_KEEP

TITLE = "Capacity: false certificates, estimates and certified rates"
REPETITIONS = 1000
FALSE, HITS, ESTIMATE_WITHIN = 5, 80, 0.1
# Share of the true rate that is to be certified, by the share of quality to keep.
CERTIFIED_BAR = {0.9: 0.8, 0.95: 0.8, 0.99: 0.75}
# Answers of a stream, where estimates and certificates are to be near to the truth.
ADVISED = (200, 300)

Floats = NDArray[np.float64]
# Mean services of the streams of many searches, [searches, streams], in order of time.
Speeds = Callable[[np.random.Generator, int, int], Floats]


def independent(sd: float) -> Speeds:
    return lambda random, searches, streams: np.exp(sd * random.standard_normal((searches, streams)))


def autoregressive(sd: float, correlation: float = 0.8) -> Speeds:
    def draw(random: np.random.Generator, searches: int, streams: int) -> Floats:
        own = random.standard_normal((searches, streams)) * math.sqrt(1 - correlation**2)
        own[:, 0] /= math.sqrt(1 - correlation**2)
        for number in range(1, streams):
            own[:, number] += correlation * own[:, number - 1]
        return np.exp(sd * own)

    return draw


def spells(slower: float, share: float, length: float) -> Speeds:
    """Return streams of which a share is slower, in spells of this mean length."""

    def draw(random: np.random.Generator, searches: int, streams: int) -> Floats:
        slow = np.empty((searches, streams), dtype=bool)
        slow[:, 0] = random.random(searches) < share
        for number in range(1, streams):
            changes = np.where(slow[:, number - 1], 1 / length, share / (1 - share) / length)
            slow[:, number] = slow[:, number - 1] ^ (random.random(searches) < changes)
        return np.where(slow, slower, 1.0)

    return draw


ALIKE = independent(0)


@dataclass(frozen=True)
class Kind:
    """How streams differ, and what is in them.

    variation
        coefficient of variation of the services of a stream (lognormal).
    late
        share of streams that are late as a whole.
    stalls
        share of streams in which the server stands still once, for 1.5 deadlines.
    burstiness
        shape of the gamma law of arrivals.
    """

    name: str
    speeds: Speeds = ALIKE
    variation: float = 0.05
    late: float = 0.0
    stalls: float = 0.0
    burstiness: float = 1.0
    alike: bool = False


KINDS = (
    Kind("alike", alike=True),
    Kind("speeds differ by 5 %, independent", independent(0.05)),
    Kind("speeds differ by 5 %, AR 0.8", autoregressive(0.05)),
    Kind("speeds differ by 15 %, independent", independent(0.15)),
    Kind("speeds differ by 15 %, AR 0.8", autoregressive(0.15)),
    Kind("2 % of streams late as a whole", late=0.02),
)
OWN_KINDS = (
    Kind("* services vary by 50 %", variation=0.5, alike=True),
    Kind("* 1 of 4 streams 1.3 times slower, in spells of 4", spells(1.3, 0.25, 4)),
    Kind("* 1 of 5 streams stands still for 1.5 deadlines", stalls=0.2),
    Kind("* arrivals in bursts (gamma, 0.5)", burstiness=0.5, alike=True),
)


@dataclass(frozen=True)
class Case:
    """A kind, a deadline in services, the share to keep, and the answers of a stream."""

    kind: Kind
    deadline: float
    keep: float
    answers: int

    @property
    def ramp(self) -> int:
        """Arrivals before the answers."""
        return ramp_of_stream(self.answers, self.deadline, 1.0)

    def lost(self, random: np.random.Generator, rates: Floats, speeds: Floats, ramp: int, answers: int) -> Floats:
        """Return what each stream loses, of any shape."""
        kind, count = self.kind, ramp + answers
        shape = (rates.size, count)
        if kind.burstiness == 1:
            gaps = random.standard_exponential(shape, dtype=np.float32)
        else:
            gaps = random.standard_gamma(kind.burstiness, shape, dtype=np.float32) / kind.burstiness
        sd = math.sqrt(math.log(1 + kind.variation**2))
        services = np.exp(sd * random.standard_normal(shape, dtype=np.float32) - sd**2 / 2) * speeds.reshape(-1, 1)
        if kind.stalls:
            stalled = np.flatnonzero(random.random(rates.size) < kind.stalls)
            services[stalled, random.integers(ramp, count, stalled.size)] += 1.5 * self.deadline
        walk = np.zeros(shape, dtype=np.float32)
        np.cumsum(services[:, :-1] - gaps[:, 1:] / rates.reshape(-1, 1), axis=1, out=walk[:, 1:])
        waits = walk - np.minimum.accumulate(walk, axis=1)
        lost = ((waits + services)[:, ramp:] > self.deadline).mean(axis=1)
        lost[random.random(rates.size) < kind.late] = 1
        return np.asarray(lost.reshape(rates.shape))


TUNING = tuple(Case(kind, deadline, *keep) for kind in KINDS for deadline in (4, 8, 15) for keep in ((0.99, 300), (0.95, 200)))
JUDGING = (
    *(Case(kind, deadline, *keep) for kind in (*KINDS, *OWN_KINDS) for deadline in (5, 12) for keep in ((0.99, 300), (0.95, 200))),
    *(Case(KINDS[0], deadline, 0.9, 60) for deadline in (5, 12)),
)
CASES = JUDGING


@dataclass(frozen=True)
class Truth:
    """Where the mean crosses what is asked in the long run, and up to which rate the share of streams keeps it; NaN: nowhere."""

    mean_rate: float
    share_rate: float

    @property
    def lowest(self) -> float:
        """Up to which rate both hold: of short streams more than one in five may lose too much where the mean still keeps it."""
        return float(np.fmin(self.mean_rate, self.share_rate))


def truth_of(case: Case, seed: int) -> Truth:
    """Return the truth, from streams of one long series: long ones for the mean, those of the case for the share."""
    random = np.random.default_rng([seed, 2])
    speeds = case.kind.speeds(random, 40, 100)[:, -50:].ravel()

    def last(fits: Callable[[float], bool]) -> float:
        low, high = 0.01, 1.3
        if not fits(low):
            return math.nan
        for _ in range(11):
            middle = (low + high) / 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return (low + high) / 2

    def mean_keeps(rate: float) -> bool:
        own = speeds[::10]
        return bool(case.lost(random, np.full(own.size, rate), own, 500, 4000).mean() <= 1 - case.keep)

    def share_keeps(rate: float) -> bool:
        lost = case.lost(random, np.full(speeds.size, rate), speeds, case.ramp, case.answers)
        return streams_kept(lost, case.keep) >= STREAMS_TO_KEEP * lost.size

    return Truth(last(mean_keeps), last(share_keeps))


def searched(case: Case, searches: int, seed: int) -> tuple[list[Estimate], Floats]:
    """Return the estimate of each search, and the rate that each has certified, 0 for none."""
    random = np.random.default_rng([seed, 1])
    certify = len(rates_to_certify(Estimate(1, 1, 1), 1))
    speeds = case.kind.speeds(random, searches, 5 * (PILOT_STREAMS + PILOT_STREAMS_AROUND) + certify * STREAMS)
    found: list[Estimate | None] = [None] * searches
    pilots: list[list[PilotRate]] = [[] for _ in range(searches)]
    begun = 0
    for streams in (PILOT_STREAMS, PILOT_STREAMS_AROUND):
        wanted = [next_of_pilot(1.0, [one.rate_per_s for one in pilot], of)[0] for pilot, of in zip(pilots, found, strict=True)]
        # Where the first half was near enough already, a search goes on all the same: halves of all are drawn together.
        rates = np.array(
            [one or np.multiply(PILOT_AROUND, 1.0 if of is None else of.rate_per_s) for one, of in zip(wanted, found, strict=True)]
        )
        orders = random.permuted(np.tile(np.arange(5), (searches, streams, 1)), axis=2)  # of the rates, anew in each cycle
        taken = np.take_along_axis(speeds[:, begun : begun + 5 * streams].reshape(searches, streams, 5), np.argsort(orders, axis=2), axis=2)
        lost = case.lost(random, np.repeat(rates[:, None], streams, axis=1), taken, case.ramp, case.answers)
        begun += 5 * streams
        for number, pilot in enumerate(pilots):
            pilot += [PilotRate(float(rate), lost[number, :, place]) for place, rate in enumerate(rates[number])]
            found[number] = estimated(pilot, case.keep, case.answers)
    estimates = [one for one in found if one is not None]
    highest = [max(one.rate_per_s for one in pilot) for pilot in pilots]
    ladder = np.array([rates_to_certify(one, top) or (0.01,) * certify for one, top in zip(estimates, highest, strict=True)])
    certified, going = np.zeros(searches), np.array([one.rate_per_s > 0 for one in estimates])
    for step in range(certify):
        here = speeds[:, begun : begun + STREAMS]
        lost = case.lost(random, np.repeat(ladder[:, step : step + 1], STREAMS, axis=1), here, case.ramp, case.answers)
        begun += STREAMS
        going &= np.array([is_certified(streams_kept(one, case.keep), STREAMS) for one in lost])
        certified = np.where(going, ladder[:, step], certified)
    return estimates, certified


def run(case: Case, repetitions: int, seed: int) -> list[Row]:
    """Return the row of one cell."""
    truth = truth_of(case, seed)
    estimates, certified = searched(case, repetitions, seed)
    rates, low, high = np.array(estimates).T
    near = np.abs(rates / truth.mean_rate - 1) <= ESTIMATE_WITHIN
    return [
        {
            "streams": case.kind.name,
            "deadline": case.deadline,
            "keep": case.keep,
            "answers": case.answers,
            "true rate, mean": truth.mean_rate,
            "true rate, share": truth.share_rate,
            "false (%)": 100 * float((certified > truth.share_rate).mean()),
            "none (%)": 100 * float((certified == 0).mean()),
            "within 10 % (%)": 100 * float(near.mean()),
            "covers (%)": 100 * float(((low <= truth.mean_rate) & (truth.mean_rate <= high)).mean()),
            "width": float(np.median((high - low) / truth.mean_rate)),
            "certified, of mean's": float(np.median(certified) / truth.mean_rate),
            "near enough (%)": 100 * float((certified >= CERTIFIED_BAR[case.keep] * truth.lowest).mean()),
            "draws": repetitions,
        }
    ]


def bars(rows: list[Row]) -> list[Bar]:
    """Judge what is promised of a search."""
    alike = [row for row in rows if row["streams"] == "alike" and row["answers"] in ADVISED]
    return [
        at_most("capacity: false certificates a search", rows, "false (%)", FALSE),
        at_least("capacity: estimate within 10 %, streams alike", alike, "within 10 % (%)", HITS),
        at_least("capacity: certified at least 0.8 (0.75 at 0.99) of the true rate, streams alike", alike, "near enough (%)", HITS),
    ]


def failing(rows: list[Row]) -> list[Row]:
    """Return the cells with too many false certificates."""
    return [row for row in rows if exceeds(float(row["false (%)"]), int(row["draws"]), FALSE)]
