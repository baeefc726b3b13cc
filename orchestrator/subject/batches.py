"""Which samples a round puts into which batch, and one time of each batch (pure).

The samples of a batch went through one inference and carry its times. Wherever times are the data there is one per inference:
counted once per sample, batch-mates would pass for independent observations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError

AHEAD = 64
"""A process that dies has come fewer rounds than this beyond the last one that was stored."""

Times = NDArray[np.float64]
Samples = NDArray[np.intp]


def order_of_round(trial: Trial, samples: int, number: int) -> Samples:
    """Return the sample numbers in the order they run; a shuffled order is the same on every system."""
    if trial.measurement.order == "shuffled":
        return np.random.default_rng([trial.task.subset_seed, number]).permutation(samples)
    return np.arange(samples)


def batches_of_round(trial: Trial, samples: int, number: int) -> list[list[int]]:
    """Return the sample numbers of each batch of a round, in the order they run; the last batch may be short."""
    return _cut(order_of_round(trial, samples, number), trial.measurement.batch)


def batches_that_ran(trial: Trial, number: int, times: Times, incomplete: bool = False) -> list[list[int]]:
    """Return the sample numbers of each batch of a stored round; parameters and errors are those of `first_of_batches`, of one round."""
    return _cut(_order_that_ran(trial, number, times, incomplete), trial.measurement.batch)


def first_of_batches(trial: Trial, numbers: Sequence[int] | NDArray[np.int64], times: Times, incomplete: NDArray[np.bool_]) -> Samples:
    """Return one sample of each batch of every stored round, [R, B], in the order the batches ran.

    An incomplete round holds what a process has left that may have been some rounds ahead. It is stored under the number of the
    first round that never came back, and its shuffled order is that of a later one: the first in which batch-mates agree.

    Parameters
    ----------
    numbers : [R]
        under which the rounds are stored.
    times : [R, S]
        of their samples on one clock in ns, +inf for a sample without one.
    incomplete : [R]
        rounds that ended before all samples were measured.

    Raises
    ------
    InputError
        where samples of one batch have different times.
    """
    size = trial.measurement.batch
    firsts = np.empty((len(times), -(-times.shape[1] // size)), dtype=np.intp)
    for row, (number, of_round, cut_short) in enumerate(zip(numbers, times, incomplete, strict=True)):
        firsts[row] = _order_that_ran(trial, int(number), of_round, bool(cut_short))[::size]
    return firsts


def batch_numbers(trial: Trial, samples: int, number: int = 0) -> Samples:
    """Return the number of the batch that each sample of a round is in, [S]; where the order is fixed, of every round."""
    of_sample = np.empty(samples, dtype=np.intp)
    of_sample[order_of_round(trial, samples, number)] = np.arange(samples) // trial.measurement.batch
    return of_sample


def _order_that_ran(trial: Trial, number: int, times: Times, incomplete: bool) -> Samples:
    size = trial.measurement.batch
    order = order_of_round(trial, times.size, number)
    apart = _apart(times, order, size)
    if apart is None:
        return order
    if incomplete and trial.measurement.order == "shuffled":
        for later in range(number + 1, number + AHEAD):
            candidate = order_of_round(trial, times.size, later)
            if _apart(times, candidate, size) is None:
                return candidate
    raise InputError(
        f"sample {apart} of round {number} has another time than the rest of its batch (measurement.batch={size}): "
        "restore timings/ from a copy or measure the trial again"
    )


def _cut(order: Samples, size: int) -> list[list[int]]:
    return [order[at : at + size].tolist() for at in range(0, order.size, size)]


def _apart(times: Times, order: Samples, size: int) -> int | None:
    """Return the first sample whose time is not that of the first of its batch; None where all are equal."""
    ran = times[order]
    differing = np.flatnonzero(ran != np.repeat(ran[::size], size)[: ran.size])
    return int(order[differing[0]]) if differing.size else None
