"""JSON that another program wrote, and that may be damaged: read, checked, and complained of in one line."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.configuration.fields import explain
from orchestrator.exchange.recording import BadRecord
from orchestrator.storage.load import read_regular

T = TypeVar("T", bound=BaseModel)
LONGEST_NS = 2**53
"""Times are exact as float64 below: 104 days."""


class Record(BaseModel):
    """What is read of one object of another program; its other keys are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, strict=True)


def read_document(path: Path) -> Any:
    """Return what a JSON file holds. Raises BadRecord."""
    return parsed(_text(path), str(path))


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and text of each line that is not empty. Raises BadRecord."""
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            yield number, line


def parsed(text: str, place: str) -> Any:
    """Return JSON's values. Raises BadRecord that begins with ``place``."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = f" line {error.lineno}" if "\n" in text else ""
        raise BadRecord(f"{place}{at} is no JSON ({error.msg}, column {error.colno}): export the file again") from error
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"{place} is no JSON that can be read ({str(error)[:80]}): export the file again") from error


def checked(model: type[T], value: Any, place: str) -> T:
    """Return a record. Raises BadRecord that names the place, the key and the rule."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise BadRecord(f"{place}: {_wrong(error)}; export the file again") from error
    except RecursionError as error:
        raise BadRecord(f"{place}: is nested too deeply; export the file again") from error


def _wrong(error: ValidationError) -> str:
    """Return what is wrong with a record, in the words of its file: configurations have others."""
    first = error.errors(include_url=False)[0]
    if first["type"] in ("model_type", "model_attributes_type"):
        key = ".".join(map(str, first["loc"])) or "what stands here"
        return f"{key} must be an object with keys, and it is {' '.join(str(first.get('input')).split())[:80]}"
    return " ".join(explain(error).split())[:200]


def parts_of(path: Path, documents: list[Any], what: str) -> Iterator[tuple[Any, str, str]]:
    """Yield each of a file's documents, its place, and a name for what was measured. Raises BadRecord where there is none."""
    if not documents:
        raise BadRecord(f"{path} holds no {what}: export the file again")
    for number, document in enumerate(documents):
        yield document, f"{path} {what} {number}", path.stem if len(documents) == 1 else f"{path.stem}-{number}"


def nanoseconds(value: float, per: int, place: str, name: str) -> int:
    """Return a duration or moment in ns, of a value in units of ``per`` ns. Raises BadRecord for one that is no such time."""
    found = value * per
    # A finite number of units may be infinitely many ns; whole numbers never are.
    if (isinstance(found, float) and not math.isfinite(found)) or not -(2**63) <= found < 2**63:
        raise BadRecord(f"{place}: {name}={str(value)[:40]} is no time; export the file again")
    return round(found)


def one_batch(rows: list[dict[str, Any]], types: dict[str, pa.DataType], path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file as a batch of columns of these types; nothing of no rows. Raises BadRecord."""
    if rows:
        try:
            yield pa.RecordBatch.from_pydict({name: pa.array([row.get(name) for row in rows], kind) for name, kind in types.items()})
        except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError) as error:
            raise BadRecord(
                f"{path}: a request holds what no table can ({' '.join(str(error).split())[:120]}); export the file again"
            ) from error


def _text(path: Path) -> str:
    try:
        return read_regular(path).decode()
    except UnicodeDecodeError as error:
        raise BadRecord(f"{path} is no text in UTF-8 (byte {error.start}): export the file again") from error
