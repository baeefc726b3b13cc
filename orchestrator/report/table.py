"""A table as data, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text under a title.

    right
        names of the columns that hold numbers.
    within_ns
        the threshold that all its figures belong to, where a page has such a table for each of them; otherwise None.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    right: frozenset[str] = frozenset()
    within_ns: int | None = None


def to_markdown(table: Table) -> str:
    """Return a section with the table and its note."""
    rules = ["---:" if column in table.right else "---" for column in table.columns]
    lines = [f"## {table.title}", ""]
    if table.rows:
        lines += [_row(table.columns), _row(rules), *(_row([_escape(cell) for cell in row]) for row in table.rows), ""]
    if table.note:
        lines += [table.note, ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_text(text: str) -> str:
    """Return what Markdown shows as this text: HTML in names is none."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _escape(cell: str) -> str:
    """Keep a cell within its column, and HTML in names as text."""
    return as_text(cell).replace("|", "\\|").replace("\n", " ")
