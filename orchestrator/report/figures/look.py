"""How a figure in a file looks: its width, the size of its text and lines, and whether it has a title."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from orchestrator.contracts import InputError

POINTS_PER_INCH = 72.0
INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / POINTS_PER_INCH}
"""Inches per unit; a point is that of PDF, 1/72 in."""
WIDTH = re.compile(r"(\d+(?:\.\d+)?)(in|cm|mm|pt)")
NARROWEST, WIDEST = 1.5, 40.0


@dataclass(frozen=True)
class Look:
    """A look.

    width
        in inches.
    text, small
        sizes in points: of labels, and of ticks and the legend; nothing is smaller.
    line
        width of a line in points.
    title
        whether the figure says what it is; a caption does so in a paper.
    """

    width: float
    text: float
    small: float
    line: float
    title: bool = True

    def letters(self, share: float = 1.0) -> int:
        """Return how many small letters stand side by side on a share of the width."""
        return max(8, int(share * self.width * POINTS_PER_INCH / (0.53 * self.small)))


PLAIN_LOOK = Look(width=8.0, text=10, small=8, line=1.6)
LOOKS = {"paper": Look(width=3.3, text=8, small=7, line=1.1), "talk": Look(width=10.0, text=18, small=15, line=3.0)}
"""A column of a paper, at the size at which it is printed, and a slide."""


def look_of(style: str | None = None, width: float | None = None, title: bool = True) -> Look:
    """Return a look.

    Parameters
    ----------
    style
        one of ``LOOKS``; None is that of a page.
    width
        in inches; None is the style's own.
    """
    look = PLAIN_LOOK if style is None else LOOKS[style]
    return replace(look, width=look.width if width is None else width, title=title)


def inches(text: str) -> float:
    """Read a width with its unit, as inches.

    Raises
    ------
    InputError
        if it is none, or too narrow or wide for a figure.

    Examples
    --------
    >>> inches("3.3in"), round(inches("84mm"), 2), inches("252pt")
    (3.3, 3.31, 3.5)
    """
    found = WIDTH.fullmatch(text)
    if found is None:
        raise InputError(f"{text[:40]!r}: a width with its unit was expected, such as 3.3in, 84mm, 8.4cm or 240pt")
    width = float(found[1]) * INCHES[found[2]]
    if not NARROWEST <= width <= WIDEST:
        raise InputError(f"{text!r}: a figure must be {NARROWEST:g} to {WIDEST:g} inches wide: choose another width")
    return width
