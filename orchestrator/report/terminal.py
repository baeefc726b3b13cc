"""What a command says on stdout: tables in the width there is, and lines; nothing in them steers a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.report.table import Table
from orchestrator.report.text import printable

NAMES = frozenset(
    ["campaign", "trial", "model", "task", "system", "runtime", "batch", "settings", "repeat", "clock", "threshold", "metric", "slice"]
) | {"system / runtime", "sample", "round", "pair", "group"}
"""Headings of columns that say what a row is about."""
COMFORTABLE = 24
"""Least width of a long text, if the table then fits."""
FRAME, EDGE = 3, 1
"""Width of lines and blanks: per column, and once."""


@dataclass(frozen=True)
class Block:
    """Some columns of a table, by place, each as wide as ``widths`` says, in cells of a terminal."""

    columns: tuple[int, ...]
    widths: tuple[int, ...]

    @property
    def width(self) -> int:
        """Return the width with all lines and blanks."""
        return _framed(self.widths)


def arrange(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[str] = frozenset(), width: int | None = None
) -> list[Block]:
    """Return the blocks that a table is printed in, one below the other; none where its rows must be written one under another.

    Every block has the columns of names, or where these leave no room the fewest that tell the rows apart. Every word of a cell stands
    whole, and lines break at spaces alone; figures do not break at all, unless there is no other way.

    Parameters
    ----------
    heads, rows
        as they are printed.
    right
        headings of columns that hold figures.
    width
        of the terminal, in cells; None if nothing limits it.
    """
    natural = [max((cell_len(text) for text in column), default=0) for column in _columns(heads, rows)]
    everything = tuple(range(len(heads)))
    if width is None or _framed(natural) <= width:
        return [Block(everything, tuple(natural))]
    words = [_longest_word(column) for column in _columns(heads, rows)]
    names = identity_columns(heads, rows)
    cells = [max((cell_len(row[place]) for row in rows), default=0) for place in everything]
    comfortable = [
        max(words[place], cells[place] if place in names or heads[place] in right else min(natural[place], COMFORTABLE))
        for place in everything
    ]
    for told_by in (names, fewest_names(heads, rows, comfortable)):
        others = [place for place in everything if place not in told_by]
        for least in (comfortable, words):
            if blocks := _blocks(told_by, others, least, width):
                return [Block(block, _spread([least[at] for at in block], [natural[at] for at in block], width)) for block in blocks]
    return []


def fits(table: Table, width: int | None) -> bool:
    """Return whether a table fits a terminal of this width as it is, with no line broken and no column apart."""
    columns = _columns([printable(head) for head in table.columns], [[printable(cell) for cell in row] for row in table.rows])
    return width is None or _framed([max((cell_len(text) for text in column), default=0) for column in columns]) <= width


def identity_columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Return the places of the columns that tell the rows apart: those with names, and as many others as it takes, from the left."""
    chosen = {place for place, head in enumerate(heads) if head in NAMES}
    different = len({tuple(row) for row in rows})
    for place in range(len(heads)):
        if chosen and len({tuple(row[at] for at in sorted(chosen)) for row in rows}) == different:
            break
        chosen.add(place)
    return tuple(sorted(chosen))


def fewest_names(heads: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> tuple[int, ...]:
    """Return the places of some names that are enough to tell the rows apart: wide ones are done without first, the model never."""
    chosen = list(identity_columns(heads, rows))
    different = len({tuple(row) for row in rows})
    for place in sorted((at for at in chosen if heads[at] != "model"), key=lambda at: -widths[at]):
        others = [at for at in chosen if at != place]
        if others and len({tuple(row[at] for at in others) for row in rows}) == different:
            chosen = others
    return tuple(chosen)


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


def _columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[head, *(row[place] for row in rows)] for place, head in enumerate(heads)]


def _framed(widths: Sequence[int]) -> int:
    return sum(widths) + FRAME * len(widths) + EDGE


def _longest_word(texts: Sequence[str]) -> int:
    return max((cell_len(word) for text in texts for word in text.split(" ")), default=0)


def _blocks(names: Sequence[int], others: Sequence[int], least: Sequence[int], width: int) -> list[tuple[int, ...]]:
    """Return the columns of each block, as few as possible in this order; nothing if a column does not fit beside the names."""

    def fits(chosen: Sequence[int]) -> bool:
        return _framed([least[place] for place in (*names, *chosen)]) <= width

    blocks: list[list[int]] = [[]]
    for place in others:
        if not fits([place]):
            return []
        if not fits([*blocks[-1], place]):
            blocks.append([])
        blocks[-1].append(place)
    return [tuple(sorted((*names, *block))) for block in blocks] if fits([]) else []


def _spread(least: Sequence[int], natural: Sequence[int], width: int) -> tuple[int, ...]:
    """Return widths that fill the line, no column wider than it needs; those that need little get it first."""
    widths = list(least)
    left = width - _framed(widths)
    wanting = sorted((place for place in range(len(widths)) if natural[place] > widths[place]), key=lambda at: natural[at] - widths[at])
    for count, place in enumerate(wanting):
        more = min(natural[place] - widths[place], left // (len(wanting) - count))
        widths[place] += more
        left -= more
    return tuple(widths)


WIDEST = 1_000_000
"""Width for rich, which must not break lines again; a height goes with it, or a dumb terminal counts as 80 wide."""
USUAL = 80
"""Columns of a terminal that reports none."""
READABLE = 100
"""A note of a table without a limit is as wide as that table, and at least this wide."""


class _Output(Console):
    """Tells of a reader that has left by the exception that the program waits for; rich would ask the program to end."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Terminal:
    """Writes to ``stream``, stdout where none is given, whether that is a terminal, a pipe or a file."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stdout
        self.width = width_of(stream, os.environ)
        self.fine = (stream.encoding or "").lower().replace("-", "") == "utf8"
        self._console = _Output(file=stream, width=WIDEST, height=25, highlight=False, markup=False, emoji=False)

    def table(self, table: Table) -> None:
        """Print a table with its title and note."""
        for part in row_parts(table, self.width):
            self._console.print(part)

    def line(self, text: str = "") -> None:
        """Print one line as it is, however long."""
        self._console.print(Text(printable(text)))

    def prose(self, text: str) -> None:
        """Print a sentence, broken at spaces where the terminal ends."""
        for line in wrapped(printable(text), self.width):
            self._console.print(Text(line))

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
