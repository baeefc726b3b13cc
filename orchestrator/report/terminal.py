"""What a command says on stdout: tables of rich in the width there is, and lines.

Nothing in them steers a terminal.
"""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.report.table import Table
from orchestrator.report.text import printable

# Headings of columns that name a trial; they share one where the table is too wide otherwise.
NAMES = {"model", "task", "system", "runtime", "load", "batch", "settings", "repeat"}
# Colours of cells in columns that judge, by how they begin.
STYLES = {
    **dict.fromkeys(("good", "done", "better"), "green"),
    **dict.fromkeys(("doubtful", "interrupted", "no verdict"), "yellow"),
    **dict.fromkeys(("bad", "worse", "failed", "infeasible"), "red"),
}

Columns = Sequence[Sequence[str]]  # the heading of each, then its cells


class Terminal:
    """Writes to ``stream``, stdout where none is given.

    Lines are as wide as COLUMNS or the terminal says, 120 cells in a pipe.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.width = shutil.get_terminal_size((120, 0)).columns
        self._console = Console(
            file=stream or sys.stdout,
            width=self.width,
            height=25,  # goes with the width, or a dumb terminal counts as 80 wide
            highlight=False,
            markup=False,
            emoji=False,
        )
        self.fine = self._console.encoding.startswith("utf")

    def table(self, table: Table) -> None:
        self.prose(table.title, "bold")
        made = _laid_out(table, self.width)
        if made is not None:
            self._console.print(made)
        for row in table.rows if made is None else ():
            for head, cell in zip(table.columns, row, strict=True):
                self.prose(f"{head}: {cell}" if cell else "")
            self.line()
        self.prose(table.note.strip(), "dim italic")

    def tables(self, tables: Iterable[Table]) -> None:
        """Print tables, with an empty line after each."""
        for table in tables:
            self.table(table)
            self.line()

    def line(self, text: str = "") -> None:
        """Print one line as it is, however long."""
        self.lines([Text(printable(text))])

    def prose(self, text: str, style: str = "") -> None:
        """Print a sentence, broken at spaces where the terminal ends."""
        self.lines(Text(line, style) for line in wrapped(printable(text), self.width))

    def lines(self, made: Iterable[Text]) -> None:
        """Print lines that are made for this terminal's width, in their colours."""
        for line in made:
            self._console.print(line, soft_wrap=True)


def wrapped(text: str, width: int) -> list[str]:
    """Return lines of at most this width, broken at spaces.

    A longer word, such as a path, stays whole and can be pasted.
    """
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def fits(table: Table, width: int) -> bool:
    """Return whether a table fits with no line broken."""
    return sum(map(_widest, _columns(table))) + 2 * len(table.columns) - 2 <= width


def _laid_out(table: Table, width: int) -> RichTable | None:
    """Return a table of rich with figures and words whole; None where that is too wide.

    If need be it has one column for all names.
    """
    plain = _columns(table)
    named = [one for one in plain if one[0] in NAMES]
    joined = [" · ".join(filter(None, row)) for row in zip(*named, strict=True)]
    together = [joined, *(one for one in plain if one[0] not in NAMES)]
    for columns in (plain, together) if named else (plain,):
        whole = [max(_widest(cells), _longest_word([head])) for head, *cells in columns]
        wraps = [
            size if column[0] in table.right else _longest_word(column)
            for column, size in zip(columns, whole, strict=True)
        ]
        for sizes in [*map(_widest, columns)], whole, *([wraps] if len(table.rows) > 1 else []):
            for gap in (2, 1):
                if sum(sizes) + gap * (len(sizes) - 1) <= width:
                    return _in_columns(columns, table.right, sizes, gap, sizes is wraps)
    return None


def _in_columns(
    columns: Columns, right: frozenset[str], sizes: Sequence[int], gap: int, wraps: bool
) -> RichTable:
    made = RichTable(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),
        expand=wraps,
        leading=wraps,
    )
    for (head, *cells), size in zip(columns, sizes, strict=True):
        share = size + gap - 1 if _widest(cells) > size else None
        made.add_column(
            Text(head),
            justify="right" if head in right else "left",
            width=size,
            ratio=share,
            overflow="fold",
        )
    heads, *rows = zip(*columns, strict=True)
    for row in rows:
        made.add_row(*(Text(*pair) for pair in zip(row, map(style_of, heads, row), strict=True)))
    return made


def style_of(head: str, cell: str) -> str:
    """Return the colour of a cell that judges, by how it begins; no colour for others."""
    judges = head in ("is", "state", "verdict", "gate")
    return next((style for word, style in STYLES.items() if judges and cell.startswith(word)), "")


def _columns(table: Table) -> Columns:
    return [[*map(printable, column)] for column in zip(table.columns, *table.rows, strict=True)]


def _widest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _longest_word(texts: Iterable[str]) -> int:
    return _widest(word for text in texts for word in text.split())
