"""Columns of result tables are declared once: schema, documentation and views follow."""

from __future__ import annotations

import pyarrow as pa
import pytest

from orchestrator.analysis.table import LABELS, Column, tables
from orchestrator.storage.schema import columns_in_markdown, schema_of

MINE = (
    Column("count", "int32", "how many"),
    Column("longest_ns", "int64?", "the longest"),
    Column("share", "float?", "a share"),
    Column("parameters", "map", "numbers"),
    Column("flags", "list", "flags"),
)


def test_a_schema_follows_from_columns() -> None:
    fields = [
        pa.field("count", pa.int32(), nullable=False),
        pa.field("longest_ns", pa.int64()),
        pa.field("share", pa.float64()),
        pa.field("parameters", pa.map_(pa.string(), pa.float64()), nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
    assert schema_of(MINE).equals(pa.schema(fields))
    assert "| `longest_ns` | int64, or null | the longest |" in columns_in_markdown(MINE)


@pytest.mark.parametrize("name", tables())
def test_every_column_has_a_meaning_and_views_name_columns_that_there_are(name: str) -> None:
    columns = {column.name: column for column in (*LABELS, *tables()[name].columns)}
    assert all(column.meaning for column in columns.values())
    for view in tables()[name].views:
        shown = {*view.where, *view.labels, *view.split, *filter(None, [view.across])}
        assert shown <= columns.keys()
        assert view.section
