"""The documentation as a site: `make docs` builds it with Sphinx, and a link or a heading that is not there is an error."""

from importlib.metadata import version as version_of

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

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
