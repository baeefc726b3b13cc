"""The pages of docs/reference/ are what the code gives."""

import runpy
from pathlib import Path

from orchestrator.configuration.config import BLOCKS, schema_keys

DOCS = Path(__file__).parents[2] / "docs"
reference = runpy.run_path(str(DOCS / "reference.py"))


def test_every_page_is_what_the_code_gives() -> None:
    assert reference["outdated"]() == [], "run `python docs/reference.py`"


def test_every_key_has_a_line() -> None:
    page = (DOCS / "reference" / "keys.md").read_text("utf-8")
    assert [f"{block}.{key}" for block in BLOCKS for key in schema_keys(block) if f"| `{block}.{key}` |" not in page] == []
