"""What can be wrong with a task's samples, and the digest that tells one data set from another."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.contracts import InputError, Sample
from orchestrator.measurement.digests import digest_files

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
