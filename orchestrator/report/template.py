"""Pages in HTML from a template that lies beside the code that fills it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from orchestrator.report.text import printable


def page_of(package: str, name: str, **values: Any) -> str:
    """Return the template ``name`` of a package, filled: values are text unless it calls them safe, and none may be missing.

    Nothing in a text steers, hides or turns the direction of writing.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=shown)
    return environment.from_string((files(package) / name).read_text(encoding="utf-8")).render(**values)


def shown(value: Any) -> Any:
    """Return what a template writes of a value: text in which nothing steers, hides or turns the direction of writing; lines stay lines."""
    return "\n".join(map(printable, value.split("\n"))) if type(value) is str else value  # Markup is HTML of ours
