"""Result tables as CSV: exact numbers, durations in ns, nothing that a spreadsheet would run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}", "\N{FULLWIDTH HYPHEN-MINUS}",
           "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
"""What spreadsheets take for the beginning of a formula."""


def to_csv(table: pa.Table) -> str:
    """Return a table as CSV with a header.

    Numbers are written so that they read back exactly; nulls are empty; lists and maps are JSON. Text that a spreadsheet would run
    as a formula has an apostrophe before it.
    """
    kinds = [field.type for field in table.schema]
    lines = [[_text(name) for name in table.column_names]]
    lines += [[_cell(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in _rows(table)]
    return "".join(",".join(map(_quoted, cells)) + "\n" for cells in lines)


def _quoted(cell: str) -> str:
    """Return a cell in quotes where it holds what would end it; Python's csv leaves a lone carriage return, which ends a row, as it is."""
    return '"{}"'.format(cell.replace('"', '""')) if any(character in cell for character in ',"\r\n') else cell


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
