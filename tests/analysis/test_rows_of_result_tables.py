"""The rows of result tables, their Parquet schemas and the page that describes them are one thing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

import pyarrow as pa
import pytest

from orchestrator.analysis.campaign_analysis import FORMS, ROWS
from orchestrator.storage.schema import RESULT_TABLES
from orchestrator.storage.typed_rows import Int32, Int64, Labels, Parameters, columns_in_markdown, columns_of, form_of

PAGE = (Path(__file__).parents[2] / "docs" / "results.md").read_text("utf-8")


class Mine(TypedDict):
    count: Annotated[Int32, "how many"]
    longest_ns: Annotated[Int64 | None, "the longest"]
    share: Annotated[float | None, "a share"]
    parameters: Annotated[Parameters, "numbers"]
    flags: Annotated[list[str], "flags"]


def test_a_schema_follows_from_a_row() -> None:
    assert form_of(Mine).equals(
        pa.schema(
            [
                pa.field("count", pa.int32(), nullable=False),
                pa.field("longest_ns", pa.int64()),
                pa.field("share", pa.float64()),
                pa.field("parameters", pa.map_(pa.string(), pa.float64()), nullable=False),
                pa.field("flags", pa.list_(pa.string()), nullable=False),
            ]
        )
    )
    assert [column.meaning for column in columns_of(Mine)] == ["how many", "the longest", "a share", "numbers", "flags"]


def test_every_table_has_a_row_that_begins_with_the_labels() -> None:
    assert set(ROWS) == set(RESULT_TABLES)
    labels = form_of(Labels).names
    assert all(form.names[: len(labels)] == labels for form in FORMS.values())
    assert all(column.meaning for row in ROWS.values() for column in columns_of(row))


def test_the_page_has_the_columns_that_all_tables_begin_with() -> None:
    assert columns_in_markdown(Labels) in PAGE


@pytest.mark.parametrize("name", ROWS)
def test_the_page_has_the_columns_of_every_table(name: str) -> None:
    section = PAGE.partition(f"### `{name}.parquet`\n\n")[2].partition("\n##")[0]
    lines = columns_in_markdown(ROWS[name], after=Labels).splitlines()
    missing = [line for line in lines if line not in section.splitlines()]
    assert missing == [], f"docs/results.md lacks, under {name}.parquet:\n" + "\n".join(missing)
    assert [line for line in section.splitlines() if line.startswith("|")] == lines
