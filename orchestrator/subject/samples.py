"""The samples of a task: read, bounded, and drawn by stratum."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
    """Return the smallest and the largest integer among the references, None where there is none."""
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
    """Return the bytes that a picture, an array or a text takes; what cannot be told counts as Python's own estimate."""
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
