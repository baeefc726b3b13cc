"""A table in blocks of columns that fit a column of a paper at 7 points: nothing is shrunk, names stand in each block, long cells wrap."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.report.table import Table

WRAPPED = 0.6
"""Width of a wrapped column of figures, as a share of that of its longest cell on one line: it takes two lines."""
TEXT_PT, LEADING_PT = 7.0, 8.4
COLUMN_PT = 238.0
"""Width of a column of a two-column paper, 3.3 in, in TeX's points."""
GAP_PT = 5.0
"""Between two columns: twice ``\\tabcolsep``."""
FEWEST_FOR_FIGURES_PT = 74.0
"""What names leave to the figures beside them."""
WIDE, NARROW = frozenset("mwMW%@&#"), frozenset("ijltfrI.,:;'|![](){}/- ")
WIDTHS_PT = {"wide": 6.7, "capital": 5.8, "usual": 4.25, "narrow": 3.0, "other": 7.5}
"""Of letters in Computer Modern at 7 points, or a little more."""
PIECE = re.compile(r" +|[^_\-/ ]*[_\-/]+|[^_\-/ ]+")
"""What stands together: a line may end after it."""


@dataclass(frozen=True)
class Column:
    """One column: its place in the table, whether it is set to the right, and its width in points if its cells wrap."""

    place: int
    right: bool
    width: float | None = None


def blocks(table: Table, column_pt: float = COLUMN_PT) -> Iterator[list[Column]]:
    """Yield the columns of each block. Those of names, which come before the first figure, begin every block."""
    natural = [max(width_of(cell) for cell in cells) for cells in zip(table.columns, *table.rows, strict=True)]
    rights = [column in table.right for column in table.columns]
    first = next((place for place, right in enumerate(rights) if right), len(rights))
    figures = range(first, len(rights))
    room = column_pt - GAP_PT * max(0, first - 1) - (FEWEST_FOR_FIGURES_PT + GAP_PT if figures else 0)
    names = list(_names(natural[:first], room))
    left = column_pt - sum(column.width or natural[column.place] for column in names) - GAP_PT * len(names)
    block, free = list(names), left
    for place in figures:
        column = Column(place, rights[place], None if natural[place] <= left else min(left, WRAPPED * natural[place]))
        needed = column.width or natural[place]
        if len(block) > len(names) and needed > free:
            yield block
            block, free = list(names), left
        block.append(column)
        free -= needed + GAP_PT
    if block:
        yield block


def _names(natural: Sequence[float], room: float) -> Iterator[Column]:
    """Yield the columns of names: as wide as they are, and if they do not fit, those that are wider than a fair share wrap."""
    widths: dict[int, float | None] = {}
    free, waiting = room, sorted(range(len(natural)), key=lambda place: natural[place])
    for number, place in enumerate(waiting):
        share = free / (len(waiting) - number)
        widths[place] = None if natural[place] <= share else share
        free -= min(natural[place], share)
    yield from (Column(place, False, widths[place]) for place in range(len(natural)))


def width_of(text: str) -> float:
    """Return about how wide a text is in points, rather too much than too little."""
    return sum(WIDTHS_PT[_kind(letter)] for letter in text)


def _kind(letter: str) -> str:
    if letter in WIDE:
        return "wide"
    if letter in NARROW:
        return "narrow"
    if not letter.isascii():
        return "other"
    return "capital" if letter.isupper() else "usual"


def pieces(text: str, width: float) -> Iterator[str]:
    """Yield the parts of a text after each of which a line may end; no word is wider than a column of this width.

    Examples
    --------
    >>> list(pieces("lite0_samples 0.900 [0.893, 0.900]", 60))
    ['lite0_', 'samples', ' ', '0.900', ' ', '[0.893,', ' ', '0.900]']
    """
    for piece in PIECE.findall(text):
        part = ""
        for letter in piece:
            if part.strip() and width_of(part + letter) > width:
                yield part
                part = ""
            part += letter
        yield part
