"""Parts of a table become one file; two tables that belong together are read and merged together."""

import errno
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.contracts import InputError
from orchestrator.storage import encoding, schema
from orchestrator.storage.files import remove_drafts, replacing, seal_parquet, sync_folder
from orchestrator.storage.layout import TWINS, TrialFolder, answers, part_name, parts
from orchestrator.storage.load import opened, read_table
from orchestrator.storage.losses import refuse_gap, refuse_lost_rounds, refuse_many_alone, refuse_unpaired
from orchestrator.storage.stored_form import conform

T = TypeVar("T")

FORMS = {"timings": schema.TIMINGS, "rounds": schema.ROUNDS}
ATTEMPTS = 40


def timings(folder: TrialFolder, least: int = 0) -> pa.Table:
    """Return the timings of all stored rounds, sorted by round and sample. Raises InputError for what is damaged, double or lost."""
    return both(folder, least)[0]


def rounds(folder: TrialFolder, least: int = 0) -> pa.Table:
    """Return the rows of all stored rounds, sorted by round. Raises InputError for what is damaged, double or lost."""

    def read() -> pa.Table:
        rows = _read(folder, "rounds")  # first: a round's timings are written before its row
        _check(folder, _timed_rounds(folder), rows, least)
        return _sorted(rows, ["round"], folder)

    return _steady(folder, read)


def both(folder: TrialFolder, least: int = 0) -> tuple[pa.Table, pa.Table]:
    """Return ``timings`` and ``rounds`` of the same stored rounds."""

    def read() -> tuple[pa.Table, pa.Table]:
        rows = _read(folder, "rounds")
        timed = _read(folder, "timings")
        _check(folder, timed.column("round").unique().to_numpy(), rows, least)
        return _sorted(_only(timed, rows.column("round")), ["round", "sample"], folder), _sorted(rows, ["round"], folder)

    return _steady(folder, read)


def _check(folder: TrialFolder, timed: npt.NDArray[np.int32], rows: pa.Table, least: int) -> None:
    """Raise InputError if something was lost, whatever a running driver has added meanwhile."""
    refuse_lost_rounds(folder, timed, rows.column("round").to_numpy(), least)
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
    return pa.concat_tables(_each_part(folder, name, lambda path: read_table(path, form)) or [form.empty_table()])


def _timed_rounds(folder: TrialFolder) -> npt.NDArray[np.int32]:
    """Return the numbers of the rounds in ``timings/``, read one row group at a time."""

    def rounds_in(path: Path) -> list[npt.NDArray[np.int32]]:
        with opened(path) as file:
            groups = (file.read_row_group(group, columns=["round"]) for group in range(file.num_row_groups))
            return [group.column("round").unique().to_numpy() for group in groups]

    return np.concatenate([np.empty(0, dtype=np.int32), *(found for part in _each_part(folder, "timings", rounds_in) for found in part)])


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
    """Sort by keys and refuse a duplicate, without work if the order is right already."""
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
        rows = ", ".join(f"{name} {row.column(name)[0].as_py()}" for name in keys)
        raise InputError(f"{folder.path} holds {rows} twice: remove the part that was copied into timings/ and rounds/")
    return table.take(pa.array(order))


OPTIONS = {"timings": encoding.TIMINGS, "rounds": encoding.OTHER}


def merge(folder: TrialFolder) -> None:
    """Merge all parts of each twin into one."""
    _settle(folder)
    if len(parts(folder.twin("rounds"))) < 2:
        return
    for name in TWINS:
        _write_merged(folder, name)
    sync_folder(folder.path)
    _swap(folder)


def recover(trial_dir: Path, least: int = 0, waiting: Collection[int] = ()) -> None:
    """Finish or undo a merge; remove unfinished files, a newest part of timings without a twin and answers of rounds never stored.

    ``waiting`` are rounds that are in no part yet.

    Only the driver that holds the campaign's lock may call it. Raises InputError, and leaves all parts as they are, for a damaged file and
    if anything but a driver's death has removed a part: for example, if fewer rounds than ``least`` exist.
    """
    folder = TrialFolder(trial_dir)
    _settle(folder)
    for place in (folder.path, *map(folder.twin, TWINS), folder.answers):
        if place.is_dir():
            remove_drafts(place)
    refuse_unpaired(folder)
    stored = {*waiting, *rounds(folder, least).column("round").to_pylist()}
    timed, rows = (parts(folder.twin(name)) for name in TWINS)
    _remove(timed[number] for number in timed.keys() - rows.keys())
    _remove(path for number, path in answers(folder.answers).items() if number not in stored)


def _settle(folder: TrialFolder) -> None:
    """Finish a merge that was decided, undo one that was not."""
    if any(folder.replaced(name).is_dir() for name in TWINS) or all(_is_whole(folder, name) for name in TWINS):
        _swap(folder)
    for name in reversed(TWINS):
        if folder.merged(name).is_dir():
            shutil.rmtree(folder.merged(name))


def _is_whole(folder: TrialFolder, name: str) -> bool:
    return (folder.merged(name) / part_name(0)).is_file()


def _write_merged(folder: TrialFolder, name: str) -> None:
    target, sources = folder.merged(name), list(parts(folder.twin(name)).values())
    target.mkdir()
    rows, form = 0, _filled(sources, FORMS[name])
    with replacing(target / part_name(0)) as file:
        with pq.ParquetWriter(file, form, **OPTIONS[name]) as writer:
            for table in _row_groups(sources, form):
                writer.write_table(table, row_group_size=encoding.ROW_GROUP)
                rows += table.num_rows
        seal_parquet(file, target / part_name(0))
    with opened(target / part_name(0)) as merged:
        assert merged.metadata.num_rows == rows


def _filled(sources: Iterable[Path], form: pa.Schema) -> pa.Schema:
    """Return the columns of a merged file: without those of other kinds of trials that no part has."""
    present = set[str]()
    for source in sources:
        with opened(source) as file:
            present.update(file.schema_arrow.names)
    return pa.schema([field for field in form if field.name in present or field.name not in schema.OF_SOME_TRIALS])


def _row_groups(sources: list[Path], form: pa.Schema) -> Iterator[pa.Table]:
    """Yield all rows of the sources in order, in tables as large as a row group."""
    waiting = form.empty_table()
    for source in sources:
        with opened(source) as file:
            for group in range(file.num_row_groups):
                waiting = pa.concat_tables([waiting, conform(file.read_row_group(group), form)])
                while waiting.num_rows >= encoding.ROW_GROUP:
                    yield waiting.slice(0, encoding.ROW_GROUP)
                    waiting = waiting.slice(encoding.ROW_GROUP)
    if waiting.num_rows:
        yield waiting


def _swap(folder: TrialFolder) -> None:
    """Put the merged folders in place of the others, from whichever step an earlier attempt reached."""
    for name in TWINS:
        if folder.merged(name).is_dir():
            if folder.twin(name).is_dir():
                folder.twin(name).rename(folder.replaced(name))
                sync_folder(folder.path)
            folder.merged(name).rename(folder.twin(name))
            sync_folder(folder.path)
    for name in TWINS:
        if folder.replaced(name).is_dir():
            if not parts(folder.twin(name)):
                raise InputError(f"{folder.twin(name)} is missing or empty: rename {folder.replaced(name)}, which it was made of, to it")
            shutil.rmtree(folder.replaced(name))
    sync_folder(folder.path)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink()
        sync_folder(path.parent)
