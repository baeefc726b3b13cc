"""Read one stored file, or say in one line what is wrong with it."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from orchestrator.configuration.fields import LARGEST, explain
from orchestrator.contracts import InputError, first_line
from orchestrator.storage import schema
from orchestrator.storage.files import check_json, check_parquet
from orchestrator.storage.layout import CAMPAIGN, TrialFolder, inside, trial_folder
from orchestrator.storage.records import STARTED, CampaignRecord, PlannedTrial, TrialRecord
from orchestrator.storage.stored_form import conform

T = TypeVar("T", bound=BaseModel)

MEASURE_AGAIN = "restore it from a copy, or measure the campaign again"
# Tables of fewer rows are read sooner than threads are woken.
LARGE = 10_000

# Bytes of a JSON file, and of all texts in a Parquet file that does not itself take more.
LONGEST_TEXT = 64 * 2**20
# So many values a column may have in any file; in a larger one, a byte each: times are noise, which nothing compresses.
FEW_VALUES = 2**22
# How many times larger a Parquet file may become, beside `LONGEST_TEXT`, when it is decompressed.
UNPACKED = 32


def read_json(path: Path, model: type[T]) -> T:
    """Return a record. Raises InputError for a file that is damaged, newer than this program or holds unknown keys."""
    try:
        content = read_regular(path, LONGEST_TEXT)
        document = parse_json(content)
        version = document.get("schema_version") if isinstance(document, dict) else None
        if isinstance(version, int) and version > schema.SCHEMA_VERSION:
            known = f"this program reads up to {schema.SCHEMA_VERSION}"
            raise InputError(f"{path} has schema version {version} and {known}: upgrade tail-quality", "unsupported", value=path)
        check_json(content)
        document.pop("sha256")
        return model.model_validate(document)
    except InputError:
        raise
    except OSError as error:
        _refuse_unreadable(path, error)
    except ValueError as error:
        reason = explain(error) if isinstance(error, ValidationError) else first_line(error)
        raise InputError(f"{path} is not what this program writes: {reason}; restore it from a copy", "damaged", value=path) from error


def parse_json(content: bytes, finite: bool = True) -> Any:
    """Return JSON's values. Raises ValueError for what is none, is nested too deeply, or holds a number that no file does."""
    document = from_json(content, allow_inf_nan=not finite)
    left = [[document]]
    while left:
        holder = left.pop()
        for value in holder.values() if isinstance(holder, dict) else holder:
            kind = type(value)  # JSON has no other types, and this is asked of every value of every record
            if kind is dict or kind is list:
                left.append(value)
            elif kind is int and abs(value) > LARGEST:
                raise ValueError("it holds a number of more than 128 bits")
    return document


def read_regular(path: Path, most: int | None = None, remedy: str = "restore it from a copy") -> bytes:
    """Return what a file holds.

    Raises InputError for a pipe, a device or a folder, which could keep a reader waiting for ever, and for more than ``most`` bytes.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path} is no regular file: restore it from a copy", "unsafe", value=path)
        if most is not None and status.st_size > most:
            raise InputError(f"{path} has {status.st_size:,} bytes, and may have {most:,}: {remedy}", "too_large", value=path)
        return file.read()


def read_trial(folder: TrialFolder, planned: PlannedTrial) -> TrialRecord | None:
    """Return a trial's record, or None if it has not begun.

    Raises InputError for a record that is missing although the trial has begun, another trial's, or damaged.
    """
    path = folder.record
    if not path.exists():
        if planned.state in STARTED:
            raise InputError(f"{path} is missing (the trial is {planned.state} by campaign.json): {MEASURE_AGAIN}", "not_found", value=path)
        return None
    record = read_json(path, TrialRecord)
    if (record.trial_id, record.trial) != (planned.trial_id, planned.trial):
        raise InputError(
            f"{path} is the record of {record.trial_id}, but not of what {CAMPAIGN} plans there: restore it from a copy",
            "damaged",
            value=path,
        )
    return record


def read_campaign(directory: Path) -> CampaignRecord:
    """Return a campaign's record. Where a driver is at work, or was killed, the states are those in ``trial.json``.

    Raises InputError for a file that is missing although its trial has begun, or is damaged.
    """
    record = read_json(inside(directory, directory / CAMPAIGN), CampaignRecord)
    if not record.under_way:
        return record
    stored = (read_trial(trial_folder(directory, planned.trial_id), planned) for planned in record.trials)
    trials = [
        planned if known is None else planned.with_state(known.state, known.reason)
        for planned, known in zip(record.trials, stored, strict=True)
    ]
    return record.model_copy(update={"trials": tuple(trials)})


def read_table(path: Path, form: pa.Schema | None = None, remedy: str = MEASURE_AGAIN) -> pa.Table:
    """Return a stored table, in the columns, types and ranges of ``form`` where one is given.

    ``remedy`` is what the user should do where the file is damaged.

    Raises
    ------
    FileNotFoundError
        if there is none.
    InputError
        for a file that is damaged or not what this program writes.
    """
    with opened(path, remedy) as file:
        stored = set(file.schema_arrow.names)
        present = None if form is None else [name for name in form.names if name in stored]
        table = file.read(columns=present, use_threads=file.metadata.num_rows >= LARGE)
        if form is not None:
            table = conform(table, form)
            schema.refuse_out_of_range(table)
        return table


@contextmanager
def opened(path: Path, remedy: str = MEASURE_AGAIN) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; what goes wrong with its content inside the block becomes an InputError that names it."""
    try:
        check_parquet(path)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _refuse_bomb(path, file.metadata)
            names = file.schema_arrow.names
            if len(set(names)) < len(names):
                raise ValueError(f"column {next(name for name in names if names.count(name) > 1)!r} occurs twice")
            yield file
    except InputError:
        raise
    except (pa.ArrowException, OSError, ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            _refuse_unreadable(path, error)
        raise InputError(
            f"{path} is not a whole Parquet file of this program ({first_line(error)}): {remedy}", "damaged", value=path
        ) from error


def _refuse_bomb(path: Path, metadata: pq.FileMetaData) -> None:
    """Raise ValueError for a file that would take memory out of all proportion to its size on disk."""
    size = path.stat().st_size
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if sum(group.num_rows for group in groups) != metadata.num_rows:  # pages have checksums, the numbers in the footer have none
        raise ValueError(f"its footer counts {metadata.num_rows} rows and {sum(group.num_rows for group in groups)}")
    values, unpacked, texts = Counter[str](), 0, Counter[str]()
    for chunk in (group.column(number) for group in groups for number in range(metadata.num_columns)):
        values[chunk.path_in_schema] += chunk.num_values
        unpacked += chunk.total_uncompressed_size
        if chunk.physical_type == "BYTE_ARRAY":
            texts[chunk.path_in_schema] += chunk.total_uncompressed_size
    if (most := max([metadata.num_rows, *values.values()])) > FEW_VALUES + size:
        raise ValueError(f"a column holds {most:,} values in a file of {size:,} bytes")
    if unpacked > LONGEST_TEXT + UNPACKED * size:
        raise ValueError(f"its {size:,} bytes would become {unpacked:,}")
    # A text may stand for many that are equal. As a dictionary they are decoded without becoming larger than `unpacked`.
    if sum(values[name] * texts[name] for name in texts) > LONGEST_TEXT + UNPACKED * size:
        with pq.ParquetFile(path, read_dictionary=list(texts)) as file:
            total = sum(_text_bytes(column) for name in texts for column in file.read(columns=[name]).columns)
        if total > LONGEST_TEXT + UNPACKED * size:
            raise ValueError(f"its texts would take {total:,} bytes in a file of {size:,}")


def _text_bytes(column: pa.ChunkedArray | pa.Array) -> int:
    """Return how many bytes the texts in a column take that was read as dictionaries, however they are nested."""
    if isinstance(column, pa.ChunkedArray):
        return sum(map(_text_bytes, column.chunks))
    if isinstance(column, pa.StructArray):
        return sum(map(_text_bytes, column.flatten()))
    if isinstance(column, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        return _text_bytes(column.values)
    if isinstance(column, pa.DictionaryArray):
        return pc.sum(pc.binary_length(column.dictionary).cast(pa.int64()).take(column.indices)).as_py() or 0
    return 0


def _refuse_unreadable(path: Path, error: OSError) -> NoReturn:
    if isinstance(error, FileNotFoundError):
        raise error
    raise InputError(f"{path} cannot be read ({error.strerror}): check the folder and its permissions", "unreadable", value=path) from error
