"""Result tables as CSV (exact numbers, durations in ns, nothing that a spreadsheet would run) and as LaTeX."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pyarrow as pa

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.groups import Group
from orchestrator.analysis.table import views
from orchestrator.exchange.latex_columns import GAP_PT, LEADING_PT, TEXT_PT, Column, blocks, pieces
from orchestrator.report.markdown import FOLDED
from orchestrator.report.result_tables import shown
from orchestrator.report.table import Table, condensed
from orchestrator.report.text import printable

FORMULA = ("=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}", "\N{FULLWIDTH HYPHEN-MINUS}",
           "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
"""What spreadsheets take for the beginning of a formula."""


def to_csv(table: pa.Table) -> str:
    """Return a table as CSV with a header.

    Numbers are written so that they read back exactly; nulls are empty; lists and maps are JSON. In text, what steers a terminal, hides or
    breaks lines is an escape, as in the report, and a backslash is two, so that texts that differ do so here; text that a spreadsheet would
    run as a formula has an apostrophe before it.
    """
    kinds = [field.type for field in table.schema]
    lines = [[_text(name) for name in table.column_names]]
    lines += [[_cell(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in _rows(table)]
    return "".join(",".join(map(_quoted, cells)) + "\n" for cells in lines)


def _quoted(cell: str) -> str:
    """Return a cell, in quotes if it holds what would end it; Python's csv does not quote a lone carriage return, which ends a row."""
    return '"{}"'.format(cell.replace('"', '""')) if any(character in cell for character in ',"\r\n') else cell


def _rows(table: pa.Table) -> Iterable[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _cell(value: Any, kind: pa.DataType) -> str:
    if value is None:
        return ""
    if pa.types.is_map(kind):
        return _json(dict(value))
    if isinstance(value, list | dict):
        return _json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else _text(str(value))


def _json(value: Any) -> str:
    """Return JSON in which names of any script stay, and what is not to be seen is one of its own escapes."""
    text = json.dumps(value, ensure_ascii=False)
    return text if printable(text) == text else json.dumps(value).replace("\x7f", "\\u007f")


def _text(text: str) -> str:
    plain = printable(text.replace("\\", "\\\\"))
    return f"'{plain}" if plain.startswith(FORMULA) else plain


SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    # After the end of a row these would start its option.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\N{MINUS SIGN}": "$-$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
MINUS = re.compile(r"(?<![^\s\[])-(?=\d)")
"""A hyphen before a number at the start of a cell, after a space or a bracket."""
TABLE = r"""% Needs \usepackage{{array,booktabs}}
\begin{{table}}[htbp]
\centering
\caption{{{caption}}}
\label{{tab:{name}}}
\smallskip
\fontsize{{{size:g}}}{{{leading:g}}}\selectfont
\setlength{{\tabcolsep}}{{{gap:g}pt}}
{blocks}
\end{{table}}
"""
BLOCK = r"""\begin{{tabular}}{{@{{}}{columns}@{{}}}}
\toprule
{head} \\
\midrule
{rows}
\bottomrule
\end{{tabular}}"""
NEXT_BLOCK = "\n\n\\medskip\n"
SHOWN = frozenset(title for title, _ in FOLDED)
"""Sections of a report, whose views are tables of figures."""


def latex_tables(results: CampaignAnalysis) -> Iterator[tuple[str, str]]:
    """Yield name and text of every table of figures; the name comes from us alone, never from the results."""
    for name in (name for name, (_, view) in views().items() if view.section in SHOWN):
        kind, number = "other-figures" if name == "other_metrics" else name.replace("_", "-"), 0
        for group in results.groups:
            for table in shown(replace(results, groups=(group,)), name):
                number += 1
                origin = _primary_origin(group) if kind in ("comparison", "other-figures") else ""
                yield f"{kind}-{number}", to_latex(table, f"{kind}-{number}", origin)


def to_latex(table: Table, name: str, origin: str = "") -> str:
    """Return one table; title, note, what all rows share and the origin of its threshold are its caption.

    It fits a column of a paper: what does not stands in further blocks below, each with the names.
    """
    table = condensed(table, ())
    caption = " ".join(filter(None, [f"{table.title}.", table.note.strip(), origin]))
    return TABLE.format(
        caption=escape(caption),
        name=name,
        size=TEXT_PT,
        leading=LEADING_PT,
        gap=GAP_PT / 2,
        blocks=NEXT_BLOCK.join(_block(table, columns) for columns in blocks(table)),
    )


def _block(table: Table, columns: Sequence[Column]) -> str:
    return BLOCK.format(
        columns="".join(_kind(column) for column in columns),
        head=_row(table.columns, columns),
        rows="\n".join(f"{_row(row, columns)} \\\\" for row in table.rows),
    )


def _kind(column: Column) -> str:
    if column.width is None:
        return "r" if column.right else "l"
    return rf">{{\ragged{'left' if column.right else 'right'}\arraybackslash}}p{{{column.width:.1f}pt}}"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is, on one line, with the escapes of `printable`."""
    escaped = "".join(SPECIAL.get(character, character) for character in printable(text))
    return re.sub("-(?=-)", "-{}", escaped)  # two hyphens would be a dash


def _row(cells: Sequence[str], columns: Sequence[Column]) -> str:
    return " & ".join(_text_of(MINUS.sub("\N{MINUS SIGN}", cells[column.place]), column) for column in columns)


def _text_of(cell: str, column: Column) -> str:
    """Return a cell as LaTeX; in a column whose cells wrap, lines may end within words too."""
    if column.width is None:
        return escape(cell)
    found = [escape(piece) for piece in pieces(cell, column.width)]
    return "".join(piece if piece == " " or after in (" ", "") else rf"{piece}\allowbreak{{}}" for piece, after in pairwise([*found, ""]))


def _primary_origin(group: Group) -> str:
    """Say where the primary threshold comes from."""
    primary, reference = group.thresholds.primary, group.thresholds.reference
    if primary is None:
        return ""
    if primary.origin == "reference" and reference is not None:
        return f"The threshold {primary.label} is a percentile of the {group.clock} time of {reference.trial}."
    return f"The threshold {primary.label} is {primary.origin}."
