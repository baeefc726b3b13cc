"""The analysis of each record's own times, of 2023 (``calculate_stats.py``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.stats.density import Floats
from orchestrator.stats.paper_densities import GRID_POINTS, Density, distances, distances_at

Quality: TypeAlias = Callable[[NDArray[np.bool_]], Floats]
"""Quality of every round, [R], from which samples are answered in time, [R, S]."""

BANDWIDTHS_S = (0.005, 0.01, 0.03, 0.07, 0.1)
SHARES = (80, 85, 90, 95)
PERCENTILES = (99, 95, 90, 60)
NO_TRAINING = "ValueError: Found array with 0 sample(s) (shape=(0, 1)) while a minimum of 1 is required by KernelDensity."
"""How the script ends where the last 30 rounds are all there are, with the message of scikit-learn."""
TEST_ROUNDS = 30


class Settings(NamedTuple):
    """What ``*_stat.sh`` sets: rounds before the first fit, rounds between fits, fits compared with, and the largest distance."""

    initial: int = 30
    step: int = 5
    window: int = 5
    largest: float = 0.2


SHIPPED = Settings()


def best_bandwidth(times_s: ArrayLike, choices: Sequence[float] = BANDWIDTHS_S) -> float:
    """Return the bandwidth of the greatest likelihood *in sample*, nearly always the narrowest; of equal ones the first."""
    times = np.asarray(times_s, dtype=np.float64)
    apart = (times[:, None] - times) ** 2
    return max(choices, key=lambda h: float(np.log(np.exp(-0.5 * apart / h**2).mean(axis=1) / h).sum()))


def fit(times_s: ArrayLike) -> Density:
    """Return the density of one record's times, [n] in seconds."""
    return Density(np.asarray(times_s, dtype=np.float64), best_bandwidth(times_s))


def distance_of(first: Density, second: Density) -> float:
    """Return the distance of two densities on 1,000 points from the shortest time of both to the longest (``check_fit``)."""
    both = np.concatenate([first.times, second.times])
    return float(distances(first, [second], float(both.min()), float(both.max()))[0])


class Settling(NamedTuple):
    """How one record's density settles.

    compared_at : [C]
        numbers of rounds at which a fit has a full window before it.
    of_five : [C, window]
        its distances to the fits of the window, the oldest first.
    rounds
        the first such number where all distances are within the bound, or the number of training rounds.
    tries
        fits up to there, those without a full window among them.
    """

    compared_at: tuple[int, ...]
    of_five: Floats
    rounds: int
    tries: int

    @property
    def mean_at_last(self) -> float:
        """Mean distance from the window at the last try; 1, the program's placeholder, where no window ever fills."""
        return float(self.of_five[self.tries - self.of_five.shape[1] - 1].mean()) if len(self.of_five) else 1.0


def settling(times_s: ArrayLike, settings: Settings = SHIPPED) -> Settling:
    """Return how the density of one record's training times, [n] in seconds, settles (``check_minimum_n``).

    It is fitted to the first ``initial + step`` times, and to every ``step`` more.
    """
    times = np.asarray(times_s, dtype=np.float64)
    sizes = range(settings.initial + settings.step, times.size + 1, settings.step)
    bandwidths = [best_bandwidth(times[:size]) for size in sizes]
    compared, found = range(settings.window, len(sizes)), []
    for at in compared:
        # The kernels of earlier fits are among those of the last.
        most, window = times[: sizes[at]], range(at - settings.window, at + 1)
        grid = np.linspace(most.min(), most.max(), GRID_POINTS)
        kernels = {
            h: np.exp(-0.5 * ((grid[:, None] - most) / h) ** 2) / (h * math.sqrt(2 * np.pi)) for h in {bandwidths[one] for one in window}
        }
        *earlier, current = [kernels[bandwidths[one]][:, : sizes[one]].mean(axis=1) for one in window]
        found.append(distances_at(current, np.stack(earlier)))
    of_five = np.array(found).reshape(-1, settings.window)
    settled = np.flatnonzero((of_five <= settings.largest).all(axis=1))
    last = settings.window + int(settled[0]) if settled.size else len(sizes) - 1
    rounds = sizes[last] if settled.size else times.size
    return Settling(tuple(sizes[at] for at in compared), of_five, rounds, last + 1)


def mean_train_distance(found: Sequence[Settling]) -> float:
    """Return what the program prints as the mean train JSD: a sum over tries, divided by the number of all tries.

    Each try adds the mean distance of the records that are done with it; before the window is full none is. With only the sixth
    fit compared, as is usual, the figure is a sixth of the mean distance.
    """
    tries = max(one.tries for one in found)
    if not tries:
        return math.nan
    done = [[one.mean_at_last for one in found if one.tries == number] for number in range(1, tries + 1)]
    return sum(float(np.mean(of_try)) for of_try in done if of_try) / tries


def with_initial_added(rounds: Sequence[int], initial: int, most: int) -> list[int]:
    """Return least numbers of rounds as the script goes on with them: ``initial`` is added once more, up to ``most`` of them."""
    return [min(one + initial, most) for one in rounds]


def share_percentiles(rounds: Sequence[int]) -> dict[str, int]:
    """Return i80, i85, i90, i95: linear percentiles of least numbers of rounds, cut to whole numbers."""
    return {f"i{share}": int(np.percentile(rounds, share)) for share in SHARES}


class Side(NamedTuple):
    """Quality of the train or test rounds at a threshold in seconds, one value per round."""

    threshold: float
    per_round: Floats

    @property
    def figures(self) -> dict[str, float]:
        """Mean, least and variance (ddof 0) over rounds, by the program's names."""
        return {"mean": float(self.per_round.mean()), "min": float(self.per_round.min()), "var": float(self.per_round.var())}


def prediction_check(
    times_s: Floats, train: int, quality: Quality, percentiles: Sequence[int] = PERCENTILES, *, frozen: bool = False
) -> dict[int, tuple[Side, Side]]:
    """Return train and test of the program's check that train rounds tell of test rounds (``check_quality``), by percentile.

    A sample is answered in time where its time is *below* the threshold, a linear percentile of all samples' times.

    Parameters
    ----------
    times_s : [R, S]
        in seconds, in the order read; the first ``train`` rounds are for training.
    frozen
        whether test rounds are held to the train rounds' percentile. The program takes each side's own: the share that is answered
        in time is then the same by construction.
    """
    found = {}
    for percentile in percentiles:
        own = float(np.percentile(times_s[:train], percentile))
        other = own if frozen else float(np.percentile(times_s[train:], percentile))
        found[percentile] = Side(own, quality(times_s < own)[:train]), Side(other, quality(times_s < other)[train:])
    return found


def differences(sides: tuple[Side, Side]) -> dict[str, float]:
    """Return |train - test| of mean, least and variance: the program's raw figures, the least ones of rounds that differ in number."""
    train, test = (one.figures for one in sides)
    return {name: abs(train[name] - test[name]) for name in train}


def division(rounds: int) -> tuple[int, Settings]:
    """Return how many of R rounds are for training, and what the settling is given.

    The program tests on the last 30 rounds read. Where fewer than 61 rounds leave too few to train on, 30 % are for the test and
    the settings shrink with them, as when outputs of the program's functions were recorded for such sets.
    """
    if rounds > 2 * TEST_ROUNDS:
        return rounds - TEST_ROUNDS, Settings()
    train = rounds - rounds * 3 // 10
    return train, Settings(initial=train * 30 // 70, step=max(1, train * 5 // 70))
