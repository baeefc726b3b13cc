"""A comparison as Markdown, fit for a comment on a pull request: the verdict first, then the tables."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.report.markdown_text import markdown_text
from orchestrator.report.table import Table, to_markdown


def to_comment(title: str, told: Sequence[str], tables: Sequence[Table]) -> str:
    """Return the text; whatever names and reasons hold is shown as it is."""
    head = [f"# {markdown_text(title)}", "", *(f"- {markdown_text(sentence, at_start=True)}" for sentence in told), ""]
    return "\n".join([*head, *(to_markdown(table) for table in tables)])
