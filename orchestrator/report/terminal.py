"""What a command says on stdout: tables in the width there is, and lines; nothing in them steers a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.report.arrangement import Block, columns_of, framed, names_above
from orchestrator.report.table import Table
from orchestrator.report.text import printable


def fits(table: Table, width: int | None) -> bool:
    """Return whether a table fits a terminal of this width as it is, with no line broken and no column apart."""
    columns = columns_of([printable(head) for head in table.columns], [[printable(cell) for cell in row] for row in table.rows])
    return width is None or framed([max((cell_len(text) for text in column), default=0) for column in columns]) <= width


def wrapped(text: str, width: int | None) -> Iterator[str]:
    """Yield lines of at most this width, broken at spaces; a word that is longer has lines of its own, broken behind dashes.

    A word with a slash is a path and is not broken: it would be none any more.
    """
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and width is not None and cell_len(longer) > width:
            yield from _pieces(line, width)
            longer = word
        line = longer
    yield from _pieces(line, width)


def _pieces(line: str, width: int | None) -> Iterator[str]:
    """Yield a line, or the pieces of the one long word that it is."""
    if width is None or cell_len(line) <= width or " " in line or "/" in line:
        yield line
        return
    piece = ""
    for part in re.findall(r"[^-]*-+|[^-]+", line):
        if piece and cell_len(piece + part) > width:
            yield piece
            piece = ""
        piece += part
    yield piece


def stacked(heads: Sequence[str], row: Sequence[str], width: int | None) -> Iterator[str]:
    """Yield the lines of one row whose cells stand one under another, each after its heading."""
    for head, cell in zip(heads, row, strict=True):
        if cell:
            text = f"{head}: {cell}"
            first = next(wrapped(text, width))
            yield first
            rest = text[len(first) :].removeprefix(" ")
            for line in wrapped(rest, None if width is None else width - 2) if rest else ():
                yield line if width is not None and cell_len(line) + 2 > width else f"  {line}"


WIDEST = 1_000_000
"""Width for rich, which must not break lines again; a height goes with it, or a dumb terminal counts as 80 wide."""
USUAL = 80
"""Columns of a terminal that reports none."""
READABLE = 100
"""A note of a table without a limit is as wide as that table, and at least this wide."""


class Terminal:
    """Writes to ``stream``, stdout where none is given, whether that is a terminal, a pipe or a file."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stdout
        self.width = width_of(stream, os.environ)
        self.fine = (stream.encoding or "").lower().replace("-", "") == "utf8"
        self._console = Console(file=stream, width=WIDEST, height=25, highlight=False, markup=False, emoji=False)

    def table(self, table: Table) -> None:
        """Print a table with its title and note."""
        for part in row_parts(table, self.width):
            self._console.print(part)

    def line(self, text: str = "") -> None:
        """Print one line as it is, however long."""
        self._console.print(Text(printable(text)))

    def prose(self, text: str, style: str = "") -> None:
        """Print a sentence, broken at spaces where the terminal ends."""
        for line in wrapped(printable(text), self.width):
            self._console.print(Text(line, style=style))

    def lines(self, made: Iterable[Text]) -> None:
        """Print lines that are made for this terminal's width, in their colours where it shows any."""
        for line in made:
            self._console.print(line)


def width_of(stream: TextIO, environment: Mapping[str, str]) -> int | None:
    """Return what limits a line: COLUMNS where it is set, else the width of the terminal; None if there is neither."""
    columns = environment.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns):
        return int(columns)
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL
    except (OSError, ValueError):
        return USUAL


def row_parts(table: Table, width: int | None) -> Iterator[RenderableType]:
    """Yield what is printed of a table, from title to note."""
    heads = [printable(head) for head in table.columns]
    rows = [[printable(cell) for cell in row] for row in table.rows]
    above, blocks = names_above(heads, rows, table.right, width)
    broad = width if width is not None else max(READABLE, *(block.width for block in blocks))
    for line in wrapped(printable(table.title), broad):
        yield Text(line, style="bold")
    for names in dict.fromkeys(tuple(row[place] for place in above) for row in rows) if above else [()]:
        if names:
            said = ", ".join(f"{heads[place]} {name}" for place, name in zip(above, names, strict=True))
            yield from (Text(line) for line in wrapped(said, broad))
        of_part = [row for row in rows if tuple(row[place] for place in above) == names]
        for block in blocks:
            yield _block(heads, of_part, table.right, block)
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
        made.add_row(*(Text(row[place], style=style_of(heads[place], row[place])) for place in block.columns))
    return made


JUDGED = frozenset(["is", "state", "verdict", "gate"])
"""Headings of columns that judge."""
STYLES = {
    "good": "green", "done": "green", "better": "green", "doubtful": "yellow", "interrupted": "yellow", "no verdict": "yellow",
    "bad": "red", "worse": "red", "failed": "red", "infeasible": "red",
}  # fmt: skip


def style_of(head: str, cell: str) -> str:
    """Return the colour of a cell that judges, by how it begins; no colour for others."""
    return next((style for word, style in STYLES.items() if cell.startswith(word)), "") if head in JUDGED else ""
