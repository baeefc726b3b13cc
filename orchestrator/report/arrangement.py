"""In what columns and blocks a table is printed in the width there is, and which names stand above its rows instead of beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from rich.cells import cell_len

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
        return framed(self.widths)


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
    natural = [max((cell_len(text) for text in column), default=0) for column in columns_of(heads, rows)]
    everything = tuple(range(len(heads)))
    if width is None or framed(natural) <= width:
        return [Block(everything, tuple(natural))]
    words = [_longest_word(column) for column in columns_of(heads, rows)]
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


def names_above(
    heads: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[str] = frozenset(), width: int | None = None
) -> tuple[tuple[int, ...], list[Block]]:
    """Return the places of the names that stand above their rows, and the blocks of all else: none and those of `arrange` where these do.

    Names stand above, in a part for each of them, where each row has one line then and none would have otherwise, or where several
    blocks would take more lines than a screen has and more than such parts. A part has two rows on average, or it would save nothing.
    """
    found = arrange(heads, rows, right, width)
    if width is None or len(found) == 1 or (found and len(rows) <= SCREEN):
        return (), found
    natural = [max(map(cell_len, column)) for column in columns_of(heads, rows)]
    for above, parts in _which_above(heads, rows):
        left = tuple(place for place in range(len(heads)) if place not in above)
        block = Block(left, tuple(natural[place] for place in left))
        if block.width <= width and (not found or len(rows) + RULED * parts < len(found) * len(rows)):
            return above, [block]
    return (), found


def _which_above(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield one name, from the left, then two of few parts, each with the number of its parts."""
    names = [place for place, head in enumerate(heads) if head in NAMES]

    def parts(above: tuple[int, ...]) -> int:
        return len({tuple(row[place] for place in above) for row in rows})

    for above in (*((place,) for place in names), *sorted(combinations(names, 2), key=parts)):
        if len(above) < len(heads) and 2 * parts(above) <= len(rows):
            yield above, parts(above)


SCREEN = 24
"""Lines of a usual terminal."""
RULED = 5
"""Lines that a part takes beside its rows."""


def columns_of(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the texts of each column, its heading first."""
    return [[head, *(row[place] for row in rows)] for place, head in enumerate(heads)]


def framed(widths: Sequence[int]) -> int:
    """Return how wide columns of these widths are with all lines and blanks."""
    return sum(widths) + FRAME * len(widths) + EDGE


def _longest_word(texts: Sequence[str]) -> int:
    return max((cell_len(word) for text in texts for word in text.split(" ")), default=0)


def _blocks(names: Sequence[int], others: Sequence[int], least: Sequence[int], width: int) -> list[tuple[int, ...]]:
    """Return the columns of each block, as few as possible in this order; nothing if a column does not fit beside the names."""

    def fits(chosen: Sequence[int]) -> bool:
        return framed([least[place] for place in (*names, *chosen)]) <= width

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
    left = width - framed(widths)
    wanting = sorted((place for place in range(len(widths)) if natural[place] > widths[place]), key=lambda at: natural[at] - widths[at])
    for count, place in enumerate(wanting):
        more = min(natural[place] - widths[place], left // (len(wanting) - count))
        widths[place] += more
        left -= more
    return tuple(widths)
