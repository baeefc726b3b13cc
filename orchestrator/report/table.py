"""A table as data and as Markdown, and the rows of the result tables that it is made from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.contradictions import OTHERWISE
from orchestrator.analysis.groups import Group
from orchestrator.analysis.load import FEW_STREAMS, NOT_KEPT, OVERLOADED
from orchestrator.analysis.slices import FEW_SAMPLES, FEWEST
from orchestrator.analysis.tail_quality import IN_SAMPLE
from orchestrator.analysis.units import FEW, ONE_STRETCH
from orchestrator.report.text import ended, markdown_text, milliseconds, quality, quality_within, with_blanks
from orchestrator.stats.constants import FEW_UNITS, FEWEST_UNITS
from orchestrator.stats.thresholds import Threshold
from orchestrator.storage.records import SHARED


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


Row = Mapping[str, Any]
WHO = ("model", "system", "runtime")


def rows_of(results: CampaignAnalysis, name: str, group: Group) -> list[Row]:
    """Return the rows of a result table that belong to trials of the group."""
    members = {data.trial_id for data in group.trials}
    return [row for row in results.rows(name) if row["trial"] in members]


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


REMEDIES = {
    "unsteady": "the interval is wider than a tenth of ideal quality; `explain` tells what moves with slow rounds, more rounds narrow it",
    ONE_STRETCH: f"its interval is of this period and says nothing about later rounds; measure {FEWEST_UNITS} visits that lie apart, or "
    f"more, with measurement.min_rounds={2 * FEWEST_UNITS} and measurement.pause=1",
    FEW: f"fewer than {FEW_UNITS} visits or streams may have met no slow spell; measure {FEW_UNITS} or more, with visits of 2 rounds by "
    f"measurement.min_rounds={2 * FEW_UNITS}",
    IN_SAMPLE: "the deadline comes from its own times and its interval is too wide; set the deadline in ms with analysis.primary",
    NOT_KEPT: "samples were started late although nothing was due; quieten the machine, or try load.idle=spin",
    OVERLOADED: "samples arrive faster than they are answered, and figures grow with load.stream_s; lower load.rate_per_s",
    FEW_SAMPLES: f"the group has fewer than {FEWEST} of them, so that its figure is of these alone; add samples to the task",
    FEW_STREAMS: "the rounds of a stream share a queue; measure 12 streams or more, by measurement.min_rounds",
    "imported": "another program measured it; nothing here knows its cores, threads or neighbours, and no deadline is certified",
    "no quality": "the file holds no scores, so that on_time is the share of answers in time, right or wrong",
    "rounds by time": "the file holds no rounds: its requests were cut into rounds of equal size in order of time",
    "one round": "the file does not say which requests belong together, so that nothing is known of how rounds differ",
    OTHERWISE: "another version of this program measured it, whose metric gave these answers other scores; figures are by today's",
    SHARED: "others ran at the same time: times may be longer than alone; measure with system.exclusive=true",
    **dict.fromkeys(
        ("machine slower at the end", "machine faster at the end"),
        "its speed changed over the rounds; run `doctor` (heat, clock rate, other programs), then measure again",
    ),
    "unpinned": "threads could run on other cores, too; leave out cluster=inline, which pins nothing and starts no fresh process, "
    "or ask for fewer system.cores",
}
"""What a flag means for a figure, and what to do about it."""
REMEDIES_OF_IMPORTED = {
    "unsteady": "the interval is wider than a tenth of ideal quality; import a longer run of the program that measured",
    ONE_STRETCH: "its interval is of this period and says nothing about later rounds; import repeats of the run on other days",
    FEW: "few visits or streams may have met no slow spell; import a longer run of the program that measured",
    NOT_KEPT: "the program that measured sent late although nothing was due, or at another rate; import a run on a quieter machine",
    OVERLOADED: "samples arrive faster than they are answered, and figures grow with the length of the run; import one at a lower rate",
    FEW_STREAMS: "the rounds of a stream share a queue; import repeats of the run, which count as fresh processes",
}
"""The same where another program measured all that has the flag: nothing here can go on with its trials."""
IMPORTED = "imported"


class Marks:
    """The marks of one table's flags: each flag has a letter of its own.

    Parameters
    ----------
    rows
        with ``flags``; those in ``without`` are said elsewhere.
    remedies
        what flags mean here, in place of or beside `REMEDIES`.
    """

    def __init__(self, rows: Iterable[Row], without: Collection[str] = (), remedies: Mapping[str, str] | None = None) -> None:
        of_rows = [set(row["flags"]) for row in rows]
        flags = sorted(set[str]().union(*of_rows) - set(without))
        own = set[str]().union(*(flags for flags in of_rows if IMPORTED not in flags))
        of_imported = {flag: told for flag, told in REMEDIES_OF_IMPORTED.items() if flag not in own}
        self._remedies = REMEDIES | of_imported | dict(remedies or {})
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
            yield ended(f"({letter}) {flag}" + (f": {self._remedies[flag]}" if flag in self._remedies else ""))

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
