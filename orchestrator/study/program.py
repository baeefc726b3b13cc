"""What the paper's program does (`stats.paper`), in seconds; where it differs from its words.

Here is its analysis of each record's own times, of 2023 (``calculate_stats.py``,
``draw_qualities.py``); its loop of 2024 (``run_tq.py``) is in `stats.paper`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.analysis.groups import Group
from orchestrator.analysis.quality import JudgedMean
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.stats import convergence
from orchestrator.stats.density import Floats, select_bandwidth
from orchestrator.stats.paper import (
    NS_PER_S,
    Density,
    distances,
)
from orchestrator.stats.prediction import compare
from orchestrator.stats.times import Clock, Times
from orchestrator.stats.units import evenly_chosen
from orchestrator.study.material import WHO_COLUMNS, Material, who
from orchestrator.study.tables import Row, table

# Quality of every round, [R], from which samples are answered in time, [R, S].
Quality: TypeAlias = Callable[[NDArray[np.bool_]], Floats]

BANDWIDTHS_S = (0.005, 0.01, 0.03, 0.07, 0.1)
PERCENTILES = (99, 95, 90, 60)  # of its check that training rounds tell of test rounds
TEST_ROUNDS = 30
# Of files ViT_Run100.time.1 to .100: fewer files keep their order.
CLASSIFICATION = (
    "88 3 74 2 35 41 97 47 69 17 6 72 51 95 49 42 50 33 62 58 54 84 19 16 24 93 26 79 34 61 71 52 "
    "25 11 23 100 21 73 92 80 13 5 68 85 65 30 83 32 64 28 4 63 70 86 91 76 56 53 43 45 82 57 10 "
    "20 27 55 46 78 8 12 40 94 90 99 31 1 9 29 22 39 77 15 89 60 75 59 18 44 37 48 87 67 7 38 66 "
    "14 96 81 98 36"
)

CLOCK = Clock.INFERENCE  # The clock of the paper's published cells.
MOST_SAMPLES, MOST_IN_ALL, FEWEST = 10, 160, 4
FEWEST_ROUNDS = 20  # With fewer there is no sixth fit among the training rounds.
DIFFERENCES = {
    "run order": "mean train/test distance, of rounds as a directory lists their files (program) "
    "or in true order (mended)",
    "least rounds": "mean number of rounds until a sample's density settles, plus 30 and at most "
    "70 (program) or that number itself (mended)",
    "bandwidth floor": "mean train/test distance, with bandwidths of at least 5 ms (program) or "
    "bandwidths that suit the times (mended)",
    "recomputed percentile": "largest |train - test| of mean quality, each side at its own "
    "percentile (program) or both at that of the training rounds (mended)",
    "divisor of train JSD": "sum of distances among training fits, divided by the number of tries, "
    "even those that compared nothing (program), or of comparisons made (mended)",
}


def quality_at(quality: Quality, times_s: Floats, bounds: ArrayLike) -> Floats:
    """Return quality, [M, R], of times [R, S]: in time is what takes *at most* a bound."""
    return np.array([quality(times_s <= bound) for bound in np.asarray(bounds)])


class Settings(NamedTuple):
    """What ``*_stat.sh`` sets: rounds before the first fit, between fits, fits compared with."""

    initial: int = 30
    step: int = 5
    window: int = 5
    largest: float = 0.2


SHIPPED = Settings()


def division(rounds: int) -> tuple[int, Settings]:
    """Return how many of R rounds are for training, and what the settling is given.

    The program tests on the last 30 rounds read. Where fewer than 61 rounds leave too few to train
    on, 30 % are for the test and the settings shrink with them, as when outputs of the program's
    functions were recorded for such sets.
    """
    if rounds > 2 * TEST_ROUNDS:
        return rounds - TEST_ROUNDS, SHIPPED
    train = rounds - rounds * 3 // 10
    return train, Settings(initial=train * 30 // 70, step=max(1, train * 5 // 70))


def best_bandwidth(times_s: ArrayLike, choices: Sequence[float] = BANDWIDTHS_S) -> float:
    """Return the bandwidth of the greatest likelihood *in sample*, nearly always the narrowest."""
    times = np.asarray(times_s, dtype=np.float64)
    apart = (times[:, None] - times) ** 2

    likelihoods = [np.log(np.exp(-0.5 * apart / h**2).mean(axis=1) / h).sum() for h in choices]
    return choices[int(np.argmax(likelihoods))]


def fit(times_s: Times) -> Density:
    """Return the density of one record's times, [n]."""
    return Density(np.asarray(times_s, dtype=np.float64), best_bandwidth(times_s))


def distance_of(first: Density, second: Density) -> float:
    """Return the distance of two densities over the times of both (``check_fit``)."""
    both = np.concatenate([first.times, second.times])
    return float(distances(first, [second], float(both.min()), float(both.max()))[0])


class Settling(NamedTuple):
    """How one record's density settles.

    After ``compared_at`` rounds, [C], a fit has a full window before it; ``of_window``, [C,
    window], are its distances to that. ``rounds`` is the first such number with all distances
    within the bound, or that of training rounds; ``tries`` are the fits up to there, those without
    a full window among them.
    """

    compared_at: tuple[int, ...]
    of_window: Floats
    rounds: int
    tries: int

    @property
    def mean_at_last(self) -> float:
        """Mean distance at the last try; 1, the program's placeholder, if no window ever fills."""
        last = self.tries - self.of_window.shape[1] - 1
        return float(self.of_window[last].mean()) if len(self.of_window) else 1.0


def settling(times_s: Floats, settings: Settings = SHIPPED) -> Settling:
    """Return how the density of one record's training times, [n], settles (``check_minimum_n``)."""

    def apart(current: Density, earlier: Sequence[Density]) -> Floats:
        return distances(current, earlier, float(current.times.min()), float(current.times.max()))

    initial, step, window, largest = settings
    found = list(convergence.settling(times_s, fit, apart, initial, step, window))
    of_window = np.array([one for _, one in found]).reshape(-1, window)
    rounds = next((at for at, one in found if (one <= largest).all()), times_s.size)
    tries = len(range(initial + step, rounds + 1, step))
    return Settling(tuple(at for at, _ in found), of_window, rounds, tries)


def mean_train_distance(found: Sequence[Settling]) -> float:
    """Return the program's mean train JSD: a sum over tries, divided by the number of all tries.

    Each try adds the mean distance of the records that are done with it; before the window is full
    none is. With only the sixth fit compared, as is usual, it is a sixth of the mean distance.
    """
    tries = max(one.tries for one in found)
    done = [[one.mean_at_last for one in found if one.tries == n] for n in range(1, tries + 1)]
    return sum(float(np.mean(of_try)) for of_try in done if of_try) / tries if tries else math.nan


def directory_order(rounds: int, recorded: str = CLASSIFICATION) -> NDArray[np.int64]:
    """Return the order, [R] from 0, in which ``iterdir()`` lists the files of so many rounds.

    It was recorded on one ext4 file system, where it is that of a hash of names; that of more files
    is not known, and theirs is the order of the SHA-256 of their numbers.

    Examples
    --------
    >>> directory_order(4)
    array([2, 1, 3, 0])
    """
    order = [int(number) for number in recorded.split()]
    if rounds > len(order):
        numbers = range(1, rounds + 1)
        order = sorted(numbers, key=lambda number: sha256(str(number).encode()).digest())
    return np.array([number - 1 for number in order if number <= rounds], dtype=np.int64)


def _most_samples(material: Material) -> int:
    return max(FEWEST, min(MOST_SAMPLES, MOST_IN_ALL // max(len(list(material.firsts())), 1)))


def _program_note(material: Material) -> str:
    differences = "; ".join(f"{name}: {what}" for name, what in DIFFERENCES.items())
    return (
        f"{differences}. Each uses the first repeat of every trial, its complete rounds, and "
        f"up to {_most_samples(material)} samples, evenly chosen. The recomputed percentile uses "
        "all samples, and leaves out metrics that are no mean over samples, such as mAP. The "
        "missing synchronisation of a GPU cannot be tried here."
    )


@table(
    "program",
    "What each difference of the paper's program from its words does to these timings, "
    "inference time",
    [WHO_COLUMNS, ("name", "difference"), ("three", "as in its program", "mended")],
    _program_note,
)
def _program(material: Material) -> Iterator[Row]:
    most = _most_samples(material)

    def effects_of(pair: tuple[Group, TrialData]) -> list[Row]:
        records, judged = pair[1].own_times(CLOCK), pair[1].judged(pair[1].metric)
        complete = np.isfinite(records).all(axis=1)
        some = records[complete][:, evenly_chosen(records.shape[1], most)] / NS_PER_S
        scores = judged.scores if isinstance(judged, JudgedMean) else None
        found = effects(some, pair[1].times[CLOCK][complete] / NS_PER_S, scores)
        return [[*who(*pair), *row] for row in found]

    for rows in map_in_threads(effects_of, material.firsts()):
        yield from rows


def effects(
    records: Floats, times: Floats, scores: Floats | None = None
) -> Iterator[tuple[str, float, float]]:
    """Yield each difference of the program with its figure as there and mended.

    All else is as in the program, in the true order of rounds; none of fewer than 20 rounds.
    ``records`` : [R, B], ``times`` : [R, S] of the samples that have ``scores``, [S].
    """

    def mean_distance(of: Floats, fitted: Callable[[Floats], Density] = fit) -> float:
        fits = [(fitted(one[:train]), fitted(one[train:])) for one in of.T]
        return float(np.mean([distance_of(*both) for both in fits]))

    if len(records) < FEWEST_ROUNDS:
        return
    train, settings = division(len(records))
    in_true_order = mean_distance(records)
    yield "run order", mean_distance(records[directory_order(len(records))]), in_true_order
    found = [settling(one, settings) for one in records[:train].T]
    window_fills = train >= settings.initial + settings.step * (settings.window + 1)
    if window_fills:
        least = np.array([one.rounds for one in found])
        added = np.minimum(least + settings.initial, train)
        yield "least rounds", float(added.mean()), float(least.mean())
    suited = mean_distance(
        records, lambda of: Density(of, select_bandwidth(of, resolution=1 / NS_PER_S).value)
    )
    yield "bandwidth floor", in_true_order, suited
    if scores is not None:

        def quality(on_time: NDArray[np.bool_]) -> Floats:
            return np.asarray((on_time * scores).mean(axis=1))

        curves, parts = [partial(quality_at, quality)] * 2, (times[:train], times[train:])
        sides = compare(curves, parts, PERCENTILES, as_in_program=True)
        apart = (sides.fit.mean(axis=1) - of.mean(axis=1) for of in (sides.own, sides.frozen))
        own, frozen = (float(np.abs(of).max()) for of in apart)
        yield "recomputed percentile", own, frozen
    if window_fills:
        mended = float(np.mean([one.mean_at_last for one in found]))
        yield "divisor of train JSD", mean_train_distance(found), mended
