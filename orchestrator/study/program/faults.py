"""What each fault of the paper's program does to its figures on given times: each alone, beside the figure without it.

All else is as the program does it, in the true order of rounds, so that the two figures of an effect differ by that one fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.density import Floats, select_bandwidth
from orchestrator.stats.divergence import NS_PER_S
from orchestrator.stats.paper_densities import Density
from orchestrator.stats.times import checked_times
from orchestrator.study.program.per_record import (
    Settling,
    differences,
    distance_of,
    division,
    fit,
    mean_train_distance,
    prediction_check,
    settling,
    with_initial_added,
)
from orchestrator.study.program.run_order import directory_order

FEWEST_ROUNDS = 20
"""With fewer there is no sixth fit among the training rounds."""


class Effect(NamedTuple):
    """One figure with a fault of the program and without it."""

    as_in_paper_program: float
    mended: float


class Faults:
    """The effects of all faults on times, [R, S] of one clock in ns, finite, at least 20 rounds. Raises InputError."""

    def __init__(self, times_ns: ArrayLike) -> None:
        times = checked_times(times_ns)
        if len(times) < FEWEST_ROUNDS:
            raise InputError(f"times of {len(times)} rounds: the paper's analysis needs at least {FEWEST_ROUNDS}; measure more")
        if not np.isfinite(times).all():
            raise InputError("times with inf: the paper's analysis knows no sample without a time; leave out such rounds")
        self._seconds: Floats = np.asarray(times / NS_PER_S)
        self.train, self.settings = division(len(times))

    def run_order(self, order: ArrayLike | None = None) -> Effect:
        """Return the mean distance of train and test densities, with rounds in the order of their files and in the true one.

        Where rounds drift, mixing them up hides it. ``order`` : [R] is that of the files, from 0; None: the one recorded.
        """
        read = directory_order(len(self._seconds)) if order is None else np.asarray(order)
        return Effect(self._mean_distance(self._seconds[read], fit), self._mean_distance(self._seconds, fit))

    def bandwidth_floor(self) -> Effect:
        """Return the mean distance with bandwidths of 5 ms and more, and with ones that suit the times (`select_bandwidth`)."""

        def suited(times_s: Floats) -> Density:
            return Density(times_s, select_bandwidth(times_s, resolution=1 / NS_PER_S).value)

        return Effect(self._mean_distance(self._seconds, fit), self._mean_distance(self._seconds, suited))

    def least_rounds(self) -> tuple[list[int], list[int]]:
        """Return each sample's least number of rounds, [S]: with 30 added once more, up to 70, and as found."""
        found = [one.rounds for one in self._settlings()]
        return with_initial_added(found, self.settings.initial, self.train), found

    def train_divisor(self) -> Effect:
        """Return the mean distance of a training fit from its window: divided by all tries, and by the comparisons made."""
        found = self._settlings()
        return Effect(mean_train_distance(found), float(np.mean([one.mean_at_last for one in found])))

    def recomputed_percentile(self, scores: ArrayLike) -> tuple[dict[int, dict[str, float]], dict[int, dict[str, float]]]:
        """Return |train - test| of mean, least and variance of quality by percentile: each side at its own, and both at that of train.

        ``scores`` : [S] or [R, S] are what each sample's answer is worth if it is in time.
        """
        worth = np.asarray(scores, dtype=np.float64)
        if worth.shape not in (self._seconds.shape, self._seconds.shape[1:]):
            raise InputError(f"scores of shape {worth.shape}: one per sample is needed, of times of shape {self._seconds.shape}")

        def quality(on_time: NDArray[np.bool_]) -> Floats:
            return np.asarray((on_time * worth).mean(axis=1))

        own, frozen = (prediction_check(self._seconds, self.train, quality, frozen=frozen) for frozen in (False, True))
        return {at: differences(sides) for at, sides in own.items()}, {at: differences(sides) for at, sides in frozen.items()}

    def window_fills(self) -> bool:
        """Return whether the settling compares any fit with a full window: of 61 to 89 rounds it never does."""
        return self.train >= self.settings.initial + self.settings.step * (self.settings.window + 1)

    def _settlings(self) -> list[Settling]:
        return [settling(one, self.settings) for one in self._seconds[: self.train].T]

    def _mean_distance(self, seconds: Floats, fitted: Callable[[Floats], Density]) -> float:
        return float(np.mean([distance_of(fitted(one[: self.train]), fitted(one[self.train :])) for one in seconds.T]))
