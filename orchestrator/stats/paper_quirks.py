"""What each fault of the paper's program does to its figures on given timings: each alone, beside the figure without it.

All else is as the program does it, in the true order of rounds, so that the two figures of an effect differ by that one fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.contracts import InputError
from orchestrator.stats.density import select_bandwidth
from orchestrator.stats.divergence import NS_PER_S
from orchestrator.stats.paper_program.densities import Density
from orchestrator.stats.paper_program.per_record import (
    PERCENTILES,
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
from orchestrator.stats.paper_program.run_order import directory_order
from orchestrator.stats.times import checked_times

Floats: TypeAlias = NDArray[np.float64]
Figure = TypeVar("Figure")

FEWEST_ROUNDS = 20
"""With fewer there is no sixth fit among the training rounds."""


class Effect(NamedTuple, Generic[Figure]):
    """One figure with a fault of the program and without it."""

    as_in_paper_program: Figure
    mended: Figure


def run_order_effect(times_ns: ArrayLike, order: ArrayLike | None = None) -> Effect[float]:
    """Return the mean distance of train and test densities, with rounds in the order of their files and in the true one.

    Where rounds drift, mixing them up hides it: train and test then look alike.

    Parameters
    ----------
    times_ns : [R, S]
        one clock, in ns, all finite, at least 20 rounds; samples that share a batch counted once or not, as the caller likes.
    order : [R]
        numbers of rounds from 0 in the order read; None: the one recorded, see `run_order.directory_order`.

    Raises
    ------
    InputError
        if a time is not positive and finite, or there are too few rounds.
    """
    seconds = _seconds(times_ns)
    read = directory_order(len(seconds)) if order is None else np.asarray(order)
    return Effect(_mean_distance(seconds[read], fit), _mean_distance(seconds, fit))


def least_rounds_always_70(times_ns: ArrayLike) -> Effect[NDArray[np.int64]]:
    """Return each sample's least number of rounds, [S]: with 30 added once more, up to 70, and as found.

    As found it is 60 at the least, and 70 where a sample has not settled within the 70 training rounds. Parameters and errors are those of
    `run_order_effect`.
    """
    seconds = _seconds(times_ns)
    train, settings = division(len(seconds))
    found = [one.rounds for one in _settlings(seconds)]
    return Effect(np.array(with_initial_added(found, settings.initial, train)), np.array(found))


def bandwidth_floor_effect(times_ns: ArrayLike) -> Effect[float]:
    """Return the mean distance of train and test densities: with bandwidths of 5 ms and more, and with ones that suit the times.

    Those are of the improved Sheather-Jones method, `stats.density.select_bandwidth`, in seconds. Where times differ by less than 5 ms, the
    program's densities are all the same bump. Parameters and errors are those of `run_order_effect`.
    """
    seconds = _seconds(times_ns)
    return Effect(_mean_distance(seconds, fit), _mean_distance(seconds, _suited))


def recomputed_percentile_effect(
    times_ns: ArrayLike, scores: ArrayLike, percentiles: Sequence[int] = PERCENTILES
) -> Effect[dict[int, dict[str, float]]]:
    """Return |train - test| of mean, least and variance of quality, by percentile: each side at its own, and both at that of train rounds.

    Parameters
    ----------
    times_ns : [R, S]
        as in `run_order_effect`, one column per sample.
    scores : [S] or [R, S]
        what each sample's answer is worth if it is in time, 0 to 1; quality of a round is the mean over its samples.

    Returns
    -------
    Two dictionaries, ``{90: {"mean": ..., "min": ..., "var": ...}}``.

    Raises
    ------
    InputError
        as `run_order_effect` does, or if the scores' shape does not fit.
    """
    seconds = _seconds(times_ns)
    worth = np.asarray(scores, dtype=np.float64)
    if worth.shape not in (seconds.shape, seconds.shape[1:]):
        raise InputError(
            f"scores of shape {worth.shape}: must be {seconds.shape[1:]}, one per sample, or {seconds.shape}, one per round and sample"
        )
    train, _ = division(len(seconds))

    def quality(on_time: NDArray[np.bool_]) -> Floats:
        return np.asarray((on_time * worth).mean(axis=1))

    def found(frozen: bool) -> dict[int, dict[str, float]]:
        checked = prediction_check(seconds, train, quality, percentiles, frozen=frozen)
        return {percentile: differences(sides) for percentile, sides in checked.items()}

    return Effect(found(frozen=False), found(frozen=True))


def train_jsd_divisor_effect(times_ns: ArrayLike) -> Effect[float]:
    """Return the mean distance of a training fit from those of its window: divided by all tries, and by the comparisons made.

    Five tries compare nothing, so that the program's figure is about a sixth. Parameters and errors are those of `run_order_effect`.
    """
    found = _settlings(_seconds(times_ns))
    return Effect(mean_train_distance(found), float(np.mean([one.mean_at_last for one in found])))


def _seconds(times_ns: ArrayLike) -> Floats:
    """Return times in seconds, as the program has them."""
    times = checked_times(times_ns)
    if times.ndim != 2:
        raise ValueError(f"times of shape {times.shape}: the shape must be [rounds, samples]")
    if len(times) < FEWEST_ROUNDS:
        raise InputError(f"times of {len(times)} rounds: the paper's analysis needs at least {FEWEST_ROUNDS}; measure more")
    if not np.isfinite(times).all():
        raise InputError("times with inf: the paper's analysis knows no sample without a time; leave out such rounds")
    return np.asarray(times / NS_PER_S)


def _settlings(seconds: Floats) -> list[Settling]:
    train, settings = division(len(seconds))
    return [settling(one, settings) for one in seconds[:train].T]


def _mean_distance(seconds: Floats, fitted: Callable[[Floats], Density]) -> float:
    """Return the mean over samples of the distance between the densities of train and test rounds."""
    train, _ = division(len(seconds))
    return float(np.mean([distance_of(fitted(one[:train]), fitted(one[train:])) for one in seconds.T]))


def _suited(times_s: Floats) -> Density:
    return Density(times_s, select_bandwidth(times_s, resolution=1 / NS_PER_S).value)
