"""``history.html``: one file that holds all it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.history.picture import NOTE
from orchestrator.report.html import page_of
from orchestrator.report.table import Table


@dataclass(frozen=True)
class Pictured:
    """A series by its name, with its picture as SVG."""

    name: str
    svg: str


def to_page(title: str, sentences: Sequence[str], tables: Sequence[Table], pictures: Sequence[Pictured]) -> str:
    """Return the page: what the history comes to, its change points, a picture of each series, and every table."""
    values = {"title": title, "sentences": sentences, "tables": tables, "pictures": pictures, "note": NOTE}
    return page_of("orchestrator.history", "history_page.html.j2", **values)
