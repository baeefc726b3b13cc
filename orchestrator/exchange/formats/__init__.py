"""What formats share. A format is a module here whose ``read(paths, columns)`` yields recordings in the long form of docs/importing.md.

One whose columns the user may name by ``--map`` sets ``TAKES_MAP``.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any, AnyStr, TypeVar, cast

import pyarrow as pa
from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError

from orchestrator.configuration.fields import FEWEST_ARRIVALS_PER_S, MOST_ARRIVALS_PER_S, explain
from orchestrator.contracts import InputError

OF_ANSWERS = ("first_token", "last_token")
"""Times from the start of inference, which a streamed answer has."""
TIMES = ("start", "arrival", "preprocess", "inference", "postprocess", "total", *OF_ANSWERS)
"""Columns of time, as they are called without their unit. ``arrival`` is the scheduled time."""
GAPS = "token_gaps"
"""Without its unit, the column of lists of times, from each piece of an answer to the next."""
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
PLAIN = ("round", "sample", "outcome", "reference", "prediction", "input_size", "tokens")
LARGEST_JSON = 64 * 2**20
"""Bytes of a document, and of a line of those that are one a line."""
DEEPEST = 64
UNFIT = (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError)
LAW_LOST = "The file names no rate that a load here can have: its schedule counts as a trace, of whose law nothing is known."
T = TypeVar("T", bound=BaseModel)


class BadRecord(InputError):
    """Something in a file is wrong: the line names file, place, value, rule and remedy."""


@dataclass(frozen=True)
class Recording:
    """What one trial is made of.

    name
        what tells it from others of the same files, such as ``benchmarks`` or ``benchmarks-1``: the system is called so.
    table
        its rows in columns of the long form, in the order of the file.
    where
        says where a row is, by its number from 0: ``FILE line 7``.
    path
        its file or folder.
    model
        what the file calls the model, or None.
    remarks
        sentences that a reader must know.
    facts
        plain values for ``trial.json``.
    load
        keys of ``LoadConfig`` that say by which law ``arrival`` was fixed before the requests began; None where there is no schedule.
    files
        what it was read from, where that is more than the file that the user has named.
    """

    name: str
    table: pa.Table
    where: Callable[[int], str]
    path: Path
    model: str | None = None
    remarks: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    load: Mapping[str, Any] | None = None
    files: Sequence[Path] = ()

    @property
    def place(self) -> str:
        """Its file, and its name where the file holds several."""
        return str(self.path) if self.name in (self.path.stem, self.path.name.split(".")[0]) else f"{self.path}: {self.name}"


def recordings_of(form: str, paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Return the recordings of files of a format. ``columns``: names in the file by names of the long form. Raises InputError."""
    module = import_module(f"{__name__}.{form}")
    if columns and not getattr(module, "TAKES_MAP", False):
        ours, theirs = next(iter(columns.items()))
        raise InputError(f"--map {ours}={theirs}: --format {form} knows its own columns; leave it out, or use --format table")
    return cast(Iterator[Recording], module.read(paths, columns))


def known_column(name: str) -> bool:
    """Return whether the long form has a column of this name."""
    stem, _, unit = name.rpartition("_")
    return name in PLAIN or name.startswith(("score_", "slice_")) or (stem in (*TIMES, GAPS) and unit in UNITS)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds text."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def shown(names: Sequence[str], most: int) -> str:
    """Return names of a file, as they may be printed and stored, of which a damaged one may hold anything."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(re.sub(r"[^\w .+/-]", "?", name[:40]) for name in names[:most]) + more


def short(error: BaseException) -> str:
    """Return what an error says, in one line that is not long."""
    return " ".join(str(error).split())[:120]


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


class Record(BaseModel):
    """What is read of one object of another program; its other keys are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, strict=True)


def at(*keys: str, default: Any = None) -> Any:
    """Return a field that stands below these keys of its object. It must be there where the default is ``...``."""
    return Field(default, validation_alias=AliasPath(*keys))


def checked(model: type[T], value: Any, place: str) -> T:
    """Return a record. Raises BadRecord that names the place, the key and the rule, in the words of its file."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        wrong = " ".join(explain(error).split())[:200]
        if first["type"] in ("model_type", "model_attributes_type"):
            key = ".".join(map(str, first["loc"])) or "what stands here"
            wrong = f"{key} must be an object with keys, and it is {' '.join(str(first.get('input')).split())[:80]}"
        raise BadRecord(f"{place}: {wrong}; export the file again") from error
    except RecursionError as error:
        raise BadRecord(f"{place}: is nested too deeply; export the file again") from error


def parsed(text: str | bytes, place: str) -> Any:
    """Return JSON's values. Raises BadRecord that begins with ``place``."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        line = f" line {error.lineno}" if error.lineno > 1 else ""
        raise BadRecord(f"{place}{line} is no JSON ({error.msg}, column {error.colno}): export the file again") from error
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"{place} is no JSON that can be read ({str(error)[:80]}): export the file again") from error
    left = [(document, 1)]
    while left:
        value, depth = left.pop()
        if depth > DEEPEST:
            raise BadRecord(f"{place} is nested deeper than {DEEPEST} levels: export the file again")
        values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left += [(inner, depth + 1) for inner in values if isinstance(inner, dict | list)]
    return document


def read_bytes(path: Path) -> bytes:
    """Return what a file holds. Raises BadRecord for a pipe, a device or a folder, and for one that memory need not hold."""
    if not path.is_file():
        raise BadRecord(f"{path} is no regular file: name one that the other program has written")
    if path.stat().st_size > LARGEST_JSON:
        raise BadRecord(f"{path} has more than {LARGEST_JSON // 2**20} MiB: import it in parts, or as a table of Parquet (--format table)")
    return path.read_bytes()


def read_document(path: Path) -> Any:
    """Return what a JSON file holds. Raises BadRecord."""
    return parsed(read_bytes(path), str(path))


def bounded_lines(file: IO[AnyStr], path: Path) -> Iterator[AnyStr]:
    """Yield the lines of a file. Raises BadRecord for one that memory need not hold: a small compressed file may come to any length."""
    number = 1
    while line := file.readline(LARGEST_JSON + 1):
        if len(line) > LARGEST_JSON:
            raise BadRecord(f"{path} line {number} is longer than {LARGEST_JSON:,} characters: mend or remove it")
        yield line
        number += 1


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and text of each line that is not empty. Raises BadRecord."""
    if not path.is_file():
        raise BadRecord(f"{path} is no regular file: name one that the other program has written")
    with path.open("rb") as file:
        for number, line in enumerate(bounded_lines(file, path), start=1):
            try:
                text = line.decode().rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise BadRecord(f"{path} line {number} is no text in UTF-8: mend or remove it") from error
            if text.strip():
                yield number, text


def parts_of(path: Path, key: str) -> Iterator[tuple[Any, str, str]]:
    """Yield each document that a JSON file lists under a key, its place, and a name for what was measured. Raises BadRecord."""
    document = read_document(path)
    found = document.get(key) if isinstance(document, dict) else None
    if not isinstance(found, list) or not found:
        raise BadRecord(f"{path} holds no list of {key}: export the file again")
    for number, part in enumerate(found):
        yield part, f"{path} {key.removesuffix('s')} {number}", path.stem if len(found) == 1 else f"{path.stem}-{number}"


def nanoseconds(value: float, per: int, place: str, name: str) -> int:
    """Return a duration or moment in ns, of a value in units of ``per`` ns. Raises BadRecord for one that is no such time."""
    found = value * per
    if not -(2.0**63) <= found < 2.0**63:  # as is neither an infinite number nor none
        raise BadRecord(f"{place}: {name}={str(value)[:40]} is no time; export the file again")
    return round(found)


def table_of(rows: Iterable[Mapping[str, Any]], path: Path, **types: pa.DataType) -> pa.Table:
    """Return the rows of a file in columns, of ``types`` or whole numbers. Raises BadRecord."""
    every = list(rows)
    names = list(dict.fromkeys(name for row in every for name in row))
    try:
        return pa.table({name: pa.array([row.get(name) for row in every], types.get(name, pa.int64())) for name in names})
    except UNFIT as error:
        raise BadRecord(f"{path}: a request holds what no table can ({short(error)}); export the file again") from error
