"""The picture of a comparison: each trial's difference between fresh processes with its limits, over the noise floor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from orchestrator.compare.campaigns import Comparison
from orchestrator.compare.comparison_tables import names_of, threshold_text
from orchestrator.compare.rows import WORSE, Compared
from orchestrator.report.svg import INK, QUIET, RULE, Drawing, width_of
from orchestrator.report.text import signed

ROW, TOP, BOTTOM, PLOT_WIDTH = 26.0, 44.0, 48.0, 460.0
MOST_LETTERS = 60
COLOURS = {WORSE: "#b3261e", "better": "#00694a"}
NOTE = (
    "Dot and line: the difference between means of fresh processes, with its limits for all rows together. Grey band: the noise "
    "floor, the smallest drop that these repeats would find with 80 % probability. Left of zero the candidate is worse."
)
"""What the marks mean."""


def difference_picture(comparison: Comparison) -> str | None:
    """Return the picture as SVG, worst trials on top, or None where no trial has a difference with bounds."""
    rows = [row for row in comparison.rows if row.verdict is not None and row.verdict.found.method != "none"]
    if not rows:
        return None
    names = [label_of(row, name) for row, name in zip(rows, names_of(comparison, rows), strict=True)]
    left = max(width_of(name) for name in names) + 20
    reach = max(1e-6, *(1.05 * max(abs(limit) for limit in _limits(row)) for row in rows))
    right = max(width_of(_outcome(row), 12) for row in rows) + 20
    drawing = Drawing(
        left + PLOT_WIDTH + right, TOP + ROW * len(rows) + BOTTOM, "Differences of mean tail quality, candidate minus baseline"
    )

    def x_of(difference: float) -> float:
        return left + PLOT_WIDTH * (difference + reach) / (2 * reach)

    bottom = TOP + ROW * len(rows)
    drawing.text(x_of(0) - 8, 20, "worse", QUIET, 12, "end")
    drawing.text(x_of(0) + 8, 20, "better", QUIET, 12)
    for number, (row, name) in enumerate(zip(rows, names, strict=True)):
        _row(drawing, TOP + ROW * (number + 0.5), row, name, left, x_of)
    for value in _ticks(reach):
        drawing.path([(x_of(value), TOP), (x_of(value), bottom + 4)], INK if value == 0 else RULE, 1)
        drawing.text(x_of(value), bottom + 18, f"{value:+.3g}" if value else "0", QUIET, 12, "middle")
    drawing.text(x_of(0), bottom + 36, "difference of mean tail quality, candidate minus baseline", QUIET, 12, "middle")
    return drawing.to_svg()


def label_of(row: Compared, names: Sequence[str]) -> str:
    """Return the names that tell a row from the others, with its threshold; an overlong one is cut in its middle."""
    text = ", ".join([*names, threshold_text(row)])
    half = MOST_LETTERS // 2
    return text if len(text) <= MOST_LETTERS else f"{text[:half]} … {text[-half:]}"


def _limits(row: Compared) -> tuple[float, ...]:
    assert row.verdict is not None
    return row.verdict.found.low, row.verdict.found.high, row.verdict.detectable_drop


def _row(drawing: Drawing, y: float, row: Compared, name: str, left: float, x_of: Callable[[float], float]) -> None:
    assert row.verdict is not None
    found, floor = row.verdict.found, row.verdict.detectable_drop
    colour = COLOURS.get(row.kind, INK)
    drawing.box(x_of(-floor), y - ROW * 0.36, max(x_of(floor) - x_of(-floor), 1.0), ROW * 0.72, "#9aa3ad", 0.35)
    drawing.path([(x_of(found.low), y), (x_of(found.high), y)], colour, 2)
    for limit in (found.low, found.high):
        drawing.path([(x_of(limit), y - 5), (x_of(limit), y + 5)], colour, 2)
    drawing.dot(x_of(found.difference), y, colour)
    drawing.text(left - 10, y + 4, name, INK, 13, "end")
    drawing.text(left + PLOT_WIDTH + 10, y + 4, _outcome(row), colour, 12)


def _outcome(row: Compared) -> str:
    """Write the difference of a row and what it comes to."""
    assert row.verdict is not None
    return f"{signed(row.verdict.found.difference)} {row.kind}"


def _ticks(reach: float) -> list[float]:
    """Return 0 and round numbers on either side of it."""
    power = 10.0 ** math.floor(math.log10(reach))
    step = next(step for step in (5 * power, 2 * power, power, power / 2) if step <= reach / 1.5)
    count = math.floor(reach / step)
    return [step * number for number in range(-count, count + 1)]
