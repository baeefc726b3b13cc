"""A comparison as Markdown, fit for a comment on a pull request: the verdict first, then the tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.report.table import Table, to_markdown

SPECIAL = re.compile(r"[\\`*_{}\[\]()#!~@]")


def to_comment(title: str, told: Sequence[str], tables: Sequence[Table]) -> str:
    """Return the text; whatever names and reasons hold is shown as it is."""
    head = [f"# {_plain(title)}", "", *(f"- {_plain(sentence)}" for sentence in told), ""]
    return "\n".join([*head, *(to_markdown(_shown(table)) for table in tables)])


def _shown(table: Table) -> Table:
    """Return a table whose cells cannot begin a link, an image, a mention or emphasis."""
    rows = [[SPECIAL.sub(r"\\\g<0>", cell) for cell in row] for row in table.rows]
    return Table(table.title, table.columns, rows, table.note, table.right)


def _plain(text: str) -> str:
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")
    return SPECIAL.sub(r"\\\g<0>", safe)
