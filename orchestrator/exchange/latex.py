"""Result tables as LaTeX, each as wide as a column of a paper."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from string import ascii_uppercase

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.table import views
from orchestrator.report.html import said
from orchestrator.report.markdown import FOLDED
from orchestrator.report.result_tables import shown
from orchestrator.report.table import Table, condensed
from orchestrator.report.text import printable

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
# A hyphen before a number at the start of a cell, after a space or a bracket.
MINUS = re.compile(r"(?<![^\s\[])-(?=\d)")
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
# Sections of a report, whose views are tables of figures.
SHOWN = frozenset(title for title, _ in FOLDED)


TEXT_PT, LEADING_PT = 7.0, 8.4
# Width of a column of a two-column paper, 3.3 in, in TeX's points.
COLUMN_PT = 238.0
# Between two columns: twice ``\tabcolsep``.
GAP_PT = 5.0
# What names leave to the figures beside them.
FIGURES_PT = 74.0
# Width of a wrapped column of figures, as a share of that of its longest cell on one line: it takes two lines.
WRAPPED = 0.6
LETTERS_PT = dict.fromkeys(ascii_uppercase, 5.8) | dict.fromkeys("mwMW%@&#", 6.7) | dict.fromkeys("ijltfrI.,:;'|![](){}/- ", 3.0)
# Widths of letters in Computer Modern at 7 points, or a little more; others are those that ASCII lacks.
USUAL_PT, OTHER_PT = 4.25, 7.5
# What stands together: a line may end after it.
PIECE = re.compile(r" +|[^_\-/ ]*[_\-/]+|[^_\-/ ]+")


@dataclass(frozen=True)
class Column:
    """One column: its place in the table, whether it is set to the right, and its width in points if its cells wrap."""

    place: int
    right: bool
    width: float | None = None

    @property
    def kind(self) -> str:
        if self.width is None:
            return "r" if self.right else "l"
        return rf">{{\ragged{'left' if self.right else 'right'}\arraybackslash}}p{{{self.width:.1f}pt}}"

    def cell(self, cells: Sequence[str]) -> str:
        """Return a cell as LaTeX; where cells wrap, lines may end within words too."""
        text = MINUS.sub("\N{MINUS SIGN}", cells[self.place])
        if self.width is None:
            return escape(text)
        found = [escape(piece) for piece in pieces(text, self.width)]
        return "".join(
            piece if piece == " " or after in (" ", "") else rf"{piece}\allowbreak{{}}" for piece, after in pairwise([*found, ""])
        )


def latex_tables(results: CampaignAnalysis) -> Iterator[tuple[str, str]]:
    """Yield name and text of every table of figures; the name comes from us alone, never from the results."""
    for name in (name for name, (_, view) in views().items() if view.section in SHOWN):
        kind, number = "other-figures" if name == "other_metrics" else name.replace("_", "-"), 0
        for group in results.groups:
            for table in shown(replace(results, groups=(group,)), name):
                number += 1
                origin = said("orchestrator.exchange", "origin", group=group) if kind in ("comparison", "other-figures") else ""
                yield f"{kind}-{number}", to_latex(table, f"{kind}-{number}", origin)


def to_latex(table: Table, name: str, origin: str = "") -> str:
    """Return one table; title, note, what all rows share and the origin of its threshold are its caption.

    It fits a column of a paper: what does not stands in further blocks below, each with the names.
    """
    table = condensed(table, ())
    found = [
        BLOCK.format(
            columns="".join(column.kind for column in columns),
            head=" & ".join(column.cell(table.columns) for column in columns),
            rows="\n".join(f"{' & '.join(column.cell(row) for column in columns)} \\\\" for row in table.rows),
        )
        for columns in blocks(table)
    ]
    caption = escape(" ".join(filter(None, [f"{table.title}.", table.note.strip(), origin])))
    return TABLE.format(caption=caption, name=name, size=TEXT_PT, leading=LEADING_PT, gap=GAP_PT / 2, blocks=NEXT_BLOCK.join(found))


def blocks(table: Table) -> Iterator[list[Column]]:
    """Yield the columns of each block. Those of names, which come before the first figure, begin every block.

    Names are as wide as they are, and if they do not fit, those that are wider than a fair share wrap; figures wrap if a block holds none
    else.
    """
    natural = [max(map(width_of, cells)) for cells in zip(table.columns, *table.rows, strict=True)]
    rights = [column in table.right for column in table.columns]
    first = next((place for place, right in enumerate(rights) if right), len(rights))
    room = COLUMN_PT - GAP_PT * max(0, first - 1) - (FIGURES_PT + GAP_PT if first < len(rights) else 0)
    names = [Column(place, False) for place in range(first)]
    for number, place in enumerate(sorted(range(first), key=lambda place: natural[place])):
        share = room / (first - number)
        if natural[place] > share:
            names[place] = Column(place, False, share)
        room -= min(natural[place], share)
    left = COLUMN_PT - sum(column.width or natural[column.place] for column in names) - GAP_PT * len(names)
    block, free = list(names), left
    for place in range(first, len(rights)):
        column = Column(place, rights[place], None if natural[place] <= left else min(left, WRAPPED * natural[place]))
        needed = column.width or natural[place]
        if len(block) > len(names) and needed > free:
            yield block
            block, free = list(names), left
        block.append(column)
        free -= needed + GAP_PT
    if block:
        yield block


def width_of(text: str) -> float:
    """Return about how wide a text is in points, rather too much than too little."""
    return sum(LETTERS_PT.get(letter, USUAL_PT if letter.isascii() else OTHER_PT) for letter in text)


def pieces(text: str, width: float) -> Iterator[str]:
    """Yield the parts of a text after each of which a line may end; no word is wider than a column of this width.

    Examples
    --------
    >>> list(pieces("lite0_samples 0.900 [0.893, 0.900]", 60))
    ['lite0_', 'samples', ' ', '0.900', ' ', '[0.893,', ' ', '0.900]']
    """
    for piece in PIECE.findall(text):
        part = ""
        for letter in piece:
            if part.strip() and width_of(part + letter) > width:
                yield part
                part = ""
            part += letter
        yield part


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is, on one line, with the escapes of `printable`."""
    escaped = "".join(SPECIAL.get(character, character) for character in printable(text))
    return re.sub("-(?=-)", "-{}", escaped)  # two hyphens would be a dash
