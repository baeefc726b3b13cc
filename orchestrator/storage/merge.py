"""Make one part of many, and put right what a kill has left.

The parts of both twins are merged in ``.timings.new/`` and ``.rounds.new/``. From the moment both are whole the merge is
decided: the folders of many parts are renamed to ``.timings.old/`` and ``.rounds.old/``, the new ones take their names, the old
ones are removed. At every step each twin lies whole under one of its names. ``recover`` finishes a merge that was decided and
undoes one that was not.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.contracts import InputError
from orchestrator.storage import encoding
from orchestrator.storage.atomic import remove_drafts, replacing, sync_folder
from orchestrator.storage.layout import TWINS, TrialFolder, answers, part_name, parts
from orchestrator.storage.load import opened
from orchestrator.storage.losses import refuse_unpaired
from orchestrator.storage.seal import seal_parquet
from orchestrator.storage.tables import conform
from orchestrator.storage.twins import FORMS, rounds

OPTIONS = {"timings": encoding.TIMINGS, "rounds": encoding.OTHER}


def merge(folder: TrialFolder) -> None:
    """Make one part of all parts of both twins."""
    _settle(folder)
    if len(parts(folder.twin("rounds"))) < 2:
        return
    for name in TWINS:
        _write_merged(folder, name)
    sync_folder(folder.path)
    _swap(folder)


def recover(trial_dir: Path, least: int = 0) -> None:
    """Finish or undo a merge; remove unfinished files, a newest part of timings without a twin and answers of rounds never stored.

    Only the driver that holds the campaign's lock may call it. Raises InputError, and leaves all parts as they are, for a damaged file and
    where anything but a driver's death has taken a part: where fewer rounds than ``least`` are there, for one.
    """
    folder = TrialFolder(trial_dir)
    _settle(folder)
    for place in (folder.path, *map(folder.twin, TWINS), folder.answers):
        if place.is_dir():
            remove_drafts(place)
    refuse_unpaired(folder)
    stored = set(rounds(folder, least).column("round").to_pylist())
    timed, told = (parts(folder.twin(name)) for name in TWINS)
    _remove(timed[number] for number in timed.keys() - told.keys())
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
    target = folder.merged(name)
    target.mkdir()
    rows = 0
    with replacing(target / part_name(0)) as file:
        with pq.ParquetWriter(file, FORMS[name], **OPTIONS[name]) as writer:
            for table in _row_groups(list(parts(folder.twin(name)).values()), FORMS[name]):
                writer.write_table(table, row_group_size=encoding.ROW_GROUP)
                rows += table.num_rows
        seal_parquet(file, target / part_name(0))
    with opened(target / part_name(0)) as merged:
        assert merged.metadata.num_rows == rows


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
