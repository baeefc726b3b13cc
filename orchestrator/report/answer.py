"""The answer on a terminal: one line a system, the best first, at the primary threshold; a line fits, or its cells stand in a stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.groups import Group
from orchestrator.report.standings import Grade, Standing, differing, shared, standings
from orchestrator.report.table import Marks, bound
from orchestrator.report.terminal import STYLES, USUAL, stacked
from orchestrator.report.text import printable, quality, quality_within

NARROW = 60
"""A terminal below this width gets stacks."""
SHORTEST_BAR, LONGEST_BAR = 6, 20
EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class Answer:
    """What the systems of one group keep.

    title
        the task, what all systems share, the metric and the threshold.
    heads, rows
        cells, the first ``names`` of them names.
    shares
        by row, the mean as a share of the best ideal quality: the length of a bar.
    grades
        by row.

    Notes
    -----
        what the marks mean, and what to do about it.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int
    shares: tuple[float, ...]
    grades: tuple[Grade, ...]
    notes: tuple[str, ...]


def answers(results: CampaignAnalysis) -> Iterator[Answer]:
    """Yield the answer of every group that has a primary threshold."""
    for group in results.groups:
        if found := standings(results, group):
            yield _answer(group, found, results.analysis.deadline.quality)


def _answer(group: Group, found: Sequence[Standing], share: float) -> Answer:
    primary = group.thresholds.primary
    assert primary is not None
    apart = differing(found)
    marks = Marks([{"flags": one.marks} for one in found])
    several, marked = any(one.processes > 1 for one in found), any(one.marks for one in found)
    most = max(max(one.scale.gained(one.ideal), one.scale.gained(one.mean)) for one in found)
    heads = [*apart, "kept", "95 % interval", "worst", "ideal", *(["processes"] if several else []), *(["marks"] if marked else [])]
    rows = [
        (
            *(one.names[name] for name in apart),
            quality(one.mean),
            quality_within(one.low, one.high),
            quality(one.worst),
            quality(one.ideal),
            *([str(one.processes)] if several else []),
            *([marks.letters({"flags": one.marks})] if marked else []),
        )
        for one in found
    ]
    what = ", ".join([group.task, *shared(found)])
    return Answer(
        title=f"{what}: {group.trials[0].metric} kept within {bound(primary)}",
        heads=tuple(heads),
        rows=tuple(rows),
        names=len(apart),
        shares=tuple(max(0.0, one.scale.gained(one.mean)) / most if most > 0 else 0.0 for one in found),
        grades=tuple(one.grade(share) for one in found),
        notes=tuple(marks.sentences()),
    )


def lines(answer: Answer, width: int | None, fine: bool = True) -> Iterator[Text]:
    """Yield the lines of an answer.

    Parameters
    ----------
    width
        of the terminal, in cells; None if nothing limits it.
    fine
        whether the terminal can show blocks of eighths; else bars are of ``#``.
    """
    limit = USUAL if width is None else width
    heads = [printable(head) for head in answer.heads]
    rows = [[printable(cell) for cell in row] for row in answer.rows]
    widths = [max(cell_len(text) for text in column) for column in zip(heads, *rows, strict=True)]
    yield Text(printable(answer.title), style="bold")
    layout = None if limit < NARROW else _layout(widths, limit)
    if layout is None:
        for row, grade in zip(rows, answer.grades, strict=True):
            for line in stacked(heads, row, width):
                yield Text(line, style=STYLES[grade])
            yield Text()
        return
    gap, bar = layout
    yield Text(_line(heads, widths, answer.names, gap, " " * bar), style="dim")
    for row, share, grade in zip(rows, answer.shares, answer.grades, strict=True):
        yield Text(_line(row, widths, answer.names, gap, bar_of(share, bar, fine)), style=STYLES[grade])


def _layout(widths: Sequence[int], limit: int) -> tuple[int, int] | None:
    """Return the blanks between columns and the width of the bar, 0 for none; None if the columns do not fit at all."""
    for gap in (2, 1):
        left = limit - sum(widths) - gap * (len(widths) - 1)
        if left - gap >= SHORTEST_BAR:
            return gap, min(left - gap, LONGEST_BAR)
    return (1, 0) if sum(widths) + len(widths) - 1 <= limit else None


def _line(cells: Sequence[str], widths: Sequence[int], names: int, gap: int, bar: str) -> str:
    left = [cell + " " * (width - cell_len(cell)) for cell, width in zip(cells[:names], widths[:names], strict=True)]
    right = [" " * (width - cell_len(cell)) + cell for cell, width in zip(cells[names:], widths[names:], strict=True)]
    return (" " * gap).join([*left, *([bar] if bar else []), *right]).rstrip()


def bar_of(share: float, width: int, fine: bool) -> str:
    """Return a bar of so many cells that is filled to a share of it."""
    if not fine:
        return ("#" * round(min(share, 1.0) * width)).ljust(width)
    eighths = round(min(share, 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return (EIGHTHS[-1] * full + (EIGHTHS[rest] if rest else "")).ljust(width)
