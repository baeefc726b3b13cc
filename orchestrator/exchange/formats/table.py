"""Tables in long form: CSV (also .gz), Parquet and JSON lines. See docs/importing.md."""

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from orchestrator.contracts import InputError, first_line, nearest
from orchestrator.exchange.formats import UNFIT, Recording, bounded_lines, dropped, is_text, known_column, parsed, read_lines, shown

BLOCK_BYTES, BLOCK_ROWS = 2**24, 2**16
# Bytes that the columns which are read may take in memory.
LARGEST_TABLE = 4 * 2**30
# The columns of a file, by their names in it, and where a row is, by its number from 0.
Read: TypeAlias = tuple[pa.Table, Callable[[int], str]]


@dataclass(frozen=True)
class _Columns:
    """Which columns of a file are read: those of the long form, by their names or, in ``ours``, by --map."""

    path: Path
    ours: Mapping[str, str]
    remarks: list[str] = field(default_factory=list)

    def of_file(self, name: str) -> str | None:
        """Return what a column of the file is called in the long form; None where it is not read."""
        return self.ours.get(name) or (name if known_column(name) and name not in self.ours.values() else None)

    def taken(self, names: Iterable[str]) -> list[str]:
        """Return those that are read, and note the others. Raises InputError where --map names one that is not there."""
        every = list(names)
        if missing := sorted({*self.ours} - {*every}):
            advice = nearest(missing[0], [shown([name]) for name in every])
            raise InputError(f"{self.path} has no column {missing[0]!r}, which --map names; {advice}", "unknown", "--map", missing[0])
        taken = [name for name in every if self.of_file(name)]
        if twice := next((name for name, count in Counter(taken).items() if count > 1), None):
            raise InputError(f"{self.path} has two columns {twice!r}: give each a name of its own", "conflict", value=twice)
        if not taken:
            raise InputError(
                f"{self.path} has no column of the long form ({shown(every, 5)}): name them by --map inference_ms=COLUMN", "missing"
            )
        if others := [name for name in every if not self.of_file(name)]:
            why = "the long form has none of these names; --map OURS=THEIRS takes one for another"
            self.remarks.append(dropped(f"the columns {shown(others, 8)}", why))
        return taken


def read(path: Path, columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield the one recording of a file. ``columns``: names in the file by names of the long form."""
    if unknown := next((ours for ours in columns if not known_column(ours)), None):
        raise InputError(
            f"--map {unknown}={columns[unknown]}: {unknown} is no column of the long form (such as inference_ms); see docs/importing.md",
            "unknown",
            "--map",
            unknown,
        )
    known = _Columns(path, {theirs: ours for ours, theirs in columns.items()})
    reader = next((reader for reader, endings in READERS.items() if path.name.lower().endswith(endings)), None)
    if reader is None:
        raise InputError(
            f"{path} must end with .csv, .csv.gz, .parquet or .jsonl, so that its form is known: rename it", "unsupported", value=path
        )
    table, where = reader(known)
    table = table.rename_columns([known.of_file(theirs) or theirs for theirs in table.column_names])
    load = {"name": "trace", "file": str(path)}
    yield Recording(path.name.split(".")[0] or "table", table, where, path, remarks=known.remarks, load=load)


def _line(rows: Iterator[tuple[int, Any]], place: int) -> int:
    """Return the number of the line at which a row begins; only asked for where something is wrong."""
    return next(islice(rows, place, None), (place + 1, None))[0]


def _whole(path: Path, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return batches as one table. Raises InputError where it would take too much memory, which a small file may do."""
    size, tables = 0, []
    for batch in batches:
        for column in batch.columns:
            if pa.types.is_dictionary(column.type):
                size += pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0
            size += column.nbytes
        if size > LARGEST_TABLE:
            raise InputError(
                f"{path} has more than {LARGEST_TABLE / 2**30:.0f} GiB in the columns that are read: import it in parts", "too_large"
            )
        tables.append(pa.Table.from_batches([batch]))
    return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})


def _csv(known: _Columns) -> Read:
    """Return columns of text, null where a cell is empty; samples are numbers where all of them are whole ones."""
    path = known.path
    header = next(_csv_rows(path), (1, []))[1]
    if not header:
        raise InputError(f"{path} is empty: its first line must name its columns", "no_data")
    names = known.taken(header)
    options = pc_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), include_columns=names, null_values=[""], strings_can_be_null=True
    )
    try:
        with pc_csv.open_csv(path, pc_csv.ReadOptions(block_size=BLOCK_BYTES), convert_options=options) as reader:
            table = _whole(path, reader)
    except (pa.ArrowException, OSError, EOFError) as error:
        for number, row in islice(_csv_rows(path), 1, None):
            if len(row) != len(header):
                raise InputError(
                    f"{path} line {number} has {len(row)} cells, and the first line names {len(header)}: mend it", "damaged"
                ) from error
        raise InputError(f"{path} cannot be read as CSV ({first_line(error)}): export it again", "damaged") from error
    with _opened(path, "rb") as file:
        if any(b'"' in block for block in iter(lambda: file.read(2**20), b"")):
            for _ in _csv_rows(path):  # behind a quote that is not closed, pyarrow takes all further lines for one cell
                pass
    if samples := next((name for name in table.column_names if known.of_file(name) == "sample"), None):
        with suppress(pa.ArrowInvalid):
            numbers = pc.utf8_trim_whitespace(table.column(samples)).cast(pa.int64())
            table = table.set_column(table.column_names.index(samples), samples, numbers)
    return table, lambda row: f"{path} line {_line(_csv_rows(path), row + 1)}"


def _opened(path: Path, mode: str, **options: Any) -> IO[Any]:
    opened: Any = gzip.open if path.name.lower().endswith(".gz") else open
    return cast(IO[Any], opened(path, mode, **options))


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield number of the line and cells of each row that is not empty. Raises InputError."""
    number = 0
    try:
        with _opened(path, "rt", encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(bounded_lines(text, path), strict=True)
            for row in reader:
                number = reader.line_num
                if row:
                    yield number, row
    except (csv.Error, zlib.error, OSError, EOFError, UnicodeError) as error:
        raise InputError(f"{path} line {number + 1} cannot be read as CSV ({first_line(error)}): export it again", "damaged") from error


def _parquet(known: _Columns) -> Read:
    path = known.path
    try:
        with pq.ParquetFile(path) as file:
            names, metadata = known.taken(file.schema_arrow.names), file.metadata
            texts = [name for name in names if is_text(file.schema_arrow.field(name).type)]
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
        values = sum(chunk.num_values for chunk in chunks if chunk.path_in_schema.split(".")[0] in names)
        if values * 8 > LARGEST_TABLE:
            raise InputError(
                f"{path} holds {values:,} values in the columns that are read, too many for memory: import it in parts", "too_large"
            )
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            return _whole(path, file.iter_batches(BLOCK_ROWS, columns=names)), f"{path} row {{}}".format
    except InputError:
        raise
    except (*UNFIT, OSError, ArithmeticError, LookupError, MemoryError) as error:
        raise InputError(f"{path} is no whole Parquet file ({first_line(error)}): export it again", "damaged") from error


def _jsonl(known: _Columns) -> Read:
    """Return the keys of one object a line. One that a line lacks is null there."""
    path, names, lines = known.path, dict[str, None](), read_lines(known.path)

    def batches() -> Iterator[pa.RecordBatch]:
        while rows := [_object(line, f"{path} line {number}") for number, line in islice(lines, BLOCK_ROWS)]:
            names.update(dict.fromkeys(name for row in rows for name in row))
            yield pa.RecordBatch.from_pydict({name: values(name, rows) for name in names if known.of_file(name)})

    def values(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Array:
        try:
            return pa.array([row.get(name) for row in rows])
        except UNFIT as error:
            raise InputError(
                f"{path}: values of {name[:40]!r} differ in kind ({first_line(error)}): write all values of a key in one way",
                "conflict",
                name,
            ) from error

    try:
        table = _whole(path, batches())
    except pa.ArrowException as error:
        raise InputError(
            f"{path}: values of one key differ in kind ({first_line(error)}): write all values of a key in one way", "conflict"
        ) from error
    known.taken(names)
    return table, lambda row: f"{path} line {_line(read_lines(path), row)}"


def _object(line: bytes, place: str) -> dict[str, Any]:
    value = parsed(line, place)
    if not isinstance(value, dict):
        raise InputError(f'{place} is no object, such as {{"sample": 0, "inference_ms": 1.5}}: mend or remove it', "damaged")
    return value


# By how names of files end.
READERS = {_csv: (".csv", ".csv.gz"), _parquet: (".parquet", ".pq"), _jsonl: (".jsonl", ".ndjson")}
