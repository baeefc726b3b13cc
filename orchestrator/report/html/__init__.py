"""Pages in HTML from templates beside the code that fills them, on the base of all pages."""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.report.text import printable

# The policy of a page without scripts.
STILL = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'"
)


def page_of(package: str, name: str, **values: Any) -> str:
    """Return the template ``name`` of a package, filled: values are text unless they are Markup.

    None may be missing. Nothing in a text steers, hides or turns the direction of writing.
    """

    def load(asked: str) -> str:
        return text_of(asked, package if (files(package) / asked).is_file() else __name__)

    environment = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return environment.get_template(name).render(
        {"style": Markup(text_of("page.css")), "policy": STILL} | values  # noqa: S704 - ours
    )


def said(package: str, sentence: str, **values: Any) -> str:
    """Return a macro of a package's ``sentences.j2``, filled: text that is not escaped."""
    return str(getattr(_sentences(package), sentence)(**values)).strip()


@cache
def _sentences(package: str) -> Any:
    def many(name: str, count: int = 2) -> str:
        return name if count == 1 else f"{name}es" if name.endswith("s") else f"{name}s"

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - plain text
    environment.filters["many"] = many
    return environment.from_string(text_of("sentences.j2", package)).module


def text_of(name: str, package: str = __name__) -> str:
    """Return a file that lies in a package."""
    return (files(package) / name).read_text(encoding="utf-8")


def _shown(value: Any) -> Any:  # lines of a text stay lines
    return "\n".join(map(printable, value.split("\n"))) if type(value) is str else value
