"""What a command says on stdout: tables in the width there is, and lines; nothing in them steers a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import TextIO

from rich.console import Console, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.report.arrangement import Block, arrange, stacked, wrapped
from orchestrator.report.printable import printable
from orchestrator.report.table import Table

WIDEST = 1_000_000
"""Of rich, which must break no line that is not broken already; a height goes with it, or a dumb terminal counts as 80 wide."""
USUAL = 80
"""Columns of a terminal that does not tell."""
READABLE = 100
"""A note beside a table that nothing limits is as wide as that table, and at least so wide."""


class Terminal:
    """Writes to ``stream``, stdout where none is given, whether that is a terminal, a pipe or a file."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stdout
        self.width = width_of(stream, os.environ)
        self._console = Console(file=stream, width=WIDEST, height=25, highlight=False, markup=False, emoji=False)

    def table(self, table: Table) -> None:
        """Print a table with its title and note."""
        for part in parts(table, self.width):
            self._console.print(part)

    def line(self, text: str = "") -> None:
        """Print one line as it is, however long."""
        self._console.print(Text(printable(text)))


def width_of(stream: TextIO, environment: Mapping[str, str]) -> int | None:
    """Return what limits a line: COLUMNS where it is set, else the width of the terminal; None where there is neither."""
    told = environment.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told):
        return int(told)
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL
    except (OSError, ValueError):
        return USUAL


def parts(table: Table, width: int | None) -> Iterator[RenderableType]:
    """Yield what is printed of a table, from title to note."""
    heads = [printable(head) for head in table.columns]
    rows = [[printable(cell) for cell in row] for row in table.rows]
    blocks = arrange(heads, rows, table.right, width)
    broad = width if width is not None else max(READABLE, *(block.width for block in blocks))
    for line in wrapped(printable(table.title), broad):
        yield Text(line, style="bold")
    for block in blocks:
        yield _block(heads, rows, table.right, block)
    if not blocks:
        for row in rows:
            for line in stacked(heads, row, width):
                yield Text(line)
            yield Text("")
    if table.note:
        for line in wrapped(printable(table.note.strip()), broad):
            yield Text(line, style="dim italic")


def _block(heads: list[str], rows: list[list[str]], right: frozenset[str], block: Block) -> RichTable:
    made = RichTable()
    for place, width in zip(block.columns, block.widths, strict=True):
        made.add_column(Text(heads[place]), justify="right" if heads[place] in right else "left", width=width, overflow="fold")
    for row in rows:
        made.add_row(*(Text(row[place]) for place in block.columns))
    return made
