"""Write the columns of result tables in docs/results.md anew: ``python docs/columns.py``."""

from pathlib import Path

from orchestrator.analysis.table import documented

page = Path(__file__).with_name("results.md")
page.write_text(documented(page.read_text("utf-8")), "utf-8")
