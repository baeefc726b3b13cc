"""Tables of a study: plain values for ``study.json``, and how each is written in ``study.md``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds

Value: TypeAlias = str | int | float | bool | None
Row: TypeAlias = Sequence[Value]
Form: TypeAlias = Callable[[float], str]

three: Form = "{:z.3f}".format
significant: Form = "{:.3g}".format
whole: Form = "{:,.0f}".format
time_ms: Form = milliseconds
DIGITS = 10
"""Significant digits of a number in ``study.json``: a sum's last ones differ by processor."""


def p_value(value: float) -> str:
    """Write a p-value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


@dataclass(frozen=True)
class Column:
    """A column and how its numbers are written; words name the row where ``label`` is set."""

    name: str
    form: Form | None = None
    label: bool = False

    def text(self, value: Value) -> str:
        """Return a cell; a dash where there is no value, or no finite one."""
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return "-"
        if isinstance(value, bool):
            return "yes" if value else "no"
        return str(value) if isinstance(value, str) or self.form is None else self.form(value)


def named(*names: str) -> list[Column]:
    """Return columns of words that name a row."""
    return [Column(name, label=True) for name in names]


def words(*names: str) -> list[Column]:
    """Return columns of words."""
    return [Column(name) for name in names]


def numbers(form: Form, *names: str) -> list[Column]:
    """Return columns of numbers that are written alike."""
    return [Column(name, form) for name in names]


@dataclass(frozen=True)
class StudyTable:
    """One table: rows are values in the order of the columns, None or NaN where there is none.

    ``name`` is that by which a document asks for it, such as ``claims``.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""

    def to_table(self) -> Table:
        """Return what a reader sees."""
        cells = [
            [column.text(value) for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]
        right = frozenset(column.name for column in self.columns if column.form is not None)
        return Table(self.title, [column.name for column in self.columns], cells, self.note, right)

    def to_json(self) -> dict[str, object]:
        """Return the table as plain values."""
        names = [column.name for column in self.columns]
        rows = [dict(zip(names, map(_stored, row), strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "note": self.note}

    def numbers(self) -> Iterator[tuple[str, str]]:
        """Yield every cell as ``TABLE/ROW/COLUMN`` and its text; rows of one name are numbered."""
        seen: dict[str, int] = {}
        for row in self.rows:
            pairs = list(zip(self.columns, row, strict=True))
            labels = [plain(column.text(value)) for column, value in pairs if column.label]
            key = "-".join(labels) or "row"
            seen[key] = seen.get(key, 0) + 1
            key = key if seen[key] == 1 else f"{key}-{seen[key]}"
            for column, value in pairs:
                yield f"{self.name}/{key}/{plain(column.name)}", column.text(value)


def plain(text: str) -> str:
    """Return a name of letters, digits, dots and underscores."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", text).strip("_")


def _stored(value: Value) -> Value:
    """Return a value as JSON holds it: finite, with ten significant digits."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
