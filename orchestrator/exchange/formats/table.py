"""Tables in long form: CSV (also .gz), Parquet and JSON lines, read in blocks. See docs/importing.md."""

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import IO, Any, AnyStr, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from orchestrator.contracts import InputError
from orchestrator.exchange.documents import parsed
from orchestrator.exchange.recording import TIMES, UNITS, BadRecord, Recording, dropped, known_column, schedule, shown

BLOCK_BYTES = 2**24
BLOCK_ROWS = 2**18
LONGEST_LINE = 2**26
"""Characters, bytes of JSON lines."""
NO_NUMBER = ("", "NULL", "null", "NaN", "nan")
"""Cells of CSV that hold no number. Of text only an empty cell holds nothing: the others may be names."""
SHOWN = 8
UNFIT = (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError)
NUMBERS = pa.float64()
WHOLE = pa.int64()
TEXT = pa.string()


def read(paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield one recording per file. ``columns``: names in the file by names of the long form."""
    for ours in columns:
        if not known_column(ours):
            raise InputError(
                f"--map {ours}={columns[ours]}: {ours} is no column of the long form (such as inference_ms); see docs/importing.md"
            )
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path} is no file: name tables that end with .csv, .csv.gz, .parquet or .jsonl")
        reader, where = _reader(path)
        remarks: list[str] = []
        batches = _renamed(path, reader(path, columns, remarks), columns)
        yield Recording(_stem(path), batches, where, remarks=remarks, path=path, load=schedule("trace", None, path))


def _stem(path: Path) -> str:
    return path.name.split(".")[0] or "table"


def _reader(path: Path) -> tuple[Callable[[Path, Mapping[str, str], list[str]], Iterator[pa.RecordBatch]], Callable[[int], str]]:
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        return _csv, lambda row: f"{path} line {_line_of(path, row)}"
    if name.endswith((".parquet", ".pq")):
        return _parquet, lambda row: f"{path} row {row}"
    if name.endswith((".jsonl", ".ndjson")):
        return _jsonl, lambda row: f"{path} line {_line_of(path, row)}"
    raise InputError(f"{path} must end with .csv, .csv.gz, .parquet or .jsonl, so that its form is known: rename it")


def _renamed(path: Path, batches: Iterator[pa.RecordBatch], columns: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """Yield the same batches, of columns that `_taken` names, in the names of the long form."""
    ours = {theirs: name for name, theirs in columns.items()}
    for batch in batches:
        names = [ours.get(name, name) for name in batch.schema.names]
        known = dict(zip(names, batch.columns, strict=True))
        if len(known) < len(names):
            raise BadRecord(f"{path} has two columns of one name, or --map gives two one name: give each its own")
        _refuse_two_times(path, known)
        yield pa.RecordBatch.from_pydict(known)


def _taken(path: Path, names: Iterable[str], columns: Mapping[str, str], remarks: list[str]) -> list[str]:
    """Return which columns of a file are read, and note the others, once. Raises BadRecord where --map names one that is not there."""
    theirs, every = set(columns.values()), list(dict.fromkeys(names))
    if missing := sorted(theirs - set(every)):
        nearest = get_close_matches(missing[0], every, n=1) or every[:1]
        raise BadRecord(
            f"{path} has no column {missing[0]!r}, which --map names: did you mean {shown(nearest, 1) if nearest else 'another file'}?"
        )
    taken = [name for name in every if name in theirs or (name not in columns and known_column(name))]
    if not taken:
        raise BadRecord(f"{path} has no column of the long form ({shown(every, 5)}): name them by --map inference_ms=COLUMN")
    if len(taken) < len(every) and not remarks:
        others = shown([name for name in every if name not in taken], SHOWN)
        remarks.append(dropped(f"the columns {others}", "the long form has none of these names; --map OURS=THEIRS takes one for another"))
    return taken


def _refuse_two_times(path: Path, known: Iterable[str]) -> None:
    """Raise BadRecord for two columns that hold one time in two units: which one counts, nobody said."""
    seen: dict[str, str] = {}
    for name in known:
        stem, _, unit = name.rpartition("_")
        if stem in TIMES and unit in UNITS and (other := seen.setdefault(stem, name)) != name:
            raise BadRecord(f"{path} has two columns for one time, {other} and {name}: remove one of them")


def _type_of(name: str) -> pa.DataType:
    """Return the type as which a column of CSV is read. Samples are text, which may be made numbers of."""
    stem, _, unit = name.rpartition("_")
    if stem in TIMES and unit in UNITS:
        return WHOLE if unit == "ns" else NUMBERS
    if name in ("round", "input_size", "tokens"):
        return WHOLE
    return NUMBERS if name.startswith("score_") else TEXT


def _csv(path: Path, columns: Mapping[str, str], remarks: list[str]) -> Iterator[pa.RecordBatch]:
    header = _header(path)
    ours = {theirs: name for name, theirs in columns.items()}
    known = {name: ours.get(name, name) for name in _taken(path, header, columns, remarks)}
    if twice := next((name for name in known if header.count(name) > 1), None):
        raise BadRecord(f"{path} has two columns {twice!r}: give each a name of its own")
    types = {name: _type_of(our) for name, our in known.items()}
    samples = next((name for name, our in known.items() if our == "sample"), None)
    whole_samples = samples if samples is not None and _first_is_whole(path, header.index(samples)) else None
    # A number that is written as 5.0 or 1e6 is read again, as a number with a fraction.
    for attempt in (types, {name: NUMBERS if kind == WHOLE else kind for name, kind in types.items()}):
        options = pc_csv.ConvertOptions(
            column_types=attempt, include_columns=list(known), null_values=list(NO_NUMBER), strings_can_be_null=False
        )
        try:
            yielded, rows = False, 0
            with pc_csv.open_csv(path, pc_csv.ReadOptions(block_size=BLOCK_BYTES), pc_csv.ParseOptions(), options) as reader:
                for batch in reader:
                    yield _with_empty_text(batch, whole_samples)
                    yielded, rows = True, rows + batch.num_rows
            _refuse_open_quotes(path, rows)
            return
        except (pa.ArrowException, OSError, EOFError) as error:
            last = error
            if yielded or WHOLE not in attempt.values():
                break
    if whole_samples is not None:
        types[whole_samples] = WHOLE
    raise BadRecord(_first_wrong(path, header, known, types) or f"{path} cannot be read as CSV ({_short(last)}): export it again") from last


def _with_empty_text(batch: pa.RecordBatch, whole_samples: str | None) -> pa.RecordBatch:
    """Return a batch whose empty texts are null, and whose samples are numbers where they are whole ones. Raises ArrowInvalid."""
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name == whole_samples:
            column = pc.utf8_trim_whitespace(column).cast(WHOLE)
        elif column.type == TEXT:
            column = pc.if_else(pc.equal(column, ""), pa.scalar(None, TEXT), column)
        columns[name] = column
    return pa.RecordBatch.from_pydict(columns)


def _refuse_open_quotes(path: Path, rows: int) -> None:
    """Raise BadRecord where a quote is not closed, behind which pyarrow takes all further lines for one cell.

    Where there are no more lines than rows and the header, nothing was swallowed, and the file is not read in Python.
    """
    lines, quotes, last = 0, 0, b"\n"
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        while block := file.read(2**20):
            lines, quotes, last = lines + block.count(b"\n"), quotes + block.count(b'"'), block[-1:]
    if quotes and lines + (last != b"\n") > rows + 1:
        for _ in _csv_rows(path):
            pass


def _header(path: Path) -> list[str]:
    """Return the names in the first line. Raises BadRecord."""
    names = next(_csv_rows(path), (1, []))[1]
    if not names:
        raise BadRecord(f"{path} is empty: its first line must name its columns")
    return names


def _first_is_whole(path: Path, column: int) -> bool:
    """Return whether the samples of the first 1,000 rows are whole numbers."""
    cells = [row[column] for _, row in islice(_csv_rows(path), 1, 1001) if column < len(row)]
    return all(cell.strip().lstrip("-").isdecimal() and len(cell) < 19 for cell in cells)


def _first_wrong(path: Path, header: Sequence[str], known: Mapping[str, str], types: Mapping[str, pa.DataType]) -> str | None:
    """Return what is wrong with the first line that does not fit its columns, or None."""
    for number, row in islice(_csv_rows(path), 1, None):
        if len(row) != len(header):
            return f"{path} line {number} has {len(row)} cells, and the first line names {len(header)}: mend or remove it"
        for name, cell in zip(header, row, strict=True):
            kind = types.get(name)
            if kind in (WHOLE, NUMBERS) and cell not in NO_NUMBER and not _is_number(cell):
                wanted = "whole number" if kind == WHOLE else "number"
                return f"{path} line {number}: {known[name]}={cell[:40]!r} is no {wanted}: mend or remove it"
            if name in known and known[name] == "sample" and kind == WHOLE and not cell.strip().lstrip("-").isdecimal():
                return (
                    f"{path} line {number}: sample={cell[:40]!r} is no whole number as those before it: name all by text, or all by numbers"
                )
    return None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield number of the line and cells of each row that is not empty. Raises BadRecord."""
    reader = None
    try:
        with _opened(path) as text:
            reader = csv.reader(bounded_lines(text, path), strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except BadRecord:
        raise
    except (csv.Error, OSError, EOFError, UnicodeError, ValueError) as error:
        at = "" if reader is None else f" line {reader.line_num + 1}"
        raise BadRecord(f"{path}{at} cannot be read as CSV ({_short(error)}): export it again") from error


def _opened(path: Path) -> TextIO:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def bounded_lines(file: IO[AnyStr], path: Path) -> Iterator[AnyStr]:
    """Yield the lines of a file. Raises BadRecord for one that memory need not hold: a small compressed file may come to any length."""
    number = 1
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise BadRecord(f"{path} line {number} is longer than {LONGEST_LINE:,} characters: mend or remove it")
        yield line
        number += 1


def _line_of(path: Path, row: int) -> int:
    """Return the line that holds a row, counted from 0; only asked for where something is wrong."""
    if path.name.lower().endswith((".csv", ".csv.gz")):
        return next(islice(_csv_rows(path), row + 1, None), (row + 2, []))[0]
    with path.open("rb") as lines:
        return next(islice((number for number, line in enumerate(lines, start=1) if line.strip()), row, None), row + 1)


def _parquet(path: Path, columns: Mapping[str, str], remarks: list[str]) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(BLOCK_ROWS, columns=_taken(path, file.schema_arrow.names, columns, remarks))
    except BadRecord:
        raise
    except (pa.ArrowException, OSError, ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise BadRecord(f"{path} is no whole Parquet file ({_short(error)}): export it again") from error


def _jsonl(path: Path, columns: Mapping[str, str], remarks: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield one object a line. A key that a line lacks is null there."""
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    with path.open("rb") as lines:
        for number, line in enumerate(bounded_lines(lines, path), start=1):
            if not line.strip():
                continue
            place = f"{path} line {number}"
            try:
                value = parsed(line.decode(), place)
            except UnicodeDecodeError as error:
                raise BadRecord(f"{place} is no text in UTF-8: mend or remove it") from error
            if not isinstance(value, dict):
                raise BadRecord(f"{place} is no object, such as {json.dumps({'sample': 0, 'inference_ms': 1.5})}: mend or remove it")
            rows.append(value)
            numbers.append(number)
            if len(rows) >= BLOCK_ROWS // 4:
                yield _of_objects(path, numbers, rows, columns, remarks)
                rows, numbers = [], []
    if rows:
        yield _of_objects(path, numbers, rows, columns, remarks)


def _of_objects(
    path: Path, numbers: Sequence[int], rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], remarks: list[str]
) -> pa.RecordBatch:
    """Return what is read of objects, each with the number of its line. Raises BadRecord that names the first line that does not fit."""
    found = {}
    for name in _taken(path, (name for row in rows for name in row), columns, remarks):
        values = [row.get(name) for row in rows]
        try:
            found[name] = pa.array(values)
        except UNFIT as error:
            wrong = _first_unfit(values)
            raise BadRecord(
                f"{path} line {numbers[wrong]}: {name[:40]}={json.dumps(values[wrong])[:40]} does not fit the values of this key before it "
                f"({_short(error)}): mend it, or write all values of a key in one way"
            ) from error
    try:
        return pa.RecordBatch.from_pydict(found)
    except UNFIT as error:
        raise BadRecord(f"{path} line {numbers[0]}: a key is no text that can be stored ({_short(error)}): mend it") from error


def _first_unfit(values: Sequence[Any]) -> int:
    """Return the first place up to which values cannot form one column; all of them together cannot."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pa.array(values[:middle])
            low = middle
        except UNFIT:
            high = middle
    return high - 1


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]
