"""The samples of a task: bounded, drawn by stratum, put into batches, and told apart by slices.

The samples of a batch went through one inference and carry its times. Wherever times are the data there is one per inference: counted
once per sample, batch-mates would pass for independent observations.
"""

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError, Sample, by_key
from orchestrator.metrics import parts_of
from orchestrator.subject.digests import digest_files

DECODED_FOR_ESTIMATE = 8
SIZE = "size"
# The slice whose groups are conversations: their samples are turns, which stand next to each other.
CONVERSATION = "conversation"
# The slice whose groups are sequences in time: their samples are frames, in order.
SEQUENCE = "sequence"
PICTURES = ("image_classification", "object_detection")
NUMBERS = re.compile("([0-9]{1,15})")


def check_names(task: str, samples: Sequence[Sample]) -> None:
    """Refuse a task without samples, or with two of one name. Raises InputError."""
    if not samples:
        raise InputError(f"task {task}: has no samples; check where its data is", "no_data", "task", task)
    name, count = Counter(sample.name for sample in samples).most_common(1)[0]
    if count > 1:
        raise InputError(f"task {task}: {count} samples are called {name!r}; names must be unique", key="task", value=task)


def class_range(samples: Iterable[Sample]) -> tuple[int, int] | None:
    """Return the smallest and the largest integer among the references, None if there is none."""
    every = (sample.reference if isinstance(sample.reference, list | tuple) else [sample.reference] for sample in samples)
    found = [value for values in every for value in values if type(value) is int]
    return (min(found), max(found)) if found else None


def check_classes(owner: str, classes: int | None, found: tuple[int, int] | None) -> None:
    """Refuse class indices that a model has no output for. Raises InputError."""
    if classes is not None and found is not None and not 0 <= found[0] <= found[1] < classes:
        raise InputError(
            f"{owner}: classes={classes} allows class indices 0 to {classes - 1}, but labels lie in {found[0]} to {found[1]}; "
            "correct the labels or the number of classes",
            key="classes",
            value=classes,
        )


def digest_data(samples: Sequence[Sample], cache: Path | None = None) -> str:
    """Return the SHA-256 over names, contents and references, in order; ``cache`` is where digests of files are remembered.

    Raises InputError for a reference that JSON cannot hold.
    """
    by_file = iter(digest_files([sample.path for sample in samples if sample.path is not None], cache))
    lines = []
    for sample in samples:
        content = next(by_file) if sample.payload is None else hashlib.sha256(sample.payload).hexdigest()
        try:
            lines.append(json.dumps([sample.name, content, sample.reference], sort_keys=True))
        except (TypeError, ValueError) as error:
            raise InputError(f"sample {sample.name!r}: its reference must be plain values that JSON can hold ({error})") from error
    return digest_lines(lines)


def digest_lines(lines: Iterable[str]) -> str:
    """Return the SHA-256 of lines of text, as 64 hexadecimal digits."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def estimate_decoded(samples: Sequence[Sample], decode: Callable[[bytes], Any]) -> int:
    """Return about how many bytes all samples take when decoded, by the ratio found on a few of them, evenly spread."""
    few = samples[:: max(1, len(samples) // DECODED_FOR_ESTIMATE)]
    decoded = 0
    for value in (decode(sample.read()) for sample in few):
        if hasattr(value, "getbands"):  # a picture
            decoded += value.width * value.height * len(value.getbands())
        else:
            decoded += int(value.nbytes) if hasattr(value, "nbytes") else sys.getsizeof(value)
    encoded = sum(sample.encoded_size() for sample in few)
    return round(decoded / max(1, encoded) * sum(sample.encoded_size() for sample in samples))


def draw_subset(samples: Sequence[Sample], limit: int | None, seed: int) -> list[Sample]:
    """Return ``limit`` samples in their original order, each stratum with its share.

    Samples are ranked within their stratum by a hash of seed and name, so the choice depends on neither the order of files nor
    the version of any library.

    Parameters
    ----------
    samples
        all samples of a task, names unique.
    limit
        number of samples wanted; None, or as many as there are, takes all.
    seed
        another seed draws another subset.
    """
    if limit is None or limit >= len(samples):
        return list(samples)
    strata = by_key(samples, lambda sample: sample.stratum)
    quotas = share_out(limit, {stratum: len(members) for stratum, members in strata.items()}, seed)
    chosen = {
        sample.name
        for stratum, members in strata.items()
        for sample in sorted(members, key=lambda member: _rank(seed, "sample", member.name))[: quotas[stratum]]
    }
    return [sample for sample in samples if sample.name in chosen]


def share_out(limit: int, sizes: Mapping[str, int], seed: int) -> dict[str, int]:
    """Return how many samples each stratum gives: its exact share rounded down, the rest by largest remainder.

    Equal remainders are decided by a hash of seed and stratum, so no label is preferred for its name. The quotas sum to
    ``min(limit, sum of sizes)`` and none exceeds its stratum.
    """
    total = sum(sizes.values())
    limit = min(limit, total)
    shares = {stratum: divmod(limit * size, total) for stratum, size in sizes.items()}
    quotas = {stratum: whole for stratum, (whole, _) in shares.items()}
    left = limit - sum(quotas.values())
    by_remainder = sorted(shares, key=lambda stratum: (-shares[stratum][1], _rank(seed, "stratum", stratum)))
    for stratum in by_remainder[:left]:
        quotas[stratum] += 1
    return quotas


def _rank(seed: int, kind: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{kind}\0{name}".encode()).digest()


AHEAD = 64  # a process that dies was fewer rounds than this beyond the last stored one

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
        if samples of one batch have different times.
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
        "restore timings/ from a copy or measure the trial again",
        "damaged",
    )


def _cut(order: Samples, size: int) -> list[list[int]]:
    return [order[at : at + size].tolist() for at in range(0, order.size, size)]


def _apart(times: Times, order: Samples, size: int) -> int | None:
    """Return the first sample whose time is not that of the first of its batch; None if all are equal."""
    ran = times[order]
    differing = np.flatnonzero(ran != np.repeat(ran[::size], size)[: ran.size])
    return int(order[differing[0]]) if differing.size else None


def turns_of(names: Iterable[str | None]) -> list[int] | None:
    """Return how many samples each conversation or sequence has, from its name for each sample; None where no sample has one.

    Raises InputError for one whose samples do not stand together.

    Examples
    --------
    >>> turns_of(["a", "a", "b", None, None])
    [2, 1, 1, 1]
    """
    found = list(names)
    runs = groupby(enumerate(found), key=lambda pair: pair[0] if pair[1] is None else pair[1])
    turns = Counter[int | str]()
    for name, members in runs:
        if name in turns:
            raise InputError(
                f"{name}: begins again after samples of another one; let its samples stand together, in order",
                value=name,
            )
        turns[name] = sum(1 for _ in members)
    return list(turns.values()) if any(found) else None


def slices_offered(of_samples: Iterable[str], kind: str, metrics: Iterable[str]) -> set[str]:
    """Return the names of all slices of a task.

    Parameters
    ----------
    of_samples
        names of the slices that samples name themselves.
    kind, metrics
        of the task; the size of a picture is known to every task of pictures.
    """
    return {*of_samples, *([SIZE] if kind in PICTURES else ()), *(part for metric in metrics for part in parts_of(metric))}


def in_order(groups: Iterable[str | None]) -> list[str]:
    """Return the groups there are, each once, as a reader counts: numbers in names by their size.

    Examples
    --------
    >>> in_order(["33-64", None, "129-256", "9-16", "none"])
    ['9-16', '33-64', '129-256', 'none']
    """

    def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
        return [(0, int(part), "") if NUMBERS.fullmatch(part) else (1, 0, part) for part in NUMBERS.split(name) if part], name

    return sorted({group for group in groups if group is not None}, key=natural)
