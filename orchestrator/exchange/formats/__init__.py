"""What formats share. A format is a module here whose ``read(path)`` yields recordings in the long form of docs/importing.md."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any, AnyStr, TypeVar

import pyarrow as pa
from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError

from orchestrator.configuration.fields import FEWEST_ARRIVALS_PER_S, MOST_ARRIVALS_PER_S
from orchestrator.contracts import InputError, first_line
from orchestrator.storage.load import LONGEST_TEXT, parse_json, read_regular

# Times from the start of inference, which a streamed answer has.
OF_ANSWERS = ("first_token", "last_token")
# Columns of time, as they are called without their unit. ``arrival`` is the scheduled time.
TIMES = ("start", "arrival", "preprocess", "inference", "postprocess", "total", *OF_ANSWERS)
# Without its unit, the column of lists of times, from each piece of an answer to the next.
GAPS = "token_gaps"
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
PLAIN = ("round", "sample", "outcome", "reference", "prediction", "input_size", "tokens", "truncated", "prompt_tokens", "cached_tokens")
UNFIT = (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError)
LAW_LOST = "The file names no rate that a load here can have: its schedule counts as a trace of an unknown law."
T = TypeVar("T", bound=BaseModel)


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
    texts
        prompt and answer of each row, None where the file does not hold one; empty where it holds no prompts.
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
    texts: Sequence[tuple[str | None, str | None]] = ()


def recordings_of(form: str, paths: Sequence[Path], columns: Mapping[str, str]) -> Iterator[Recording]:
    """Yield the recordings of files of a format. ``columns``: names in the file by names of the long form. Raises InputError."""
    if columns and form != "table":
        raise InputError(
            f"--map {next(iter(columns))}: --format {form} knows its own columns; leave it out, or use --format table", "conflict", "--map"
        )
    read = import_module(f"{__name__}.{form}").read
    # All logs of a folder are those of one run.
    for path in dict.fromkeys(path.parent if form == "loadgen" and path.is_file() else path for path in paths):
        if not path.exists():
            raise InputError(f"{path} is not there: name files that another program has written", "not_found", value=path)
        if not (path.is_dir() if form == "loadgen" else path.is_file()):  # a pipe or a device would be read without end
            raise InputError(f"{path} is no regular file: name one that the other program has written", "unsafe", value=path)
        yield from read(path, columns) if form == "table" else read(path)


def known_column(name: str) -> bool:
    """Return whether the long form has a column of this name."""
    stem, _, unit = name.rpartition("_")
    return name in PLAIN or name.startswith(("score_", "slice_")) or (stem in (*TIMES, GAPS) and unit in UNITS)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds text."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def shown(names: Sequence[str], most: int = 1) -> str:
    """Return names of a file, as they may be printed and stored, of which a damaged one may hold anything."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(re.sub(r"[^\w .+/-]", "?", name[:40]) for name in names[:most]) + more


def dropped(what: str, why: str) -> str:
    """Return the sentence that a reader must know of a figure that a file holds and no trial does."""
    return f"Not imported: {what}, since {why}."


def schedule(law: str, rate_per_s: float | None, path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return keys of ``LoadConfig`` for a law of arrivals, and what a reader must know: without a rate of a load, they are a trace."""
    if rate_per_s is None or not FEWEST_ARRIVALS_PER_S <= rate_per_s <= MOST_ARRIVALS_PER_S:
        return {"name": "trace", "file": str(path)}, [LAW_LOST]
    return {"name": law, "rate_per_s": rate_per_s}, []


class Record(BaseModel):
    """What is read of one object of another program; its other keys are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, strict=True)


def at(*keys: str, default: Any = None) -> Any:
    """Return a field that stands below these keys of its object. It must be there where the default is ``...``."""
    return Field(default, validation_alias=AliasPath(*keys))


def checked(model: type[T], value: Any, place: str) -> T:
    """Return a record. Raises InputError that names the place, the key, the value and the rule, in the words of its file."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        value = "" if first["type"] == "missing" else f"={first['input']!r:.80}"
        key, rule = ".".join(map(str, first["loc"])) or "what stands here", first["msg"]
        raise InputError(
            f"{place}: {key}{value}: {rule[0].lower()}{rule[1:]}; export the file again",
            "missing" if first["type"] == "missing" else "invalid",
            key,
            first["input"],
        ) from error


def parsed(text: bytes, place: str) -> Any:
    """Return JSON's values. Raises InputError that begins with ``place``."""
    try:
        return parse_json(text, finite=False)
    except ValueError as error:
        raise InputError(f"{place} is no JSON that can be read ({first_line(error)}): export the file again", "damaged") from error


def read_document(path: Path) -> Any:
    """Return what a JSON file holds. Raises InputError."""
    return parsed(read_regular(path, LONGEST_TEXT, "import it in parts, or as a table of Parquet (--format table)"), str(path))


def bounded_lines(file: IO[AnyStr], path: Path) -> Iterator[AnyStr]:
    """Yield the lines of a file. Raises InputError for one that memory need not hold: a small compressed file may come to any length."""
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_TEXT + 1) or None, None), start=1):
        if len(line) > LONGEST_TEXT:
            raise InputError(f"{path} line {number} is longer than {LONGEST_TEXT:,} characters: mend or remove it", "too_large")
        yield line


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number, from 1, and text of each line that is not empty. Raises InputError."""
    if not path.is_file():
        raise InputError(f"{path} is no regular file: name one that the other program has written", "unsafe", value=path)
    with path.open("rb") as file:
        yield from ((number, line) for number, line in enumerate(bounded_lines(file, path), start=1) if line.strip())


def parts_of(path: Path, key: str) -> Iterator[tuple[Any, str, str]]:
    """Yield each document that a JSON file lists under a key, its place, and a name for what was measured. Raises InputError."""
    document = read_document(path)
    found = document.get(key) if isinstance(document, dict) else None
    if not isinstance(found, list) or not found:
        raise InputError(f"{path} holds no list of {key}: export the file again", "missing", key)
    for number, part in enumerate(found):
        yield part, f"{path} {key.removesuffix('s')} {number}", path.stem if len(found) == 1 else f"{path.stem}-{number}"


def nanoseconds(value: float, per: int, place: str, name: str) -> int:
    """Return a duration or moment in ns, of a value in units of ``per`` ns. Raises InputError for one that is no such time."""
    if not -(2.0**63) <= value * per < 2.0**63:  # as is neither an infinite number nor none
        raise InputError(f"{place}: {name}={str(value)[:40]} is no time; export the file again", key=name, value=value)
    return round(value * per)


def table_of(rows: Iterable[Mapping[str, Any]], path: Path, **types: pa.DataType) -> pa.Table:
    """Return the rows of a file in columns, of ``types`` or whole numbers. Raises InputError."""
    every = list(rows)
    names = dict.fromkeys(name for row in every for name in row)
    try:
        return pa.table({name: pa.array([row.get(name) for row in every], types.get(name, pa.int64())) for name in names})
    except UNFIT as error:
        raise InputError(f"{path}: a request holds what no table can ({first_line(error)}); export the file again", "damaged") from error
