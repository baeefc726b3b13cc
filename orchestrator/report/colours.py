"""Colours and dashes that readers tell apart, also those who see fewer colours, and in black and white."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import product
from typing import TypeVar

COLOURS = ("#0072b2", "#d55e00", "#000000", "#009e73", "#b5457f", "#56b4e9", "#4b0092", "#e69f00")
"""After Okabe and Ito (Color Universal Design, 2008), for thin lines on white: violet in place of yellow, and a darker purple."""
DARK_COLOURS = ("#56a9e8", "#f28c4b", "#f2f4f7", "#4ce08f", "#ff5fa8", "#f22963", "#a877ff", "#fcc91c")
"""As many for a dark ground."""
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.2, 1.6), (7, 2, 1.2, 2), (2.5, 1.2), (9, 2.5, 3, 2.5))
"""Lengths of strokes and gaps, in widths of the line; none is a whole line."""

Key = TypeVar("Key", bound=Hashable)


def line_styles(wanted: Iterable[tuple[Key, int, int]]) -> dict[Key, tuple[int, tuple[float, ...]]]:
    """Return the number of a colour, and dashes, for each line, no two alike while there are such.

    ``wanted`` are a key and the numbers of its colour and its dashes, which it gets unless another line has this pair.
    """
    pairs = list(product(range(len(DASHES)), range(len(COLOURS))))
    taken: set[tuple[int, int]] = set()
    found: dict[Key, tuple[int, tuple[float, ...]]] = {}
    for key, colour, dash in wanted:
        pair = dash % len(DASHES), colour % len(COLOURS)
        if pair in taken:
            pair = next((free for free in pairs if free not in taken), pair)
        taken.add(pair)
        found[key] = pair[1], DASHES[pair[0]]
    return found
