"""Recorded arrival times: a CSV or JSONL file of seconds or ISO times."""

import csv
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.contracts import InputError

COLUMNS = ("arrival_s", "arrival", "timestamp", "time", "TIMESTAMP")
"""Names of the column or field that holds the times; a file of one column needs none."""

LATEST_S = 1e11
"""A later moment, of the year 5138 if counted from 1970, is one in milliseconds or less."""


def read_trace(path: Path) -> NDArray[np.float64]:
    """Return the times of a file in s, in the order of its lines.

    Raises
    ------
    InputError
        for a file that cannot be read, has no such column, or holds what is no time.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            values = list(_of_jsonl(file, path) if path.suffix in (".jsonl", ".json") else _of_csv(file, path))
    except InputError:
        raise
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise InputError(f"load.file={path}: cannot be read as arrival times ({error}); give a CSV or JSONL file") from error
    return np.array([_seconds(value, path, line) for line, value in values], dtype=np.float64)


def _of_jsonl(lines: Iterator[str], path: Path) -> Iterator[tuple[int, object]]:
    column: str | None = None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            row = json.loads(line)
            if isinstance(row, dict):
                column = _column(row, path) if column is None else column
                if column not in row:
                    raise InputError(
                        f"load.file={path}: line {number} has no {column!r}, as those before it have; give every line the same key"
                    )
                row = row[column]
            yield number, row


def _of_csv(lines: Iterator[str], path: Path) -> Iterator[tuple[int, object]]:
    reader = csv.reader(lines, strict=True)
    rows = ((reader.line_num, row) for row in reader if row)
    number, first = next(rows, (1, []))
    place = 0
    if len(first) > 1 or any(name in first for name in COLUMNS):
        name = _column(first, path)
        place = first.index(name)
        if first.count(name) > 1:
            raise InputError(f"load.file={path}: line {number} names two columns {name!r}; give each a name of its own")
    elif first:
        yield number, first[0]
    for number, row in rows:
        if len(row) != len(first):
            raise InputError(
                f"load.file={path}: line {number}, {','.join(row)[:40]!r}, has {len(row)} cells, and the first line {len(first)}; "
                "give every line as many as the first, write decimals with a point, and quote cells that contain commas"
            )
        yield number, row[place]


def _column(names: object, path: Path) -> str:
    found = next((name for name in COLUMNS if name in names), None)  # type: ignore[operator]
    if found is None:
        raise InputError(f"load.file={path}: no column of arrival times; name it one of {', '.join(COLUMNS)}")
    return found


def _seconds(value: object, path: Path, line: int) -> float:
    """Return a number of seconds, or those of an ISO time since 1970. Python would take true for 1, and 1_0 for 10."""
    try:
        seconds = math.nan if isinstance(value, bool) or "_" in str(value) else float(value)  # type: ignore[arg-type]
    except OverflowError:
        seconds = math.inf
    except (TypeError, ValueError):
        try:
            moment = datetime.fromisoformat(str(value).strip())
            seconds = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
        except ValueError:
            seconds = math.nan
    if abs(seconds) > LATEST_S:
        raise InputError(
            f"load.file={path}: {str(value)[:40]!r} in line {line} is no time in seconds, unless of a year beyond 5000; divide "
            "milliseconds by 1000, or write ISO times"
        )
    if not math.isfinite(seconds):
        raise InputError(
            f"load.file={path}: {str(value)[:40]!r} in line {line} is no time; write seconds, with a decimal point, or ISO times"
        )
    return seconds
