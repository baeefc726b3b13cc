"""A table as data, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.text import markdown_text


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
    lines = [f"## {markdown_text(table.title)}", ""]
    if table.rows:
        lines += [_row(table.columns), f"| {' | '.join(rules)} |", *(_row(row) for row in table.rows), ""]
    if table.note:
        lines += [markdown_text(table.note, at_start=True), ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(markdown_text, cells))} |"
