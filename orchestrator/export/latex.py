"""Tables of the report for a paper: LaTeX with booktabs, in which no text of the results is a command."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.analysis.groups import Group
from orchestrator.analysis.results import Results
from orchestrator.report.comparisons import comparison_tables
from orchestrator.report.deadlines import deadline_tables
from orchestrator.report.other_figures import other_figure_tables
from orchestrator.report.table import Table
from orchestrator.report.tables import cross_system_tables, latency_tables, own_threshold_tables

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    # After the end of a row these would be an option of it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\N{MINUS SIGN}": "$-$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
MINUS = re.compile(r"(?<![^\s\[])-(?=\d)")
"""A hyphen before a number at the start of a cell, after a space or a bracket."""
TABLE = r"""% Needs \usepackage{{booktabs,graphicx}}
\begin{{table}}[htbp]
\centering
\footnotesize
\caption{{{caption}}}
\label{{tab:{name}}}
\resizebox{{\ifdim\width>\linewidth\linewidth\else\width\fi}}{{!}}{{\begin{{tabular}}{{{columns}}}
\toprule
{head} \\
\midrule
{rows}
\bottomrule
\end{{tabular}}}}
\end{{table}}
"""


def latex_tables(results: Results) -> Iterator[tuple[str, str]]:
    """Yield name and text of every table of figures; the name comes from us alone, never from the results."""
    kinds = {
        "tail-quality": cross_system_tables,
        "own-thresholds": own_threshold_tables,
        "other-figures": other_figure_tables,
        "deadline": deadline_tables,
        "comparison": comparison_tables,
        "latency": latency_tables,
    }
    for kind, tables in kinds.items():
        number = 0
        for group in results.groups:
            for table in tables(replace(results, groups=(group,))):
                if table.rows:
                    number += 1
                    origin = _primary_origin(group) if kind in ("comparison", "other-figures") else ""
                    yield f"{kind}-{number}", to_latex(table, f"{kind}-{number}", origin)


def to_latex(table: Table, name: str, origin: str = "") -> str:
    """Return one table; title, note and the origin of its threshold are its caption."""
    caption = " ".join(filter(None, [f"{table.title}.", table.note.strip(), origin]))
    return TABLE.format(
        caption=escape(caption),
        name=name,
        columns="".join("r" if column in table.right else "l" for column in table.columns),
        head=_row(table.columns),
        rows="\n".join(f"{_row(row)} \\\\" for row in table.rows),
    )


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is, on one line."""
    escaped = "".join(SPECIAL.get(character, character if character.isprintable() else " ") for character in text)
    return re.sub("-(?=-)", "-{}", escaped)  # two hyphens would be a dash


def _row(cells: Sequence[str]) -> str:
    return " & ".join(escape(MINUS.sub("\N{MINUS SIGN}", cell)) for cell in cells)


def _primary_origin(group: Group) -> str:
    """Say where the primary threshold comes from."""
    primary, reference = group.thresholds.primary, group.thresholds.reference
    if primary is None:
        return ""
    if primary.origin == "reference" and reference is not None:
        return f"The threshold {primary.label} is a percentile of the total time of {reference.trial}."
    return f"The threshold {primary.label} is {primary.origin}."
