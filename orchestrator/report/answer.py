"""The answer on a terminal: one line a system, the best first, at the primary threshold; a line fits, or its cells stand in a stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.text import Text

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.groups import Group
from orchestrator.analysis.ranking import Grade, Ranking, Standing, differing, rankings, shared
from orchestrator.report.table import Marks, bound
from orchestrator.report.terminal import STYLES, USUAL, stacked, wrapped
from orchestrator.report.text import printable, quality, quality_within, with_blanks

NARROW = 60
"""A terminal below this width gets stacks."""
SHORTEST_BAR, LONGEST_BAR = 6, 20
SQUEEZED_BAR = 3
"""The shortest bar where nothing else can be spared."""
IDEAL, PROCESSES, MARKS = "ideal", "processes", "marks"
SAID = {IDEAL: "of an ideal {}", PROCESSES: "mean of {} processes"}
"""Headings that a title can do without, and how it says their cells."""
MOST_SAID = 4
"""Of more different cells a title names the least and the greatest."""
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(tuple(map(with_blanks, row)) for row in self.rows))


def answers(results: CampaignAnalysis, ranked: Sequence[Ranking] | None = None) -> Iterator[Answer]:
    """Yield the answer of every group that has a primary threshold. ``ranked`` is what `rankings` returns, if that is known already."""
    for one in rankings(results) if ranked is None else ranked:
        if one.found:
            yield _answer(one.group, one.found, results.analysis.deadline.quality)


def _answer(group: Group, found: Sequence[Standing], share: float) -> Answer:
    primary = group.thresholds.primary
    assert primary is not None
    apart = differing(found)
    marks = Marks([{"flags": one.marks} for one in found])
    several, marked = any(one.processes > 1 for one in found), any(one.marks for one in found)
    most = max(max(one.scale.gained(one.ideal), one.scale.gained(one.mean)) for one in found)
    heads = [*apart, "kept", "95 % interval", "worst", IDEAL, *([PROCESSES] if several else []), *([MARKS] if marked else [])]
    rows = [
        (
            *(one.names[name] for name in apart),
            quality(one.mean),
            quality_within(one.low, one.high, one.ideal),
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
    answer = replace(answer, title=printable(answer.title), heads=_printable(answer.heads), rows=tuple(map(_printable, answer.rows)))
    found = None if limit < NARROW else _layout(answer, limit)
    if found is None:
        yield from _title(answer, width)
        for row, grade in zip(answer.rows, answer.grades, strict=True):
            for line in stacked(answer.heads[: answer.names], row[: answer.names], width):
                yield Text(line, style=STYLES[grade])
            for line in _packed(answer.heads[answer.names :], row[answer.names :], limit):
                yield Text(line, style=STYLES[grade])
            yield Text()
        return
    shown, gap, bar = found
    widths = widths_of(shown)
    yield from _title(shown, width)
    yield Text(_line(shown.heads, widths, shown.names, gap, " " * bar), style="dim")
    for row, share, grade in zip(shown.rows, shown.shares, shown.grades, strict=True):
        yield Text(_line(row, widths, shown.names, gap, bar_of(share, bar, fine)), style=STYLES[grade])


def _packed(heads: Sequence[str], cells: Sequence[str], limit: int) -> Iterator[str]:
    """Yield a stack's figures side by side, each whole behind its heading, as many in a line as fit."""
    line = ""
    for text in (f"{head} {cell}" for head, cell in zip(heads, cells, strict=True) if cell):
        longer = f"{line}, {text}" if line else text
        if line and cell_len(longer) > limit:
            yield line
            longer = text
        line = longer
    if line:
        yield line


def _title(answer: Answer, width: int | None) -> Iterator[Text]:
    return (Text(line, style="bold") for line in wrapped(answer.title, width))


def _printable(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(printable, cells))


def widths_of(answer: Answer) -> list[int]:
    """Return how wide each column of an answer is."""
    return [max(cell_len(text) for text in column) for column in zip(answer.heads, *answer.rows, strict=True)]


def _layout(answer: Answer, limit: int) -> tuple[Answer, int, int] | None:
    """Return what is shown, the blanks between columns and the width of the bar, 0 for none; None if the columns do not fit at all.

    Where there is no room for a bar, the title says the ideal quality and the number of processes that all rows share, and then marks
    are written closely; at last the title says also those that differ.
    """
    shorter = _said_in_title(answer, shared_by_all)
    shortest = _said_in_title(_close_marks(shorter), by_name)
    for shown, least, gaps in (
        (answer, SHORTEST_BAR, (2, 1)),
        (shorter, SHORTEST_BAR, (1,)),
        (_close_marks(shorter), SQUEEZED_BAR, (1,)),
        (shortest, SQUEEZED_BAR, (1,)),
    ):
        widths = widths_of(shown)
        for gap in gaps:
            left = limit - sum(widths) - gap * (len(widths) - 1)
            if left - gap >= least:
                return shown, gap, min(left - gap, LONGEST_BAR)
    return next(
        ((shown, 1, 0) for shown in (shorter, _close_marks(shorter), shortest) if sum(widths_of(shown)) + len(shown.heads) - 1 <= limit),
        None,
    )


def _said_in_title(answer: Answer, said: Callable[[Answer, int], str | None]) -> Answer:
    """Return an answer without the columns of `SAID` that its title can say in the words of ``said``, given the place of each."""
    for head, sentence in SAID.items():
        place = answer.heads.index(head, answer.names) if head in answer.heads[answer.names :] else None
        cells = None if place is None else said(answer, place)
        if place is not None and cells is not None:
            rows = tuple((*row[:place], *row[place + 1 :]) for row in answer.rows)
            heads = (*answer.heads[:place], *answer.heads[place + 1 :])
            answer = replace(answer, title=f"{answer.title}, {sentence.format(cells)}", heads=heads, rows=rows)
    return answer


def shared_by_all(answer: Answer, place: int) -> str | None:
    """Return the cell that all rows have in a column; None where they differ."""
    cells = {row[place] for row in answer.rows}
    return cells.pop() if len(cells) == 1 else None


def by_name(answer: Answer, place: int) -> str:
    """Return the cells of a column with the models, systems and so on that they follow from, or the least and the greatest of them."""
    cells = list(dict.fromkeys(row[place] for row in answer.rows))
    for name in range(answer.names) if len(cells) <= MOST_SAID else ():
        whose = {cell: list(dict.fromkeys(row[name] for row in answer.rows if row[place] == cell)) for cell in cells}
        if sum(map(len, whose.values())) == len({row[name] for row in answer.rows}) <= MOST_SAID:
            return " and ".join(f"{cell} ({', '.join(names)})" for cell, names in whose.items())
    numbers = sorted(cells, key=float)
    return f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else numbers[0]


def _close_marks(answer: Answer) -> Answer:
    """Return an answer whose marks are letters alone, under no heading."""
    if answer.heads[-1] != MARKS:
        return answer
    return replace(answer, heads=(*answer.heads[:-1], ""), rows=tuple((*row[:-1], row[-1].replace(", ", "")) for row in answer.rows))


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
