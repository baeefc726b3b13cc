"""Read one stored file, or say in one line what is wrong with it."""

import json
import math
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from orchestrator.configuration.fields import LARGEST, explain
from orchestrator.contracts import InputError, first_line
from orchestrator.storage import schema
from orchestrator.storage.files import BrokenSeal, check_json, check_parquet
from orchestrator.storage.layout import CAMPAIGN, TrialFolder, inside, trial_folder
from orchestrator.storage.records import STARTED, CampaignRecord, PlannedTrial, TrialRecord
from orchestrator.storage.stored_form import conform

T = TypeVar("T", bound=BaseModel)

DEEPEST = 100
MEASURE_AGAIN = "restore it from a copy, or measure the campaign again"
LARGE = 10_000
"""Tables of fewer rows are read sooner than threads are woken."""


def read_json(path: Path, model: type[T]) -> T:
    """Return a record. Raises InputError for a file that is damaged, newer than this program or holds unknown keys."""
    try:
        content = read_regular(path)
        document = json.loads(content)
        _refuse_strange(document, surrogates=b"\\u" in content)
    except InputError:
        raise
    except OSError as error:
        _refuse_unreadable(path, error)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a whole JSON file ({first_line(error)}): restore it from a copy") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > schema.SCHEMA_VERSION:
        raise InputError(f"{path} has schema version {version} and this program reads up to {schema.SCHEMA_VERSION}: upgrade tail-quality")
    try:
        check_json(content)
    except BrokenSeal as error:
        raise InputError(f"{path} is not what was written ({error}): restore it from a copy") from error
    document.pop("sha256")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{path} is not what this program writes: {explain(error)}; restore it from a copy") from error


def _refuse_strange(document: Any, surrogates: bool) -> None:
    """Raise ValueError for values that JSON in Python can hold and no file of this program does, anywhere in a document.

    ``surrogates``: there may be halves of surrogate pairs, which no UTF-8 can hold.
    """
    left: list[tuple[Any, int]] = [([document], -1)]
    while left:
        holder, depth = left.pop()
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        values: Iterable[Any] = holder.values() if isinstance(holder, dict) else holder
        for value in (*values, *holder) if surrogates and isinstance(holder, dict) else values:
            kind = type(value)  # what JSON makes of a file has no other types, and this is asked of every value of every record
            if kind is dict or kind is list:
                left.append((value, depth + 1))
            elif kind is str:
                if surrogates:
                    value.encode()
            elif kind is float:
                if not math.isfinite(value):
                    raise ValueError(f"{value} is no number")
            elif kind is int and abs(value) > LARGEST:
                raise ValueError("it holds a number of more than 128 bits")


def read_regular(path: Path) -> bytes:
    """Return what a file holds. Raises InputError for a pipe, a device or a folder, which could keep a reader waiting for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{path} is no regular file: restore it from a copy")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def read_trial(folder: TrialFolder, planned: PlannedTrial) -> TrialRecord | None:
    """Return a trial's record, or None if it has not begun.

    Raises
    ------
    InputError
        for a record that is missing although the trial has begun, another trial's, or damaged.
    """
    path = folder.record
    if not path.exists():
        if planned.state in STARTED:
            raise InputError(f"{path} is missing (the trial is {planned.state} by campaign.json): {MEASURE_AGAIN}")
        return None
    record = read_json(path, TrialRecord)
    if record.trial_id != planned.trial_id:
        raise InputError(f"{path} is the record of {record.trial_id}: restore it from a copy")
    if record.trial != planned.trial:
        key, here, there = _first_difference(record.trial.model_dump(), planned.trial.model_dump())
        raise InputError(f"{path} has trial.{key}={here}, and {CAMPAIGN} has {there}: a trial is what was planned; restore it from a copy")
    return record


def _first_difference(one: Any, other: Any, key: str = "") -> tuple[str, str, str]:
    """Return the first key in which two documents differ, and both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        name = next(name for name in (*one, *other) if name not in one or name not in other or one[name] != other[name])
        return _first_difference(one.get(name), other.get(name), f"{key}.{name}" if key else str(name))
    return key, str(one)[:40], str(other)[:40]


def read_campaign(directory: Path) -> CampaignRecord:
    """Return a campaign's record. Where a driver is at work, or was killed, the states are those in ``trial.json``.

    Raises
    ------
    InputError
        for a file that is missing although its trial has begun, or is damaged.
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
    """Return a stored table, in the columns and types of ``form`` where one is given.

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
        return table if form is None else conform(table, form)


@contextmanager
def opened(path: Path, remedy: str = MEASURE_AGAIN) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; what goes wrong with its content inside the block becomes an InputError that names it."""
    try:
        check_parquet(path)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_rows(file.metadata)
            _check_names(file.schema_arrow.names)
            yield file
    except InputError:
        raise
    except (pa.ArrowException, OSError, ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            _refuse_unreadable(path, error)
        raise InputError(f"{path} is not a whole Parquet file of this program ({first_line(error)}): {remedy}") from error


def _check_rows(metadata: pq.FileMetaData) -> None:
    """Raise ValueError if the counts of rows disagree: pages have checksums, the numbers in the footer have none."""
    groups = sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    if groups != metadata.num_rows:
        raise ValueError(f"its footer counts {metadata.num_rows} rows and {groups}")


def _check_names(names: Sequence[str]) -> None:
    """Raise ValueError for two columns of one name, of which readers would take one or the other."""
    if len(set(names)) < len(names):
        raise ValueError(f"column {next(name for name in names if names.count(name) > 1)!r} occurs twice")


def _refuse_unreadable(path: Path, error: OSError) -> NoReturn:
    if isinstance(error, FileNotFoundError):
        raise error
    raise InputError(f"{path} cannot be read ({error.strerror}): check the folder and its permissions") from error
