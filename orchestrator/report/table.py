"""A table as data, its cells as the forms of declared columns say, and as Markdown."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.analysis.flags import IMPORTED, flag_of, remedies
from orchestrator.analysis.groups import Group, Threshold
from orchestrator.analysis.ranking import WHO
from orchestrator.analysis.table import SHOWN_LIMITS, Column, Row
from orchestrator.report.text import (
    delay,
    markdown_text,
    memory,
    milliseconds,
    p_value,
    per_cent,
    quality,
    quality_within,
    seconds,
    signed,
    with_blanks,
    within,
)


@dataclass(frozen=True)
class Table:
    """Rows of text under a title; ``right`` names the columns that hold numbers.

    Blanks of a cell that no reader would see are written as `with_blanks` does.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    right: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if any(with_blanks(cell) != cell for row in (self.columns, *self.rows) for cell in row):
            object.__setattr__(self, "columns", tuple(map(with_blanks, self.columns)))
            object.__setattr__(
                self, "rows", tuple(tuple(map(with_blanks, row)) for row in self.rows)
            )


def condensed(table: Table, names: Collection[str]) -> Table:
    """Return a table without the columns in which all rows are equal; its note says them.

    Those in ``names`` stay.

    Examples
    --------
    >>> rows = [["a", "vm", ""], ["b", "vm", ""]]
    >>> made = condensed(Table("Plan", ["trial", "host", "faults"], rows), ["trial"])
    >>> made.columns, made.note
    (['trial'], 'In all: host vm.')
    """
    if len(table.rows) < 2:
        return table
    columns = list(zip(table.columns, *table.rows, strict=True))
    left = [one for one in columns if one[0] in names or len(set(one[1:])) > 1]
    said = [f"{one[0]} {one[1]}" for one in columns if one not in left and one[1]]
    note = " ".join(filter(None, [f"In all: {', '.join(said)}." if said else "", table.note]))
    rows = [list(row) for row in zip(*(cells for _, *cells in left), strict=True)]
    return replace(table, columns=[head for head, *_ in left], rows=rows, note=note)


def to_markdown(table: Table) -> str:
    """Return a section with the table and its note."""
    rules = ["---:" if column in table.right else "---" for column in table.columns]
    rows = [[*map(markdown_text, cells)] for cells in (table.columns, *table.rows)]
    lines = [f"## {markdown_text(table.title)}", ""]
    if table.rows:
        lines += [*(f"| {' | '.join(cells)} |" for cells in (rows[0], rules, *rows[1:])), ""]
    if table.note:
        lines += [markdown_text(table.note, at_start=True), ""]
    return "\n".join(lines)


def bound(threshold: Threshold) -> str:
    """Return a threshold's name, with its time if the name does not give it."""
    time = f" ({milliseconds(threshold.ns)})" if threshold.origin == "reference" else ""
    return f"{threshold.label}{time}"


def who_columns(group: Group) -> list[str]:
    """Return the columns that tell the trials of a group apart."""
    return [*WHO, *group.told_apart_by]


def who(row: Row, group: Group, names: Sequence[str] | None = None) -> list[str]:
    """Return the cells of a row that tell its trial from the others, or of these ``names``."""
    cells = {**row, "settings": group.settings[row["trial"]]}
    return [str(cells[one]) for one in who_columns(group) if names is None or one in names]


class Marks:
    """The marks of one table's flags: each flag of its rows has a letter of its own.

    ``legend`` says what letters stand for, ``note`` what each means and what to do about it.
    ``meanings`` say what flags mean here, in place of `FLAGS`; ``trials`` are those whose settings
    make remedies needless.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        meanings: Mapping[str, str] | None = None,
        trials: Sequence[Any] = (),
    ) -> None:
        of_rows = [set(row["flags"]) for row in rows]
        flags = sorted(set[str]().union(*of_rows))
        own = set[str]().union(*(flags for flags in of_rows if IMPORTED not in flags))
        told = {
            flag: "; ".join([of.meaning, *remedies(of, trials, flag not in own)])
            for flag, of in zip(flags, map(flag_of, flags), strict=True)
        }
        self._told = told | dict(meanings or {})
        first = [chr(ord("a") + number) for number in range(26)]
        letters = [*first, *(one + other for one in first for other in first)]
        self._letters = dict(zip(flags, letters, strict=False))

    def of(self, row: Row) -> str:
        found = self.letters(row)
        return f" ({found})" if found else ""

    def letters(self, row: Row) -> str:
        return ", ".join(sorted({self._letters[one] for one in row["flags"]}))

    def legend(self) -> str:
        return ", ".join(f"({letter}) {flag}" for flag, letter in self._letters.items())

    def note(self) -> str:
        told = [f" ({letter}) {one}: {self._told[one]}" for one, letter in self._letters.items()]
        return "".join(one if one.endswith(("?", "!", ".")) else f"{one}." for one in told)


TEXTS = ("", "text", "flags", "system", "bound")  # forms of columns that hold no numbers
FORMATTERS: Mapping[str, Callable[[Any], str]] = {
    "": str,
    "text": str,
    "count": str,
    "flags": ", ".join,
    "quality": quality,
    "signed": signed,
    "ms": milliseconds,
    "s": seconds,
    "share": per_cent,
    "memory": memory,
    "percentile": "p{:g}".format,
    "per_s": "{:.4g}/s".format,
    "delay": delay,
    "figure": "{:.4g}".format,
    "p": p_value,
}


def cell(column: Column, row: Row, group: Group) -> str:
    """Return the cell of a column in a row; a dash, or of text nothing, where it is null.

    The first word of the form names the formatter. ``[low, high]`` after it names the columns of
    the limits, which follow the figure in brackets; those in round brackets are not shown.
    ``number`` takes a format, such as ``number .4f``; ``s`` converts a time in ns.
    """
    value = row[column.name]
    form, _, rest = column.form.partition(" ")
    if value is None:
        return "" if form in TEXTS else "-"
    if form == "bound":
        time = f" ({milliseconds(row['threshold_ns'])})"
        return f"{value}{time if row['threshold_origin'] == 'reference' else ''}"
    if form == "system":
        trial = next(data.record.trial for data in group.trials if data.trial_id == value)
        model = "" if trial.model.name == row["model"] else f"{trial.model.name} on "
        return f"{model}{trial.system.name} with {trial.runtime.name}"
    if form == "s" and column.name.endswith("_ns"):
        value /= 1e9
    text = f"{value:{rest or '.2f'}}" if form == "number" else FORMATTERS[form](value)
    limits = SHOWN_LIMITS.search(rest)
    if limits is None or None in (ends := (row[limits[1]], row[limits[2]])):
        return text
    if form == "quality":
        return f"{text} {quality_within(*ends, row.get('ideal'))}"
    if form == "signed":
        return f"{text} {within(*ends, '+')}"
    unit = f" {text.split(' ')[-1]}"
    return f"{text} [{', '.join(FORMATTERS[form](end).removesuffix(unit) for end in ends)}]"
