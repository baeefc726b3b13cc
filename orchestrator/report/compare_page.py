"""A comparison as one small HTML file: no script, no request, every name escaped."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from orchestrator.report.table import Table


def to_page(title: str, told: Sequence[str], tables: Sequence[Table]) -> str:
    """Return the page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = (files("orchestrator.report") / "compare_page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(title=title, told=told, tables=tables)
