"""Machines whose truth is known in closed form, drawn 1,000 at once, and the two sets of them that the studies judge by.

The logarithm of every time is a sample's own part (normal, now and then a stall) plus what its round shares: an AR(1) process, a
slow-down in spells (Markov), a drift. Trials take turns: in each cycle of ``trials`` visits of two rounds, one lies at a random
place. The tuning set chose the constants. The judging set has other slow-downs, shares and noise. It influenced
``TAIL`` and the reach of AR(1) effects, and nothing else.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, signal, stats

Floats: TypeAlias = NDArray[np.float64]
# Rounds of a visit.
VISIT = 2
SAMPLES, RIGHT = 20, 18
IDEAL = RIGHT / SAMPLES
ROUNDS = (30, 60, 120, 240)
ON_TIME = (0.80, 0.95, 0.99)
# That take turns. A lone trial that pauses as long as a visit is one of two.
TRIALS = (8, 2)
SPELLS = (2, 5, 10, 20, 40, 80)
STALL, STALL_SD = 2.0, 0.5


@dataclass(frozen=True)
class Scenario:
    """What happens to the logarithm of times.

    own_sd : of a sample; round_sd : of what a round shares; correlation : of that with the next round's.
    slow, share, spell : log slow-down of slow rounds, their long-run share, and the mean length of a spell in rounds.
    drift : rise of log time over the whole measurement.
    stalls : share of samples that take e^2 times as long.
    """

    name: str
    own_sd: float = 0.1
    round_sd: float = 0.0
    correlation: float = 0.0
    slow: float = 0.0
    share: float = 0.0
    spell: float = 0.0
    drift: float = 0.0
    stalls: float = 0.0

    @property
    def dependent(self) -> bool:
        """Whether rounds resemble their neighbours."""
        return bool(self.correlation or self.spell or self.drift)

    def beyond(self, log_time: float | Floats, effect: float | Floats = 0.0) -> Floats:
        """Return the probability that a sample of a round with a known effect takes longer."""
        at = np.asarray(log_time) - effect
        return (1 - self.stalls) * stats.norm.sf(at / self.own_sd) + self.stalls * stats.norm.sf((at - STALL) / STALL_SD)

    def beyond_in_the_long_run(self, log_time: float) -> float:
        """Return the same over rounds of all kinds."""
        sd = math.hypot(self.own_sd, self.round_sd)
        wide = replace(self, own_sd=sd)
        drifts = self.drift * (np.arange(200) + 0.5) / 200 if self.drift else np.zeros(1)
        kinds = ((1 - self.share, 0.0), (self.share, self.slow))
        return float(sum(part * wide.beyond(log_time, slow + drifts).mean() for part, slow in kinds))

    def quantile(self, share: float) -> float:
        """Return the logarithm of the time within which so large a share of samples is, in the long run."""
        found: float = optimize.brentq(lambda x: self.beyond_in_the_long_run(x) - (1 - share), -5, 10, xtol=1e-12)
        return found


class Drawn(NamedTuple):
    """What measured rounds add to log times, what all rounds of the machine do, and where the measured ones lie.

    effects, places : [draws, R]; background : [draws, rounds of the machine].
    """

    effects: Floats
    background: Floats
    places: NDArray[np.int64]

    def met(self, late: Floats) -> tuple[Floats, float]:
        """Return how many bad stretches the first 1, 2, ... R rounds met on average, [R], and the share of rounds that are bad.

        Bad are rounds whose chance to be late, [draws, rounds of the machine], lies above the mean.
        """
        bad = late > late.mean() * (1 + 1e-9)
        number = np.cumsum(np.diff(bad, axis=1, prepend=False) & bad, axis=1) * bad
        seen = np.maximum.accumulate(np.take_along_axis(number, self.places, axis=1), axis=1)
        found: Floats = np.cumsum(np.diff(seen, axis=1, prepend=0) > 0, axis=1).mean(axis=0)
        return found, float(bad.mean())


def slow_rounds(random: np.random.Generator, draws: int, rounds: int, scenario: Scenario) -> NDArray[np.bool_]:
    """Draw which rounds are slow, [draws, rounds]: a Markov chain that begins in its long-run law."""
    ends = 1 / scenario.spell
    begins = scenario.share / (1 - scenario.share) * ends
    found = np.empty((rounds, draws), dtype=bool)
    now = random.random(draws) < scenario.share
    for place in range(rounds):
        found[place] = now
        drawn = random.random(draws, dtype=np.float32)
        now = np.where(now, drawn >= ends, drawn < begins)
    return found.T


def places(random: np.random.Generator, draws: int, rounds: int, trials: int, of: int = 1) -> list[NDArray[np.int64]]:
    """Return where the rounds of some trials lie, [draws, R] each: one visit of each in every cycle."""
    cycles = np.arange(rounds // VISIT)
    order = np.argsort(random.random((draws, cycles.size, trials)), axis=2)[..., :of]
    starts = VISIT * (trials * cycles[None, :, None] + order)
    return [(starts[..., one, None] + np.arange(VISIT)).reshape(draws, -1) for one in range(of)]


def background(random: np.random.Generator, draws: int, rounds: int, scenario: Scenario) -> Floats:
    """Draw what each round of the machine adds to log times, drift left out, [draws, rounds]."""
    found = np.zeros((draws, rounds))
    if scenario.round_sd:
        fresh = random.normal(0, scenario.round_sd, (draws, rounds))
        fresh[:, 1:] *= math.sqrt(1 - scenario.correlation**2)
        found = signal.lfilter([1.0], [1.0, -scenario.correlation], fresh, axis=1)
    if scenario.spell:
        found += scenario.slow * slow_rounds(random, draws, rounds, scenario)
    return found


def draw(random: np.random.Generator, draws: int, rounds: int, trials: int, scenario: Scenario, of: int = 1) -> list[Drawn]:
    """Draw the rounds of some trials that take turns on one machine; one stretch where ``trials`` is 1."""
    added = background(random, draws, rounds * trials, scenario)
    drifts = scenario.drift / (rounds * trials)
    return [Drawn(np.take_along_axis(added, at, axis=1) + drifts * at, added, at) for at in places(random, draws, rounds, trials, of)]


def within_reach(scenario: Scenario, rounds: int, trials: int, met: float, bad: float) -> bool:
    """Return whether visits can see what happens, as docs/statistics.md defines *reach*; a drift is no long run."""
    cycle = VISIT * trials
    if scenario.drift or trials == 1:
        return False
    if scenario.spell:
        return met >= 5 or (scenario.share >= 1 / 6 and scenario.spell <= 1.25 * cycle and rounds >= 60)
    return not scenario.correlation or (scenario.correlation**cycle <= 0.45 and (bad >= 0.16 or met >= 15))


def generator(seed: int, *case: object) -> np.random.Generator:
    """Return the source of randomness that belongs to a case, whatever ran before it."""
    return np.random.default_rng([seed, *" ".join(map(str, case)).encode()])


def spells(slow: float, shares: tuple[float, ...], own_sd: float = 0.1) -> list[Scenario]:
    """Return spells of every length at each share of slow rounds."""
    name = "spells of {} at 1/{}".format
    return [Scenario(name(length, round(1 / share)), own_sd, slow=slow, share=share, spell=length) for share in shares for length in SPELLS]


def autoregressive(round_sd: float, own_sd: float = 0.1) -> list[Scenario]:
    return [Scenario(f"AR(1) {rho}", own_sd, round_sd=round_sd, correlation=rho) for rho in (0.5, 0.8, 0.95)]


SETS: dict[str, list[Scenario]] = {
    "tuning": [
        Scenario("independent"),
        Scenario("round effects", round_sd=0.1),
        *autoregressive(0.1),
        *spells(0.3, (1 / 6, 1 / 20)),
        Scenario("drift", drift=0.1),
    ],
    "judging": [
        Scenario("independent", 0.3),
        Scenario("1 % stalls", 0.05, stalls=0.01),
        Scenario("round effects", round_sd=0.2),
        *autoregressive(0.2),
        Scenario("short bursts", slow=0.5, share=1 / 5, spell=4),
        *spells(0.6, (1 / 6, 1 / 20)),
        *spells(0.2, (1 / 4, 1 / 10)),
        Scenario("drift", drift=0.2),
    ],
}
