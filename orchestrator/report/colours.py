"""Colours and dashes that readers tell apart, also those who see fewer colours, and in black and white."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import product
from typing import TypeAlias, TypeVar

COLOURS = ("#0072b2", "#d55e00", "#000000", "#009e73", "#b5457f", "#56b4e9", "#4b0092", "#e69f00")
"""After Okabe and Ito (Color Universal Design, 2008), for thin lines on white: violet in place of yellow, and a darker purple."""
DARK_COLOURS = ("#56a9e8", "#f28c4b", "#f2f4f7", "#4ce08f", "#ff5fa8", "#f22963", "#a877ff", "#fcc91c")
"""As many for a dark ground."""
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.2, 1.6), (7, 2, 1.2, 2), (2.5, 1.2), (9, 2.5, 3, 2.5))
"""Lengths of strokes and gaps, in widths of the line; none is a whole line."""

AMOUNT = "#1f3f77"
"""What is shaded by how much there is of it, at its most."""

Key = TypeVar("Key", bound=Hashable)
Style: TypeAlias = tuple[str, tuple[float, ...]]


def style_of(number: int) -> Style:
    """Return colour and dashes of the line of that number: all colours whole first, then dashed."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]


def strokes(dashes: Sequence[float], width: float = 2.0) -> str:
    """Return dashes as SVG has them, for a line of this width.

    Examples
    --------
    >>> strokes((5, 2)), strokes(())
    ('10 4', '')
    """
    return " ".join(f"{width * length:g}" for length in dashes)


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


def styles(wanted: Iterable[tuple[Hashable, int, int]]) -> dict[Hashable, Style]:
    """Return a colour with dashes for each line, as `line_styles` does."""
    return {key: (COLOURS[colour], dashes) for key, (colour, dashes) in line_styles(wanted).items()}
