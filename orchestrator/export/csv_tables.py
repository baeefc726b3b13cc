"""Result tables as CSV: exact numbers, durations in ns, nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula."""


def to_csv(table: pa.Table) -> str:
    """Return a table as CSV with a header.

    Numbers are written so that they read back exactly; nulls are empty; lists and maps are JSON. Text that a spreadsheet would run
    as a formula has an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_text, table.column_names))
    kinds = [field.type for field in table.schema]
    for row in _rows(table):
        writer.writerow([_cell(value, kind) for value, kind in zip(row, kinds, strict=True)])
    return out.getvalue()


def _rows(table: pa.Table) -> Iterable[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _cell(value: Any, kind: pa.DataType) -> str:
    if value is None:
        return ""
    if pa.types.is_map(kind):
        return json.dumps(dict(value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else _text(str(value))


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
