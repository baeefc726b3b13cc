"""A picture as SVG: a few kinds of mark, each placed in pixels. It needs no library, and names in it stay text."""

from __future__ import annotations

import html
from collections.abc import Sequence

from orchestrator.report.text import printable

INK, QUIET, RULE = "#1b1f24", "#56606b", "#d5dae0"
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
LETTER = 0.56
"""Width of a letter on average, as a share of the size of the text; generous, so that what is made to fit does."""

Point = tuple[float, float]


class Drawing:
    """A picture on white ground, so that it reads on dark pages too.

    Parameters
    ----------
    width, height
        in pixels.
    title
        what a screen reader says of it.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self._marks: list[str] = []
        self._head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_number(width)} {_number(height)}" width="{_number(width)}" '
            f'height="{_number(height)}" role="img" font-family="{html.escape(FONT)}">\n<title>{_shown(title)}</title>'
        )
        self.box(0, 0, width, height, "#ffffff")

    def box(self, x: float, y: float, width: float, height: float, fill: str, opacity: float = 1.0) -> None:
        """Draw a filled rectangle whose upper left corner is given."""
        place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
        self._marks.append(f'<rect {place} fill="{fill}" fill-opacity="{_number(opacity)}"/>')

    def path(self, points: Sequence[Point], colour: str, width: float = 1.0, dash: str = "") -> None:
        """Draw a line through points; ``dash`` holds lengths of strokes and gaps."""
        steps = " ".join(f"{'L' if number else 'M'}{_number(x)} {_number(y)}" for number, (x, y) in enumerate(points))
        pattern = f' stroke-dasharray="{dash}"' if dash else ""
        self._marks.append(
            f'<path d="{steps}" fill="none" stroke="{colour}" stroke-width="{_number(width)}" stroke-linejoin="round"{pattern}/>'
        )

    def area(self, points: Sequence[Point], fill: str, opacity: float = 1.0) -> None:
        """Fill what a closed line through points encloses."""
        steps = " ".join(f"{'L' if number else 'M'}{_number(x)} {_number(y)}" for number, (x, y) in enumerate(points))
        self._marks.append(f'<path d="{steps} Z" fill="{fill}" fill-opacity="{_number(opacity)}"/>')

    def dot(self, x: float, y: float, colour: str, radius: float = 4.5) -> None:
        """Draw a disc."""
        self._marks.append(f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}" fill="{colour}"/>')

    def text(self, x: float, y: float, text: str, colour: str = INK, size: float = 13, anchor: str = "start", bold: bool = False) -> None:
        """Write text that starts, ends or has its middle at a place; ``y`` is its base line."""
        weight = ' font-weight="600"' if bold else ""
        place = f'x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}"'
        self._marks.append(f'<text {place} font-size="{_number(size)}" fill="{colour}"{weight}>{_shown(text)}</text>')

    def to_svg(self) -> str:
        """Return the picture."""
        return "\n".join([self._head, *self._marks, "</svg>\n"])


def width_of(text: str, size: float = 13) -> float:
    """Return about how wide a text is, rather too much than too little."""
    return LETTER * size * len(printable(text))


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return rising places near the wanted ones, in their order, at least ``gap`` apart and within limits as far as these have room.

    Examples
    --------
    >>> spread([10, 11, 50], 10, 0, 100)
    [10, 20, 50]
    >>> spread([95, 99], 10, 0, 100)
    [90, 100]
    """
    found: list[float] = []
    for place in wanted:
        found.append(max(place, found[-1] + gap) if found else max(place, low))
    limit = high
    for number in reversed(range(len(found))):
        found[number] = min(found[number], limit)
        limit = found[number] - gap
    return found


def _shown(text: str) -> str:
    return html.escape(printable(text))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
