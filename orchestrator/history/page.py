"""``history.html``: one file that holds all it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from orchestrator.history.picture import NOTE
from orchestrator.report.table import Table


@dataclass(frozen=True)
class Pictured:
    """A series by its name, with its picture as SVG."""

    name: str
    svg: str


def to_page(title: str, sentences: Sequence[str], tables: Sequence[Table], pictures: Sequence[Pictured]) -> str:
    """Return the page: what the history comes to, its change points, a picture of each series, and every table."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = (files("orchestrator.history") / "history_page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(title=title, sentences=sentences, tables=tables, pictures=pictures, note=NOTE)
