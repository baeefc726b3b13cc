"""The documentation as a site: `make docs` builds it with Sphinx, and a link or a heading that is not there is an error."""

from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

project = "Tail quality"
author = "the authors of tail-quality"
release = version = version_of("tail-quality")
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "benchmarks/**.md", "docs/**.md"]
# What no page lies in: Sphinx walks through every folder that is not named here, a virtual environment's thousands too.
exclude_patterns = [".*", "build", "results", "tests"]
root_doc = "docs/site/index"
highlight_language = "none"
html_theme = "furo"
html_title = project
html_extra_path = ["root"]
smartquotes = False  # as GitHub shows the pages: quotes are pasted into a shell

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

DECISIONS = "docs/adr"


def setup(app: Sphinx) -> None:
    """Link decisions from one page: in its table of contents they would stand in the sidebar of every page, more than all others."""
    app.connect("source-read", list_decisions)
    app.connect("doctree-read", stand_apart)


def list_decisions(app: Sphinx, page: str, source: list[str]) -> None:
    """Write a link to every decision, under its title, below the page of decisions."""
    if page == "docs/site/decisions":
        source[0] += "\n".join(f"- [](../adr/{path.name})" for path in sorted(Path(app.srcdir, DECISIONS).glob("*.md")))


def stand_apart(app: Sphinx, _: object) -> None:
    """Let a decision be in no table of contents."""
    if app.env.docname.startswith(f"{DECISIONS}/"):
        app.env.metadata[app.env.docname]["orphan"] = "true"
