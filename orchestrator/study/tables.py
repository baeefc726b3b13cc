"""Tables and claims of a study: plain values for ``study.json``, and how ``study.md`` has them."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from orchestrator.report.table import Table
from orchestrator.report.text import milliseconds, p_value
from orchestrator.stats.interval import clopper_pearson

Value: TypeAlias = str | int | float | bool | None
Row: TypeAlias = Sequence[Value]
Verdict: TypeAlias = Literal["holds", "fails", "not shown"]

three = "{:z.3f}".format
significant = "{:.3g}".format
DIGITS = 10  # significant digits in study.json: a sum's last ones differ by processor


# How a column is written; ``name`` are words that name the row.
FORMS: Mapping[str, Callable[[float], str]] = {
    "name": str,
    "words": str,
    "whole": "{:,.0f}".format,
    "three": three,
    "significant": significant,
    "ms": milliseconds,
    "p": p_value,
}


@dataclass(frozen=True)
class StudyTable:
    """One table, which a document asks for by ``name``; None or NaN where there is no value.

    ``columns`` are groups of columns in order, each the form of `FORMS` and then their names;
    ``heads`` has the form of each column by its name.
    """

    name: str
    title: str
    columns: Sequence[Sequence[str]]
    rows: Sequence[Row]
    note: str = ""

    @property
    def heads(self) -> dict[str, str]:
        return {name: form for form, *names in self.columns for name in names}

    def to_table(self) -> Table:
        heads, words = self.heads, ("name", "words")
        rows = [list(map(_written, row, heads.values())) for row in self.rows]
        right = frozenset(name for name, form in heads.items() if form not in words)
        return Table(self.title, list(heads), rows, self.note, right)

    def to_json(self) -> dict[str, object]:
        rows = [dict(zip(self.heads, map(_stored, row), strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "note": self.note}

    def numbers(self) -> Iterator[tuple[str, str]]:
        """Yield every cell as ``TABLE/ROW/COLUMN`` and its text; rows of one name are numbered."""
        seen = Counter[str]()
        for cells in self.to_table().rows:
            pairs = list(zip(self.heads.items(), cells, strict=True))
            key = "-".join(plain(text) for (_, form), text in pairs if form == "name") or "row"
            seen[key] += 1
            row = key if seen[key] == 1 else f"{key}-{seen[key]}"
            yield from ((f"{self.name}/{row}/{plain(name)}", text) for (name, _), text in pairs)


# Every table of a study by its name: from its material.
TABLES: dict[str, Callable[[Any], StudyTable]] = {}


def table(
    name: str,
    title: str,
    columns: Sequence[Sequence[str]],
    note: str | Callable[[Any], str] = "",
    without_rows: str | None = None,
) -> Callable[[Callable[[Any], Iterable[Row]]], Callable[[Any], Iterable[Row]]]:
    """Declare a table by the function of its rows; ``{c}`` in words are the criteria of claims."""

    def declare(rows: Callable[[Any], Iterable[Row]]) -> Callable[[Any], Iterable[Row]]:
        def make(of: Any) -> StudyTable:
            found, criteria = list(rows(of)), of.criteria.claims
            said = note if found or without_rows is None else without_rows
            words = said.format(c=criteria) if isinstance(said, str) else said(of)
            return StudyTable(name, title.format(c=criteria), columns, found, words)

        TABLES[name] = make
        return rows

    return declare


def plain(text: str) -> str:
    """Return a name of letters, digits, dots and underscores."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", text).strip("_")


# A cell; a dash where there is no value, or no finite one.
def _written(value: Value, form: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return str(value)
    return FORMS[form](value) if value is not None and math.isfinite(value) else "-"


def _stored(value: Value) -> Value:
    if not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


@dataclass(frozen=True)
class Claim:
    """A claim, what it is held to, and what was found: in words, and their numbers by name."""

    name: str
    claim: str
    criterion: str
    verdict: Verdict
    figure: str
    numbers: Mapping[str, float]


def claims_table(found: Sequence[Claim]) -> StudyTable:
    """Return all claims with their verdicts."""
    return StudyTable(
        "claims",
        "Claims of the paper, on these systems",
        [("name", "claim"), ("words", "says", "held to", "verdict", "found")],
        [[one.name, one.claim, one.criterion, one.verdict, one.figure] for one in found],
        "Criteria stand in conf/study.yaml and were fixed beforehand. Not shown: these data "
        "neither support the claim nor contradict it. A count of trials is followed by its share "
        "and the 95 % Clopper-Pearson limits of the share, for independent trials. Trials of one "
        "system or one session are alike, so limits for other sessions lie further apart.",
    )


def figures_table(found: Sequence[Claim]) -> StudyTable:
    """Return the numbers of every claim's figure, one a row, for documents and programs."""
    rows = [(one.name, name, value) for one in found for name, value in one.numbers.items()]
    columns = [("name", "claim", "figure"), ("significant", "value")]
    return StudyTable("claim_figures", "Figures of the claims", columns, rows)


def counted(count: int, out_of: int) -> tuple[str, dict[str, float]]:
    """Return in words how many of so many cases, and their share with its 95 % limits by name.

    Examples
    --------
    >>> counted(15, 96)[0], counted(0, 0)
    ('15 of 96 (0.156 [0.090, 0.245])', ('0 of 0', {}))
    """
    if not out_of:
        return f"{count} of {out_of}", {}
    share, (low, high) = count / out_of, map(float, clopper_pearson(count, out_of))
    said = f"{count} of {out_of} ({share:.3f} [{low:.3f}, {high:.3f}])"
    return said, {"share": share, "low": low, "high": high}


def by_share(count: int, out_of: int, wanted: float) -> Verdict:
    """Return *holds* where at least a share of cases does, *not shown* without a case."""
    kept: Verdict = "holds" if count >= wanted * out_of - 1e-9 else "fails"
    return kept if out_of else "not shown"
