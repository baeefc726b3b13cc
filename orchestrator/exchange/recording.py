"""What a format reads from a file: recordings, each of which becomes one trial, in the long form of docs/importing.md."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import pyarrow as pa

from orchestrator.configuration.fields import FEWEST_ARRIVALS_PER_S, MOST_ARRIVALS_PER_S
from orchestrator.contracts import InputError
from orchestrator.exchange import formats

OF_ANSWERS = ("first_token", "last_token")
"""Times from the start of inference, which a streamed answer has."""
TIMES = ("start", "arrival", "preprocess", "inference", "postprocess", "total", *OF_ANSWERS)
"""Columns of time, as they are called without their unit. ``arrival`` is the scheduled time."""
GAPS = "token_gaps"
"""Without its unit, the column of lists of times, from each piece of an answer to the next."""
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
PLAIN = ("round", "sample", "outcome", "reference", "prediction", "input_size", "tokens")
BEGINNINGS = ("score_", "slice_")


LAW_LOST = "The file names no rate that a load here can have: its schedule counts as a trace, of whose law nothing is known."


class BadRecord(InputError):
    """Something in a file is wrong: the line names file, place, value, rule and remedy."""


@dataclass(frozen=True)
class Recording:
    """What one trial is made of.

    name
        what tells it from others of the same files, such as ``benchmarks`` or ``benchmarks-1``: the system is called so.
    batches
        its rows in columns of the long form, in the order of the file.
    where
        says where a row is, by its number from 0: ``FILE line 7``.
    model
        what the file calls the model, or None.
    remarks
        sentences that a reader must know; complete once ``batches`` have been read.
    facts
        plain values for ``trial.json``.
    path
        its file or folder, or None.
    load
        keys of ``LoadConfig`` that say by which law ``arrival`` was fixed before the requests began; None where there is no schedule.
    files
        what it was read from, where that is more than the file that the user has named.
    """

    name: str
    batches: Iterator[pa.RecordBatch]
    where: Callable[[int], str]
    model: str | None = None
    remarks: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    load: Mapping[str, Any] | None = None
    files: Sequence[Path] = ()

    @property
    def place(self) -> str:
        """Its file, and its name where the file holds several."""
        if self.path is None:
            return self.name
        return str(self.path) if self.name in (self.path.stem, self.path.name.split(".")[0]) else f"{self.path}: {self.name}"


def shown(names: Sequence[str], most: int) -> str:
    """Return names of a file, as they may be printed and stored, of which a damaged one may hold anything."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(re.sub(r"[^\w .+/-]", "?", name[:40]) for name in names[:most]) + more


def dropped(what: str, why: str) -> str:
    """Return the sentence that a reader must know of a figure that a file holds and no trial does."""
    return f"Not imported: {what}, since {why}."


def schedule(law: str, rate_per_s: float | None, path: Path) -> dict[str, Any]:
    """Return keys of ``LoadConfig`` for a law of arrivals; where its rate is none that a load has, the arrivals are those of the file.

    Raises BadRecord of what is no rate.
    """
    if rate_per_s is not None and not rate_per_s > 0:
        raise BadRecord(f"{path}: its schedule has {rate_per_s:g} requests a second, and a rate is positive; export the file again")
    if law != "trace" and rate_per_s is not None and FEWEST_ARRIVALS_PER_S <= rate_per_s <= MOST_ARRIVALS_PER_S:
        return {"name": law, "rate_per_s": rate_per_s}
    return {"name": "trace", "file": str(path)}


def law_lost(load: Mapping[str, Any] | None) -> list[str]:
    """Return the sentence that a reader must know of a schedule whose law a file names without a rate that a load has."""
    return [LAW_LOST] if load is not None and load["name"] == "trace" else []


class Format(Protocol):
    """A module of ``formats/``."""

    def read(self, paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
        """Yield the recordings of files. ``columns``: names in the file by names of the long form. Raises InputError."""


def find_format(name: str) -> Format:
    """Return a format by its name."""
    return cast(Format, import_module(f"{formats.__name__}.{name}"))


def known_column(name: str) -> bool:
    """Return whether the long form has a column of this name."""
    stem, _, unit = name.rpartition("_")
    return name in PLAIN or name.startswith(BEGINNINGS) or (stem in (*TIMES, GAPS) and unit in UNITS)


def refuse_columns(columns: Mapping[str, str], name: str) -> None:
    """Raise InputError where the user maps columns of a format whose columns are its own."""
    if columns:
        ours, theirs = next(iter(columns.items()))
        raise InputError(f"--map {ours}={theirs}: --format {name} knows its own columns; leave it out, or use --format table")
