"""Write the columns of result tables in docs/results.md anew: ``python docs/columns.py``."""

import re
from pathlib import Path

from orchestrator.analysis.table import tables
from orchestrator.storage.schema import columns_in_markdown

PAGE = Path(__file__).with_name("results.md")


def documented(page: str) -> str:
    """Return docs/results.md with the columns of all tables; one it lacks comes last."""

    def columns(match: re.Match[str]) -> str:
        one = tables().get(match[1])
        if one is None:
            return match[0]
        text = re.sub(r"^\|.*\n", "", match[3], flags=re.MULTILINE).strip()
        return f"{match[1]}{match[2]}{text}\n\n{columns_in_markdown(one.columns)}\n"

    lacking = [name for name in tables() if f"### `{name}.parquet`\n" not in page]
    whole = page + "".join(f"\n### `{name}.parquet`\n\n" for name in lacking)
    section = r"(?ms)(?<=^### `)(\w+)(\.parquet`\n\n)(.*?)(?=^##|\Z)"
    return re.sub(section, columns, whole)


if __name__ == "__main__":
    PAGE.write_text(documented(PAGE.read_text("utf-8")), "utf-8")
