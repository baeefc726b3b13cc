"""A table as data and as Markdown, and the rows of the result tables that it is made from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.analysis.campaign_analysis import Row
from orchestrator.analysis.flags import IMPORTED, told_of
from orchestrator.analysis.groups import Group, Threshold
from orchestrator.analysis.ranking import WHO
from orchestrator.report.text import ended, markdown_text, milliseconds, quality, quality_within, with_blanks


@dataclass(frozen=True)
class Table:
    """Rows of text under a title. Blanks of a cell that no reader would see are written as `with_blanks` does.

    right
        names of the columns that hold numbers.
    within_ns
        the threshold that all its figures belong to, if a page has such a table for each one; otherwise None.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    right: frozenset[str] = frozenset()
    within_ns: int | None = None

    def __post_init__(self) -> None:
        if any(with_blanks(cell) != cell for row in (self.columns, *self.rows) for cell in row):
            object.__setattr__(self, "columns", tuple(map(with_blanks, self.columns)))
            object.__setattr__(self, "rows", tuple(tuple(map(with_blanks, row)) for row in self.rows))


def condensed(table: Table, names: Collection[str]) -> Table:
    """Return a table without the columns in which all rows are equal; its note says them. Those in ``names`` stay.

    Examples
    --------
    >>> made = condensed(Table("Plan", ["trial", "host", "faults"], [["a", "vm", ""], ["b", "vm", ""]]), ["trial"])
    >>> made.columns, made.note
    (['trial'], 'In all: host vm.')
    """
    if len(table.rows) < 2:
        return table
    alike = [place for place, head in enumerate(table.columns) if head not in names and len({row[place] for row in table.rows}) == 1]
    said = [f"{table.columns[place]} {table.rows[0][place]}" for place in alike if table.rows[0][place]]
    left = [place for place in range(len(table.columns)) if place not in alike]
    note = " ".join(part for part in (f"In all: {', '.join(said)}." if said else "", table.note) if part)
    return replace(
        table, columns=[table.columns[place] for place in left], rows=[[row[place] for place in left] for row in table.rows], note=note
    )


def to_markdown(table: Table) -> str:
    """Return a section with the table and its note."""
    rules = ["---:" if column in table.right else "---" for column in table.columns]
    lines = [f"## {markdown_text(table.title)}", ""]
    if table.rows:
        lines += [_row(table.columns), f"| {' | '.join(rules)} |", *(_row(row) for row in table.rows), ""]
    if table.note:
        lines += [markdown_text(table.note, at_start=True), ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(markdown_text, cells))} |"


def read_at(group: Group, everywhere: bool) -> list[Threshold]:
    """Return the primary threshold, or ``everywhere``: each common one of the total clock, those of equal time once."""
    primary = group.thresholds.primary
    if not everywhere:
        return [primary] if primary is not None else []
    found = {threshold.ns: threshold for threshold in reversed(group.thresholds.common(group.clock))}
    if primary is not None:
        found[primary.ns] = primary
    return [found[ns] for ns in sorted(found)]


def bound(threshold: Threshold) -> str:
    """Return a threshold's name, with its time if the name does not give it."""
    return f"{threshold.label} ({milliseconds(threshold.ns)})" if threshold.origin == "reference" else threshold.label


def who_columns(group: Group) -> list[str]:
    """Return the columns that tell the trials of a group apart."""
    return [*WHO, *group.told_apart_by]


def who(row: Row, group: Group, names: Sequence[str] | None = None) -> list[str]:
    """Return the cells of a row that tell its trial from the others, of these columns alone if any are named."""
    cells = {**row, "settings": group.settings[row["trial"]]}
    return [str(cells[column]) for column in who_columns(group) if names is None or column in names]


class Marks:
    """The marks of one table's flags: each flag has a letter of its own.

    Parameters
    ----------
    rows
        with ``flags``; those in ``without`` are said elsewhere.
    remedies
        what flags mean here, in place of their meaning and remedy in `FLAGS`.
    trials
        whose settings make remedies needless.
    """

    def __init__(
        self, rows: Iterable[Row], without: Collection[str] = (), remedies: Mapping[str, str] | None = None, trials: Sequence[Any] = ()
    ) -> None:
        of_rows = [set(row["flags"]) for row in rows]
        flags = sorted(set[str]().union(*of_rows) - set(without))
        own = set[str]().union(*(flags for flags in of_rows if IMPORTED not in flags))
        self._told = {flag: told_of(flag, flag not in own, trials) for flag in flags} | dict(remedies or {})
        self._letters = {flag: _letters(number) for number, flag in enumerate(flags)}

    def of(self, row: Row) -> str:
        """Return the marks of a row's figures."""
        found = self.letters(row)
        return f" ({found})" if found else ""

    def letters(self, row: Row) -> str:
        """Return the letters of a row's flags, with commas between them."""
        return ", ".join(sorted(self._letters[flag] for flag in dict.fromkeys(row["flags"]) if flag in self._letters))

    def sentences(self) -> Iterator[str]:
        """Yield what each mark means, and what to do about it."""
        for flag, letter in self._letters.items():
            yield ended(f"({letter}) {flag}: {self._told[flag]}")

    def legend(self) -> str:
        """Return what the letters stand for, in one line."""
        return ", ".join(f"({letter}) {flag}" for flag, letter in self._letters.items())

    def note(self) -> str:
        """Return the sentences that explain the marks, or nothing."""
        return "".join(f" {one}" for one in self.sentences())


def mean_within(row: Row, marks: Marks | None = None) -> str:
    """Return the mean tail quality of a row with its interval, and the marks of its flags."""
    interval = quality_within(row["interval_low"], row["interval_high"], row.get("ideal"))
    return f"{quality(row['mean'])} {interval}{'' if marks is None else marks.of(row)}"


def _letters(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    return (_letters(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)
