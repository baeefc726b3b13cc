"""Searches for the capacity of synthetic models whose law is known, on a virtual clock, as `capacity` makes them.

    python benchmarks/capacity.py                  # 100 searches of each model
    python benchmarks/capacity.py --searches 20

Arrivals are Poisson, streams last 3 s with a ramp of 1 s, and 80 % of answers are right. Waits follow by Lindley's recursion, which is the
timed loop bit for bit (tests/measurement/test_load_loop.py). The true rate is that at which exactly the required share is on time in the
long run: by Franx's form of M/D/1, and of M/M/1 by its exponential response.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from orchestrator.configuration.load import LoadConfig
from orchestrator.stats.arrivals import poisson
from orchestrator.stats.capacity_search import Probe, Span, bracket_of, expected_rate, next_rate, span_of
from orchestrator.stats.capacity_streams import affordable, least_streams, probes_to_come, streams_within
from orchestrator.stats.capacity_verdict import Judgement, Requirement, answers_at_stake, judged, waited
from orchestrator.stats.queueing import md1_waits_up_to, waits
from orchestrator.subject.schedule import length_of_stream

BAR, WIDTH_BAR = 95, 1.1
SAMPLES, IDEAL = 20, 0.8
CLOSED_MS, REPLAYED = 3000, 24
LOADING_S = 8.0
"""What loading a model for one rate takes, in searches with a budget."""
LOAD = LoadConfig(name="poisson", rate_per_s=1.0, stream_s=3.0, ramp_s=1.0)


@dataclass(frozen=True)
class Case:
    """A model with one server: mean service and deadline in ms, the share of quality to keep, and s for each rate."""

    name: str
    service_ms: float
    deadline_ms: float
    keep: float
    max_seconds: float
    exponential: bool = False

    def services(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Return how long so many inferences take, ns."""
        mean_ns = self.service_ms * 1e6
        return np.rint(random.standard_exponential(count) * mean_ns if self.exponential else np.full(count, mean_ns)).astype(np.int64)

    @property
    def true_rate(self) -> float:
        """The rate at which exactly ``keep`` of answers are on time, samples a second."""
        service_s, deadline_s = self.service_ms / 1000, self.deadline_ms / 1000
        if self.exponential:
            return 1 / service_s + math.log(1 - self.keep) / deadline_s
        return float(
            optimize.brentq(
                lambda load: float(md1_waits_up_to([deadline_s - service_s], load / service_s, service_s)[0]) - self.keep, 0.01, 0.99
            )
            / service_s
        )


CASES = (
    Case("M/D/1, 1 ms, within 5 ms, 99 %", 1, 5, 0.99, 3600),
    Case("M/M/1, 1 ms, within 15 ms, 99 %", 1, 15, 0.99, 3600, exponential=True),
    Case("M/D/1, 15 ms, within 50 ms, 95 %", 15, 50, 0.95, 60),
    Case("M/M/1, 15 ms, within 100 ms, 90 %", 15, 100, 0.9, 60, exponential=True),
)
"""The first two show how narrow a bracket gets with time enough, the others what is left of that in the default time at 60 a second."""
NARROW = 2
"""So many cases have the bar on width."""
BRIEF, BUDGET_S = Case("M/D/1, 5 ms, within 50 ms, 99 %, in 250 s", 5, 50, 0.99, 250), 250.0
"""What a search finds within its half of `--minutes 10`, with what comes before and after measuring taken off."""


def stream_figures(case: Case, rate_per_s: float, seed: int, stream: int) -> tuple[float, float]:
    """Return tail quality of one stream and the share of samples that waited, its ramp left out.

    Streams of one number have the same arrivals at every rate but for its scale.
    """
    random = np.random.default_rng([seed, stream])
    length = length_of_stream(LOAD, rate_per_s, SAMPLES)
    count = length.arrivals(SAMPLES)
    services = case.services(count, random)
    responses = waits(poisson(count, rate_per_s, random), services) + services
    right = random.permuted(np.tile(np.arange(SAMPLES) < IDEAL * SAMPLES, (length.rounds, 1)), axis=1).ravel()
    kept = slice(length.ramp, None)
    quality = (right & (responses[kept] <= case.deadline_ms * 1e6)).mean()
    return float(quality), float(waited(responses[kept], services[kept]).mean())


def probe(case: Case, rate_per_s: float, seed: int, most_streams: int) -> tuple[Judgement, int]:
    """Return what a rate shows, looked at as the stopping rule looks, and how many streams were measured."""
    length = length_of_stream(LOAD, rate_per_s, SAMPLES)
    requirement = Requirement(case.keep, most_streams)
    figures: list[tuple[float, float]] = []
    for look in requirement.looks:
        figures += [stream_figures(case, rate_per_s, seed, stream) for stream in range(len(figures), look)]
        qualities, waiting = np.array(figures).T
        found = judged(qualities, answers_at_stake(length.rounds * SAMPLES, waiting, IDEAL), IDEAL, requirement)
        if found.verdict != "undecided":
            break
    return found, len(figures)


def expected(case: Case, seed: int, span: Span) -> float:
    """Return the rate that a closed loop of 3 s leads to expect, as `capacity` replays it, its times off by up to 10 %."""
    random = np.random.default_rng([seed, 2**33])
    services = case.services(max(2 * SAMPLES, int(CLOSED_MS / case.service_ms)), random) * math.exp(random.uniform(-0.1, 0.1))

    def on_time(rate_per_s: float) -> float:
        length = length_of_stream(LOAD, rate_per_s, SAMPLES)
        shares = []
        for stream in range(REPLAYED):
            random = np.random.default_rng([seed, stream, 2**34])
            own = random.choice(services, length.arrivals(SAMPLES)).astype(np.int64)
            responses = waits(poisson(own.size, rate_per_s, random), own) + own
            shares.append(float((responses[length.ramp :] <= case.deadline_ms * 1e6).mean()))
        return statistics.mean(shares)

    return expected_rate(on_time, case.keep, span)


def searched(case: Case, seed: int, budget_s: float | None = None) -> tuple[list[Probe], int]:
    """Return the probes of one search, and how many streams they took in all.

    The throughput that bounds it is off by up to 5 %, another number in each search, so that rates lie everywhere around the true one.

    Parameters
    ----------
    budget_s
        how long the search may take, each rate with `LOADING_S` for its process; None: each rate may take ``case.max_seconds``.
    """
    off = np.random.default_rng([seed, 2**32]).uniform(-0.05, 0.05)
    span = span_of(1000 / case.service_ms * math.exp(off))
    guess = expected(case, seed, span)
    probes: list[Probe] = []
    streams, left_s = 0, budget_s

    def most_streams(rate: float) -> int | None:
        length = length_of_stream(LOAD, rate, SAMPLES)
        stream_s, answers = length.arrivals(SAMPLES) / rate, length.rounds * SAMPLES * IDEAL
        if left_s is None:
            return max(least_streams(answers, case.keep), int(case.max_seconds / stream_s))
        share_s = left_s - LOADING_S
        least = least_streams(answers, case.keep, rate * case.service_ms / 1000)
        return streams_within(share_s / probes_to_come(bracket_of(probes)), share_s, stream_s, least, rate > guess)

    while (rate := next_rate(probes, span, guess)) is not None:
        lowest = rate if rate > guess else bracket_of(probes).certified or span.lowest
        if (chosen := affordable(rate, lowest, most_streams)) is None:
            break
        found, measured = probe(case, chosen[0], seed, chosen[1])
        probes.append(Probe(chosen[0], found.verdict))
        streams += measured
        if left_s is not None:
            stream_s = length_of_stream(LOAD, chosen[0], SAMPLES).arrivals(SAMPLES) / chosen[0]
            left_s -= LOADING_S + measured * stream_s * max(1.0, chosen[0] * case.service_ms / 1000)
    return probes, streams


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=100)
    arguments = parser.parse_args()
    for number, (case, budget_s) in enumerate([*((case, None) for case in CASES), (BRIEF, BUDGET_S)]):
        began = time.process_time()
        truth, held, widths, counts, streams = case.true_rate, 0, [], [], []
        for seed in range(arguments.searches):
            probes, of_search = searched(case, seed, budget_s)
            bracket = bracket_of(probes)
            low, high = bracket.certified or 0.0, bracket.refuted or math.inf
            held += low <= truth <= high
            widths.append(high / low if low else math.inf)
            counts.append(len(probes))
            streams.append(of_search)
        narrow = sum(width <= WIDTH_BAR for width in widths)
        bar = f" (bar {BAR} of 100)"
        print(
            f"{case.name}: true rate {truth:.4g}/s; certified <= true <= refuted in {held} of {arguments.searches}{bar}; bracket "
            f"{100 * (statistics.median(widths) - 1):.1f} % wide by the median, at most 10 % in {narrow}"
            f"{' (bar: all)' if number < NARROW else ''}; "
            f"{statistics.mean(counts):.1f} rates and {statistics.mean(streams):.0f} streams of 3 s; "
            f"{time.process_time() - began:.0f} s of one core"
        )


if __name__ == "__main__":
    main()
