"""Read the twin folders ``timings/`` and ``rounds/``: a round exists if and only if both hold it. Nothing here writes.

``least`` is how many rounds are known to have been stored: fewer are an error, as is whatever else shows that a part was lost.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.contracts import InputError
from orchestrator.storage import schema
from orchestrator.storage.layout import TrialFolder, parts
from orchestrator.storage.load import opened, read_table
from orchestrator.storage.losses import refuse_gap, refuse_lost_rounds, refuse_many_alone

T = TypeVar("T")

FORMS = {"timings": schema.TIMINGS, "rounds": schema.ROUNDS}
ATTEMPTS = 40


def timings(folder: TrialFolder, least: int = 0) -> pa.Table:
    """Return the timings of all stored rounds, sorted by round and sample. Raises InputError for what is damaged, double or lost."""
    return both(folder, least)[0]


def rounds(folder: TrialFolder, least: int = 0) -> pa.Table:
    """Return the rows of all stored rounds, sorted by round. Raises InputError for what is damaged, double or lost."""

    def read() -> pa.Table:
        told = _read(folder, "rounds")  # first: a round's timings are written before its row
        _check(folder, _timed_rounds(folder), told, least)
        return _sorted(told, ["round"], folder)

    return _steady(folder, read)


def both(folder: TrialFolder, least: int = 0) -> tuple[pa.Table, pa.Table]:
    """Return ``timings`` and ``rounds`` of the same stored rounds."""

    def read() -> tuple[pa.Table, pa.Table]:
        told = _read(folder, "rounds")
        timed = _read(folder, "timings")
        _check(folder, set(timed.column("round").unique().to_pylist()), told, least)
        return _sorted(_only(timed, told.column("round")), ["round", "sample"], folder), _sorted(told, ["round"], folder)

    return _steady(folder, read)


def _check(folder: TrialFolder, timed: set[int], told: pa.Table, least: int) -> None:
    """Raise InputError where something was lost, whatever a running driver has added meanwhile."""
    refuse_lost_rounds(folder, timed, told.column("round").to_pylist(), least)
    before, first = _listed(folder, "timings")
    after, _ = _listed(folder, "rounds")
    if _listed(folder, "timings")[1] != first:
        raise _replaced(folder, "timings")
    refuse_many_alone(folder, before, after)


def _only(table: pa.Table, numbers: pa.ChunkedArray) -> pa.Table:
    """Return the rows of the rounds with these numbers."""
    kept = pc.is_in(table.column("round"), value_set=numbers)
    return table if pc.all(kept, min_count=0).as_py() else table.filter(kept)


def _read(folder: TrialFolder, name: str) -> pa.Table:
    form = FORMS[name]
    return pa.concat_tables([form.empty_table(), *_each_part(folder, name, lambda path: read_table(path, form))])


def _timed_rounds(folder: TrialFolder) -> set[int]:
    """Return the numbers of the rounds in ``timings/``, read one row group at a time."""

    def rounds_in(path: Path) -> set[int]:
        with opened(path) as file:
            groups = (file.read_row_group(group, columns=["round"]) for group in range(file.num_row_groups))
            return {number for group in groups for number in group.column("round").unique().to_pylist()}

    return set().union(*_each_part(folder, "timings", rounds_in))


def _each_part(folder: TrialFolder, name: str, read: Callable[[Path], T]) -> list[T]:
    """Read every part of a twin, all from before or all from after a merge.

    A merge replaces the folder and its first part and counts on from it, so that a later part's name may come to mean other rounds,
    and a folder that was found may be gone when it is listed: where either changed meanwhile, what was read is dropped as if it
    had vanished.
    """
    found, first = _listed(folder, name)
    results = [read(path) for path in found.values()]
    again, first_again = _listed(folder, name)
    if first_again != first or list(again.items())[: len(found)] != list(found.items()):
        raise _replaced(folder, name)
    refuse_gap(folder.twin(name), found)
    return results


def _replaced(folder: TrialFolder, name: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "replaced by a merge", str(folder.twin(name)))


def _listed(folder: TrialFolder, name: str) -> tuple[dict[int, Path], tuple[int, int, int] | None]:
    """Return the parts, and what tells the first one from another of its name. A driver may only add parts behind these."""
    found = parts(_current(folder, name))
    return found, _identity(next(iter(found.values()))) if found else None


def _identity(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _current(folder: TrialFolder, name: str) -> Path:
    """Return the folder that holds all parts at this moment: a merge renames the old one before the new one takes its name."""
    for candidate in (folder.twin(name), folder.replaced(name), folder.twin(name)):
        if candidate.is_dir():
            return candidate
    return folder.twin(name)


def _steady(folder: TrialFolder, read: Callable[[], T]) -> T:
    """Read again where a running driver merged the parts between listing and opening them."""
    for _ in range(ATTEMPTS):
        try:
            return read()
        except FileNotFoundError as error:
            vanished = error.filename or error
    raise InputError(f"{folder.path} changes while it is read ({vanished} vanished): read it again when its campaign has ended")


def _sorted(table: pa.Table, keys: list[str], folder: TrialFolder) -> pa.Table:
    """Sort by keys and refuse a duplicate, without work where the order is right already."""
    key = np.zeros(table.num_rows, dtype=np.int64)
    for name in keys:
        key = (key << 32) + table.column(name).to_numpy()
    if bool((np.diff(key) > 0).all()):
        return table
    order = np.argsort(key, kind="stable")
    ranked = key[order]
    twice = np.flatnonzero(ranked[1:] == ranked[:-1])
    if len(twice):
        row = table.slice(int(order[twice[0]]), 1)
        told = ", ".join(f"{name} {row.column(name)[0].as_py()}" for name in keys)
        raise InputError(f"{folder.path} holds {told} twice: remove the part that was copied into timings/ and rounds/")
    return table.take(pa.array(order))
