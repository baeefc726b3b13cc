"""How often the rounds interval covers the true mean tail quality, and how often the exchangeability flag is raised.

    python benchmarks/coverage.py --repetitions 10000

The truth is known in closed form: every time is drawn from a mixture of lognormals, samples are alike, and the quality of an
on-time sample is fixed. Scenarios with round effects or bursts break what the interval assumes and are shown without a bar.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from orchestrator.stats.exchangeability import exchangeability_flag
from orchestrator.stats.intervals import rounds_interval
from orchestrator.stats.tail_quality import quality_curve

MEDIAN_NS = 10e6
IDEAL = 0.9
ON_TIME = (0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True)
class Scenario:
    """Times as a mixture of (share, log of the time over 10 ms, log sd), and what goes wrong with whole rounds.

    round_sd is the log sd of an effect shared by a round, burst the log slow-down of rounds in a burst (entered by 1 round in
    20, left by 1 in 4), drift the rise of log time from the first round to the last in standard deviations of a round's log
    median.
    """

    name: str
    parts: tuple[tuple[float, float, float], ...]
    round_sd: float = 0.0
    burst: float = 0.0
    drift: float = 0.0

    @property
    def burst_share(self) -> float:
        return (1 / 20) / (1 / 20 + 1 / 4) if self.burst else 0.0

    def on_time(self, log_threshold: float) -> float:
        """Return the probability of a time at most 10 ms x exp(log_threshold), over rounds of every kind."""
        shift = ((1 - self.burst_share, 0.0), (self.burst_share, self.burst))
        return sum(
            chance * share * float(stats.norm.cdf((log_threshold - mean - slow) / math.hypot(sd, self.round_sd)))
            for chance, slow in shift
            for share, mean, sd in self.parts
        )

    def log_threshold(self, on_time: float) -> float:
        return float(optimize.brentq(lambda x: self.on_time(x) - on_time, -5, 10, xtol=1e-12))

    def times(self, random: np.random.Generator, rounds: int, samples: int) -> NDArray[np.float64]:
        """Draw times in ns, [rounds, samples]."""
        shares, means, sds = (np.array(column) for column in zip(*self.parts, strict=True))
        part = random.choice(len(shares), size=(rounds, samples), p=shares)
        log_times = random.normal(means[part], sds[part])
        log_times += random.normal(0, self.round_sd, (rounds, 1)) if self.round_sd else 0
        log_times += self.burst * self._in_burst(random, rounds)[:, None]
        if self.drift:
            log_times += self.drift * np.median(log_times, axis=1).std(ddof=1) * np.linspace(0, 1, rounds)[:, None]
        return MEDIAN_NS * np.exp(log_times)

    def _in_burst(self, random: np.random.Generator, rounds: int) -> NDArray[np.bool_]:
        inside, draws = np.zeros(rounds, dtype=bool), random.random(rounds)
        inside[0] = draws[0] < self.burst_share
        for r in range(1, rounds):
            inside[r] = draws[r] >= 1 / 4 if inside[r - 1] else draws[r] < 1 / 20
        return inside


LOGNORMAL = Scenario("lognormal", ((1.0, 0.0, 0.1),))
BIMODAL = Scenario("bimodal", ((0.8, 0.0, 0.05), (0.2, 0.5, 0.05)))
STALLS = Scenario("1 % stalls", ((0.99, 0.0, 0.05), (0.01, 2.0, 0.5)))
WITH_BAR = (LOGNORMAL, BIMODAL, STALLS)
WITHOUT_BAR = (
    replace(LOGNORMAL, name="round effects", round_sd=0.1),
    replace(LOGNORMAL, name="bursts", burst=0.3),
)
DRIFTING = tuple(replace(scenario, name=f"{scenario.name}, drift of 3 sd", drift=3.0) for scenario in WITH_BAR)


def scores(samples: int) -> NDArray[np.float64]:
    return (np.arange(samples) < round(IDEAL * samples)).astype(float)


def intervals(scenario: Scenario, samples: int, rounds: int, repetitions: int, seed: int) -> None:
    """Print coverage per threshold and method."""
    random = np.random.default_rng([seed, samples, *scenario.name.encode()])
    score = scores(samples)
    bounds = [scenario.log_threshold(share) for share in ON_TIME]
    thresholds = MEDIAN_NS * np.exp(bounds)
    used: defaultdict[float, Counter[str]] = defaultdict(Counter)
    covering: defaultdict[float, Counter[str]] = defaultdict(Counter)
    widths: defaultdict[float, float] = defaultdict(float)
    for _ in range(repetitions):
        curve = quality_curve(score, scenario.times(random, rounds, samples), thresholds)
        for share, qualities in zip(ON_TIME, curve, strict=True):
            found = rounds_interval(qualities, IDEAL, float(score.sum()), random)
            used[share][found.method] += 1
            covering[share][found.method] += found.low <= IDEAL * share <= found.high
            widths[share] += (found.high - found.low) / repetitions
    for share in ON_TIME:
        by_method = ", ".join(f"{m} {covering[share][m] / n:.1%} of {n}" for m, n in sorted(used[share].items()))
        print(
            f"{scenario.name:15} {samples:5} samples {share:6.1%} on time: covers {covering[share].total() / repetitions:.1%} "
            f"({by_method}), mean width {widths[share]:.4f}"
        )


def flags(scenario: Scenario, samples: int, rounds: int, repetitions: int, seed: int) -> None:
    """Print how often the exchangeability flag is raised, with Q at the p95 of the undisturbed times."""
    random = np.random.default_rng([seed, samples, *scenario.name.encode()])
    threshold = MEDIAN_NS * math.exp(scenario.log_threshold(0.95))
    raised = 0
    for _ in range(repetitions):
        times = scenario.times(random, rounds, samples)
        quality = quality_curve(scores(samples), times, [threshold])[0]
        raised += exchangeability_flag(np.log(np.median(times, axis=1)), quality).flagged
    print(f"{scenario.name:25} {samples:5} samples: flagged {raised / repetitions:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--samples", type=int, nargs="+", default=[20, 1000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--study", choices=("intervals", "flags"), nargs="+", default=["intervals", "flags"])
    arguments = parser.parse_args()
    studies = {"intervals": (intervals, WITH_BAR + WITHOUT_BAR), "flags": (flags, WITH_BAR + WITHOUT_BAR + DRIFTING)}
    for study in arguments.study:
        print(f"\n{study}: {arguments.rounds} rounds, {arguments.repetitions} repetitions, seed {arguments.seed}")
        show, scenarios = studies[study]
        for samples in arguments.samples:
            for scenario in scenarios:
                show(scenario, samples, arguments.rounds, arguments.repetitions, arguments.seed)


if __name__ == "__main__":
    main()
