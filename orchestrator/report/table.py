"""A table as data, rendered for a terminal or as Markdown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

WIDEST = 10_000
"""Columns a table may take where no terminal limits it, so that nothing is cut."""


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


def printable(text: str) -> str:
    """Return text on one line in which nothing steers a terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def to_rich(table: Table) -> RichTable:
    """Return the table for a terminal. Text from configuration is shown as it is, never as markup."""
    made = RichTable(title=Text(printable(table.title), style="bold"), caption=Text(printable(table.note)) if table.note else None)
    made.title_justify = made.caption_justify = "left"
    for column in table.columns:
        made.add_column(Text(printable(column)), justify="right" if column in table.right else "left", no_wrap=column in table.right)
    for row in table.rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


def print_wide(table: Table) -> Console:
    """Print a table on stdout, as wide as it needs to be where no terminal limits it, and return the console that did."""
    made = to_rich(table)
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = Measurement.get(console, console.options.update(max_width=WIDEST), made).maximum
    console.print(made)
    return console


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_text(text: str) -> str:
    """Return what Markdown shows as this text: HTML in names is none."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _escape(cell: str) -> str:
    """Keep a cell within its column, and HTML in names as text."""
    return as_text(cell).replace("|", "\\|").replace("\n", " ")
