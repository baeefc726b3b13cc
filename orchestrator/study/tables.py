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
Form: TypeAlias = Callable[[float], str]
DIGITS = 10
"""Significant digits of a number in ``study.json``: the last ones of a sum differ between processors."""
NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.]+")
DASH = "-"


def three(value: float) -> str:
    """Write a number with three decimals; 0.000 has no sign."""
    text = f"{value:.3f}"
    return text if float(text) else "0.000"


def significant(value: float) -> str:
    """Write a number with three significant digits."""
    return f"{value:.3g}"


def whole(value: float) -> str:
    """Write a count."""
    return f"{value:,.0f}"


def percent(value: float) -> str:
    """Write a share in percent."""
    return f"{100 * value:.0f} %"


def time_ms(value: float) -> str:
    """Write a time in ns as ms."""
    return milliseconds(value)


def p_value(value: float) -> str:
    """Write a p-value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


@dataclass(frozen=True)
class Column:
    """A column: its name, and how its numbers are written; None for words, which name the row where ``label`` is set."""

    name: str
    form: Form | None = None
    label: bool = False

    def text(self, value: Value) -> str:
        """Return a cell."""
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return DASH
        if isinstance(value, bool):
            return "yes" if value else "no"
        return str(value) if isinstance(value, str) or self.form is None else self.form(value)


def named(*names: str) -> list[Column]:
    """Return columns of words that name a row."""
    return [Column(name, label=True) for name in names]


def numbers(form: Form, *names: str) -> list[Column]:
    """Return columns of numbers that are written alike."""
    return [Column(name, form) for name in names]


@dataclass(frozen=True)
class StudyTable:
    """One table.

    name
        by which a document asks for it, such as ``claims``.
    rows
        values in the order of the columns; numbers that do not exist are None.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    note: str = ""

    def to_table(self) -> Table:
        """Return what a reader sees."""
        cells = [[column.text(value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]
        right = frozenset(column.name for column in self.columns if column.form is not None)
        return Table(self.title, [column.name for column in self.columns], cells, self.note, right)

    def to_json(self) -> dict[str, object]:
        """Return the table as plain values."""
        rows = [dict(zip((column.name for column in self.columns), map(stored, row), strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "note": self.note}

    def numbers(self) -> Iterator[tuple[str, str]]:
        """Yield every cell as ``TABLE/ROW/COLUMN`` and what is written there; rows of equal names are told apart by their number."""
        seen: dict[str, int] = {}
        for row in self.rows:
            pairs = list(zip(self.columns, row, strict=True))
            key = "-".join(plain(column.text(value)) for column, value in pairs if column.label) or "row"
            seen[key] = seen.get(key, 0) + 1
            key = key if seen[key] == 1 else f"{key}-{seen[key]}"
            for column, value in pairs:
                yield f"{self.name}/{key}/{plain(column.name)}", column.text(value)


def plain(text: str) -> str:
    """Return a name of letters, digits, dots and underscores."""
    return NOT_PLAIN.sub("_", text).strip("_")


def stored(value: Value) -> Value:
    """Return a value as JSON holds it: finite, with ten significant digits."""
    if isinstance(value, bool) or not isinstance(value, float | int):
        return value
    if not math.isfinite(value):
        return None
    return int(value) if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def known(value: float | None) -> float | None:
    """Return a number, or None where there is none."""
    return None if value is None or not math.isfinite(value) else float(value)
