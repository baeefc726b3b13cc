"""The samples of a task: read, bounded, drawn by stratum, and put into batches.

The samples of a batch went through one inference and carry its times. Wherever times are the data there is one per inference: counted
once per sample, batch-mates would pass for independent observations.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError, Sample
from orchestrator.subject.digests import digest_files

DECODED_FOR_ESTIMATE = 8


def check_names(task: str, samples: Sequence[Sample]) -> None:
    """Refuse a task without samples, or with two of one name. Raises InputError."""
    if not samples:
        raise InputError(f"task {task}: has no samples; check where its data is")
    names: set[str] = set()
    for sample in samples:
        if sample.name in names:
            raise InputError(f"task {task}: two samples are called {sample.name!r}; names must be unique")
        names.add(sample.name)


def class_range(samples: Iterable[Sample]) -> tuple[int, int] | None:
    """Return the smallest and the largest integer among the references, None if there is none."""
    found = [index for sample in samples for index in _class_indices(sample.reference)]
    return (min(found), max(found)) if found else None


def _class_indices(reference: object) -> Iterator[int]:
    for value in reference if isinstance(reference, list | tuple) else [reference]:
        if isinstance(value, int) and not isinstance(value, bool):
            yield value


def check_classes(owner: str, classes: int | None, found: tuple[int, int] | None) -> None:
    """Refuse class indices that a model has no output for. Raises InputError."""
    if classes is not None and found is not None and not 0 <= found[0] <= found[1] < classes:
        raise InputError(
            f"{owner}: classes={classes} allows class indices 0 to {classes - 1}, but labels lie in {found[0]} to {found[1]}; "
            "correct the labels or the number of classes"
        )


def digest_contents(samples: Sequence[Sample], cache: Path | None = None) -> list[str]:
    """Return the SHA-256 of every sample's encoded bytes, as 64 hexadecimal digits each."""
    by_file = iter(digest_files([sample.path for sample in samples if sample.path is not None], cache))
    return [hashlib.sha256(sample.payload).hexdigest() if sample.payload is not None else next(by_file) for sample in samples]


def digest_data(samples: Sequence[Sample], contents: Sequence[str]) -> str:
    """Return the SHA-256 over names, contents and references, in order.

    Raises
    ------
    InputError
        for a reference that JSON cannot hold.
    """
    lines = []
    for sample, content in zip(samples, contents, strict=True):
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
    decoded = sum(decoded_size(decode(sample.read())) for sample in few)
    encoded = sum(sample.encoded_size() for sample in few)
    return round(decoded / max(1, encoded) * sum(sample.encoded_size() for sample in samples))


def decoded_size(value: Any) -> int:
    """Return the bytes that a picture, an array or a text takes; what is none of these counts as Python's own estimate."""
    if hasattr(value, "getbands"):
        return int(value.width * value.height * len(value.getbands()))
    return int(value.nbytes) if hasattr(value, "nbytes") else sys.getsizeof(value)


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
    strata: dict[str, list[Sample]] = {}
    for sample in samples:
        strata.setdefault(sample.stratum, []).append(sample)
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


AHEAD = 64
"""A process that dies was fewer rounds than this beyond the last stored one."""

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
        "restore timings/ from a copy or measure the trial again"
    )


def _cut(order: Samples, size: int) -> list[list[int]]:
    return [order[at : at + size].tolist() for at in range(0, order.size, size)]


def _apart(times: Times, order: Samples, size: int) -> int | None:
    """Return the first sample whose time is not that of the first of its batch; None if all are equal."""
    ran = times[order]
    differing = np.flatnonzero(ran != np.repeat(ran[::size], size)[: ran.size])
    return int(order[differing[0]]) if differing.size else None
