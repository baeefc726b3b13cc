"""Times whose truth is known in closed form, shared by the studies.

Every time is drawn from a mixture of lognormals, samples are alike, and the quality of an on-time sample is fixed. Round effects,
bursts break what intervals assume.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, signal, stats

from benchmarks.studies.series import generator as generator

MEDIAN_NS = 10e6
IDEAL = 0.9
INTO_BURST, OUT_OF_BURST = 1 / 20, 1 / 4
CHANGES_SPEED = 1 / 10
# Of one machine that take turns in visits.
TRIALS = 8


@dataclass(frozen=True)
class Scenario:
    """Times as a mixture of (share, log of the time over 10 ms, log sd), and what goes wrong with whole rounds.

    round_sd is the log sd of an effect shared by a round, and correlation that of the effects of neighbouring rounds (an autoregressive
    process of first order); burst the log slow-down of rounds in a burst (entered by 1 round in 20, left by 1 in 4), regime that of rounds
    at the slower of two speeds, which change every 10 rounds on average.
    """

    name: str
    parts: tuple[tuple[float, float, float], ...]
    round_sd: float = 0.0
    burst: float = 0.0
    correlation: float = 0.0
    regime: float = 0.0

    @property
    def _slow(self) -> tuple[float, float, float]:
        """Log slow-down of slow rounds, and the chances that they begin and that they end."""
        return (self.regime, CHANGES_SPEED, CHANGES_SPEED) if self.regime else (self.burst, INTO_BURST, OUT_OF_BURST)

    @property
    def slow_share(self) -> float:
        """Long-run share of rounds in a burst, or at the slower speed."""
        slower, begins, ends = self._slow
        return begins / (begins + ends) if slower else 0.0

    def on_time(self, log_threshold: float) -> float:
        """Return the probability of a time at most 10 ms x exp(log_threshold), over rounds of every kind."""
        shift = ((1 - self.slow_share, 0.0), (self.slow_share, self._slow[0]))
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
        return MEDIAN_NS * np.exp(self.log_times(random, self.effects(random, rounds), samples))

    def trial(
        self, random: np.random.Generator, rounds: int, samples: int, visit_rounds: int = 0, trials: int = TRIALS
    ) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
        """Draw times of a trial in ns, [rounds, samples], and the visit of each round, [rounds].

        In one stretch, or in visits of so many rounds: then it is one of several trials whose visits follow one another in random order.
        """
        if not visit_rounds:
            return self.times(random, rounds, samples), None
        effects = self.effects(random, rounds * trials)
        chosen, visits = in_turns(random, rounds, visit_rounds, trials)
        return MEDIAN_NS * np.exp(self.log_times(random, effects[chosen], samples)), visits

    def effects(self, random: np.random.Generator, rounds: int) -> NDArray[np.float64]:
        """Draw what each round adds to the logarithm of all its times, [rounds]."""
        found = np.zeros(rounds)
        if self.round_sd:
            fresh = random.normal(0, self.round_sd, rounds)
            fresh[1:] *= math.sqrt(1 - self.correlation**2)
            found += signal.lfilter([1.0], [1.0, -self.correlation], fresh)
        if slower := self._slow[0]:
            found += slower * self._is_slow(random, rounds)
        return found

    def log_times(self, random: np.random.Generator, effects: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
        """Draw the logarithms of times over 10 ms, [rounds, samples], of rounds with these effects."""
        shares, means, sds = (np.array(column) for column in zip(*self.parts, strict=True))
        log_times = random.standard_normal((effects.size, samples))
        if len(shares) == 1:
            log_times = means[0] + sds[0] * log_times
        else:
            part = np.searchsorted(np.cumsum(shares)[:-1], random.random((effects.size, samples)), side="right")
            log_times = means[part] + sds[part] * log_times
        found: NDArray[np.float64] = log_times + effects[:, None]
        return found

    def _is_slow(self, random: np.random.Generator, rounds: int) -> NDArray[np.bool_]:
        _, begins, ends = self._slow
        slow, draws = np.zeros(rounds, dtype=bool), random.random(rounds)
        slow[0] = draws[0] < self.slow_share
        for r in range(1, rounds):
            slow[r] = draws[r] >= ends if slow[r - 1] else draws[r] < begins
        return slow


def in_turns(random: np.random.Generator, rounds: int, visit_rounds: int, trials: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which of the rounds of so many trials that take turns are those of one of them, [rounds], and the visit of each."""
    visits = rounds // visit_rounds
    starts = visit_rounds * (trials * np.arange(visits) + random.integers(0, trials, visits))
    return (starts[:, None] + np.arange(visit_rounds)).ravel(), np.repeat(np.arange(visits), visit_rounds)


def scores(samples: int) -> NDArray[np.float64]:
    """Return 1 for nine samples in ten, else 0, [samples]: ideal quality 0.9."""
    return (np.arange(samples) < round(IDEAL * samples)).astype(float)


LOGNORMAL = Scenario("lognormal", ((1.0, 0.0, 0.1),))
BIMODAL = Scenario("bimodal", ((0.8, 0.0, 0.05), (0.2, 0.5, 0.05)))
STALLS = Scenario("1 % stalls", ((0.99, 0.0, 0.05), (0.01, 2.0, 0.5)))
ROUND_EFFECTS = replace(LOGNORMAL, name="round effects", round_sd=0.1)
BURSTS = replace(LOGNORMAL, name="bursts", burst=0.3)
WITH_BAR = (LOGNORMAL, BIMODAL, STALLS)
WITHOUT_BAR = (ROUND_EFFECTS, BURSTS)
TWO_SPEEDS = replace(LOGNORMAL, name="two speeds", regime=0.3)
AUTOREGRESSIVE = tuple(replace(ROUND_EFFECTS, name=f"AR(1) {correlation}", correlation=correlation) for correlation in (0.5, 0.8, 0.95))
# Rounds that resemble their neighbours.
DEPENDENT = (BURSTS, TWO_SPEEDS, *AUTOREGRESSIVE)
