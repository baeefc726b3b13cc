"""Columns of stored tables, declared once: schema, documentation and reports follow from them."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

TYPES = {
    "str": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float64(),
    "time": pa.timestamp("us", tz="UTC"),
    "list": pa.list_(pa.string()),
    "map": pa.map_(pa.string(), pa.float64()),
}
IN_WORDS = {"float": "float64", "list": "list of strings", "map": "numbers by name"}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    type
        a key of `TYPES`, with ``?`` after it where there may be nulls.
    label, form
        its heading in reports, empty where it is not shown, and how its cells are written: see
        `orchestrator.report.table.cell`.
    """

    name: str
    type: str
    meaning: str
    label: str = ""
    form: str = ""

    @property
    def field(self) -> pa.Field:
        """The column in a Parquet schema."""
        nullable = self.type.endswith("?")
        return pa.field(self.name, TYPES[self.type.removesuffix("?")], nullable=nullable)

    @property
    def in_markdown(self) -> str:
        """Its row in docs/results.md."""
        kind = self.type.removesuffix("?")
        words = IN_WORDS.get(kind, str(TYPES[kind])) + (", or null" if kind != self.type else "")
        return f"| `{self.name}` | {words} | {self.meaning} |"


LABELS = (
    Column("trial", "str", "the trial's id"),
    Column("match_key", "str", "the id without the repeat: what trials that are the same work share"),
    Column("model", "str", "its name"),
    Column("task", "str", "its name"),
    Column("system", "str", "its name"),
    Column("runtime", "str", "its name"),
    Column(
        "server",
        "str",
        "the name of the server that answered; `none` for a model in the timed process",
    ),
    Column("batch", "int32", "samples per inference"),
    Column("repeat", "int32", "number of the repeat, from 0"),
)
"""What every result table begins with."""


def schema_of(columns: Iterable[Column]) -> pa.Schema:
    """Return the Parquet schema of columns."""
    return pa.schema([column.field for column in columns])


def differing_column(table: pa.Table, form: pa.Schema) -> str | None:
    """Return the first column of a schema that a table lacks or has in another type, or None."""
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    return next((field.name for field in form if types.get(field.name) != field.type), None)


def columns_in_markdown(columns: Iterable[Column]) -> str:
    """Return columns as docs/results.md lists them."""
    rows = (column.in_markdown for column in columns)
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *rows, ""])
