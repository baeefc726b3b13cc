"""Pages in HTML from a template that lies beside the code that fills it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined


def page_of(package: str, name: str, **values: Any) -> str:
    """Return the template ``name`` of a package, filled: values are text unless it calls them safe, and none may be missing."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((files(package) / name).read_text(encoding="utf-8")).render(**values)
