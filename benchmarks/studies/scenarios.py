"""Times whose truth is known in closed form, shared by the studies.

Every time is drawn from a mixture of lognormals, samples are alike, and the quality of an on-time sample is fixed. Round effects,
bursts and drift break what intervals assume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

MEDIAN_NS = 10e6
IDEAL = 0.9
INTO_BURST, OUT_OF_BURST = 1 / 20, 1 / 4
BLOCKS_FOR_SD, ROUNDS_IN_BLOCK = 100, 500


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
        """Long-run share of rounds in a burst."""
        return INTO_BURST / (INTO_BURST + OUT_OF_BURST) if self.burst else 0.0

    def on_time(self, log_threshold: float) -> float:
        """Return the probability of a time at most 10 ms x exp(log_threshold), over rounds of every kind, drift left out."""
        shift = ((1 - self.burst_share, 0.0), (self.burst_share, self.burst))
        return sum(
            chance * share * float(stats.norm.cdf((log_threshold - mean - slow) / math.hypot(sd, self.round_sd)))
            for chance, slow in shift
            for share, mean, sd in self.parts
        )

    def log_threshold(self, on_time: float) -> float:
        """Return the logarithm, over 10 ms, of the time within which this share of samples is on time."""
        return float(optimize.brentq(lambda x: self.on_time(x) - on_time, -5, 10, xtol=1e-12))

    def threshold_ns(self, on_time: float) -> float:
        """Return the time in ns within which this share of samples is on time."""
        return MEDIAN_NS * math.exp(self.log_threshold(on_time))

    def times(self, random: np.random.Generator, rounds: int, samples: int) -> NDArray[np.float64]:
        """Draw times in ns, [rounds, samples]."""
        log_times = self._log_times(random, rounds, samples)
        if self.drift:
            rise = self.drift * _sd_of_log_median(replace(self, drift=0.0), samples)
            log_times += rise * np.linspace(0, 1, rounds)[:, None]
        return MEDIAN_NS * np.exp(log_times)

    def _log_times(self, random: np.random.Generator, rounds: int, samples: int) -> NDArray[np.float64]:
        shares, means, sds = (np.array(column) for column in zip(*self.parts, strict=True))
        log_times = random.standard_normal((rounds, samples))
        if len(shares) == 1:
            log_times = means[0] + sds[0] * log_times
        else:
            part = np.searchsorted(np.cumsum(shares)[:-1], random.random((rounds, samples)), side="right")
            log_times = means[part] + sds[part] * log_times
        if self.round_sd:
            log_times += random.normal(0, self.round_sd, (rounds, 1))
        if self.burst:
            log_times += self.burst * self._in_burst(random, rounds)[:, None]
        return log_times

    def _in_burst(self, random: np.random.Generator, rounds: int) -> NDArray[np.bool_]:
        inside, draws = np.zeros(rounds, dtype=bool), random.random(rounds)
        inside[0] = draws[0] < self.burst_share
        for r in range(1, rounds):
            inside[r] = draws[r] >= OUT_OF_BURST if inside[r - 1] else draws[r] < INTO_BURST
        return inside


@cache
def _sd_of_log_median(scenario: Scenario, samples: int) -> float:
    """Return the standard deviation of a round's log median, from 50,000 rounds of a fixed seed."""
    random = np.random.default_rng(0)
    medians = [np.median(scenario._log_times(random, ROUNDS_IN_BLOCK, samples), axis=1) for _ in range(BLOCKS_FOR_SD)]
    return float(np.std(medians, ddof=1))


def scores(samples: int) -> NDArray[np.float64]:
    """Return 1 for nine samples in ten, else 0, [samples]: ideal quality 0.9."""
    return (np.arange(samples) < round(IDEAL * samples)).astype(float)


def generator(seed: int, *case: str | float) -> np.random.Generator:
    """Return the source of randomness that belongs to a case, whatever ran before it."""
    return np.random.default_rng([seed, *" ".join(map(str, case)).encode()])


LOGNORMAL = Scenario("lognormal", ((1.0, 0.0, 0.1),))
BIMODAL = Scenario("bimodal", ((0.8, 0.0, 0.05), (0.2, 0.5, 0.05)))
STALLS = Scenario("1 % stalls", ((0.99, 0.0, 0.05), (0.01, 2.0, 0.5)))
ROUND_EFFECTS = replace(LOGNORMAL, name="round effects", round_sd=0.1)
BURSTS = replace(LOGNORMAL, name="bursts", burst=0.3)
WITH_BAR = (LOGNORMAL, BIMODAL, STALLS)
WITHOUT_BAR = (ROUND_EFFECTS, BURSTS)
