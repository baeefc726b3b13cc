"""Parts of a table are read as one, and become one file. A part's name never comes to mean other rounds."""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.contracts import InputError
from orchestrator.storage import schema
from orchestrator.storage.files import Held, remove, remove_drafts, replacing, seal_parquet
from orchestrator.storage.layout import TWINS, Parts, TrialFolder, answers, merged_away, part_name, parts
from orchestrator.storage.load import MEASURE_AGAIN, opened, read_table
from orchestrator.storage.stored_form import PARQUET, PARQUET_OF_TIMINGS, ROW_GROUP, conform

FORMS = {"timings": schema.TIMINGS, "rounds": schema.ROUNDS}
OPTIONS = {"timings": PARQUET_OF_TIMINGS, "rounds": PARQUET}
NUMBERS = pa.schema([schema.TIMINGS.field(name) for name in ("round", "sample")])


def both(folder: TrialFolder, least: int = 0, form: pa.Schema = schema.TIMINGS) -> tuple[pa.Table, pa.Table]:
    """Return the timings of all stored rounds, sorted by round and sample, in the columns of ``form``, and the rows of these rounds.

    Raises InputError for what is damaged, double or lost, such as fewer rounds than ``least``.
    """
    while True:
        rows = parts(folder.within("rounds"))  # first: a round's timings are written before its row
        timed = parts(folder.within("timings"))
        try:
            return _whole(folder, timed, rows, least, form)
        except (FileNotFoundError, InputError):  # unless a running driver has merged the parts meanwhile
            if (timed, rows) == (parts(folder.within("timings")), parts(folder.within("rounds"))):
                raise


def rounds(folder: TrialFolder, least: int = 0) -> pa.Table:
    """Return the rows of all stored rounds, sorted by round. Raises InputError as `both`."""
    return both(folder, least, NUMBERS)[1]


def _whole(folder: TrialFolder, timed: Parts, rows: Parts, least: int, form: pa.Schema) -> tuple[pa.Table, pa.Table]:
    if len(_alone(timed, rows)) > 1:
        raise InputError(
            f"{folder.within('rounds')} lacks parts that {folder.within('timings').name}/ has: {MEASURE_AGAIN}",
            "damaged",
            value=folder.within("rounds"),
        )
    found = _sorted(_read(rows, schema.ROUNDS), ["round"], folder)
    timings = _read(timed, form)
    stored: npt.NDArray[np.int32] = found.column("round").to_numpy()
    if len(gaps := np.flatnonzero(stored != np.arange(len(stored)))):
        raise InputError(
            f"{folder.within('rounds')} lacks round {gaps[0]} and has later ones: {MEASURE_AGAIN}", "damaged", value=folder.within("rounds")
        )
    if len(stored) < least:
        raise InputError(
            f"{folder.within('rounds')} has {len(stored)} rounds and {folder.record.name} counts {least}: {MEASURE_AGAIN}",
            "damaged",
            value=folder.within("rounds"),
        )
    if len(untimed := np.setdiff1d(stored, pc.unique(timings.column("round")).to_numpy())):
        raise InputError(
            f"{folder.within('timings')} lacks round {untimed[0]}, which {folder.within('rounds').name}/ has: {MEASURE_AGAIN}",
            "damaged",
            value=folder.within("timings"),
        )
    kept = pc.is_in(timings.column("round"), value_set=found.column("round"))
    if not pc.all(kept, min_count=0).as_py():
        timings = timings.filter(kept)
    return _sorted(timings, ["round", "sample"], folder), found


def _alone(timed: Parts, rows: Parts) -> list[Path]:
    """Return the parts of timings whose rows were never written: a driver that dies leaves one."""
    return [path for number, path in timed.items() if number > max(rows, default=-1)]


def _read(found: Parts, form: pa.Schema) -> pa.Table:
    return pa.concat_tables([read_table(path, form) for path in found.values()] or [form.empty_table()])


def _sorted(table: pa.Table, keys: list[str], folder: TrialFolder) -> pa.Table:
    """Sort by keys and refuse a duplicate, without work if the order is right already."""
    key = np.zeros(table.num_rows, dtype=np.int64)
    for name in keys:
        key = (key << 32) + table.column(name).to_numpy()
    if bool((np.diff(key) > 0).all()):
        return table
    order = np.argsort(key, kind="stable")
    twice = np.flatnonzero(np.diff(key[order]) == 0)
    if len(twice):
        row = table.slice(int(order[twice[0]]), 1)
        rows = ", ".join(f"{name} {row.column(name)[0].as_py()}" for name in keys)
        raise InputError(
            f"{folder.path} holds {rows} twice: remove the part that was copied into timings/ and rounds/", "damaged", value=folder.path
        )
    return table.take(pa.array(order))


def merge(folder: TrialFolder) -> None:
    """Merge all parts of each table into one. It is there before those that it is made of go, so that a kill loses nothing."""
    if (held := Held.of(folder.path)) is not None:
        held.refuse_gone()  # else parts of another folder would be merged into this one
    for name in TWINS:
        found = parts(folder.within(name))
        if len(found) > 1:
            path = folder.within(name) / part_name(max(found), first=0)
            present = set[str]()
            for source in found.values():
                with opened(source) as part:
                    present.update(part.schema_arrow.names)
            # Without columns of other kinds of trials, which no part has.
            form = pa.schema([field for field in FORMS[name] if field.name in present or field.name not in schema.OF_SOME_TRIALS])
            with replacing(path) as file:
                with pq.ParquetWriter(file, form, **OPTIONS[name]) as writer:
                    for table in _row_groups(found, form):
                        writer.write_table(table, row_group_size=ROW_GROUP)
                seal_parquet(file, path)
        remove(merged_away(folder.within(name)))


def recover(folder: TrialFolder, least: int = 0, waiting: Collection[int] = ()) -> None:
    """Remove what a killed driver has left: drafts, merged parts, timings and answers of rounds never stored.

    ``waiting`` are rounds that are in no part yet.

    Only the driver that holds the campaign's lock may call it. Raises InputError, and leaves all parts as they are, for a damaged file and
    if rounds are lost: for example, if fewer than ``least`` exist.
    """
    for place in (folder.path, *map(folder.within, TWINS), folder.answers):
        if place.is_dir():
            remove_drafts(place)
    stored = {*waiting, *rounds(folder, least).column("round").to_pylist()}
    remove(_alone(parts(folder.within("timings")), parts(folder.within("rounds"))))
    remove(path for number, path in answers(folder.answers).items() if number not in stored)
    for name in TWINS:
        remove(merged_away(folder.within(name)))


def _row_groups(sources: Parts, form: pa.Schema) -> Iterator[pa.Table]:
    """Yield all rows of the sources in order, in tables of about a row group."""
    waiting = form.empty_table()
    for source in sources.values():
        with opened(source) as file:
            for group in range(file.num_row_groups):
                waiting = pa.concat_tables([waiting, conform(file.read_row_group(group), form)])
                while waiting.num_rows >= ROW_GROUP:
                    yield waiting.slice(0, ROW_GROUP)
                    waiting = waiting.slice(ROW_GROUP)
    if waiting.num_rows:
        yield waiting
