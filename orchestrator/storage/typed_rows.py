"""Rows of result tables as types: the Parquet schema and the list of columns in docs/results.md are derived from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType
from typing import Annotated, Any, NamedTuple, TypedDict, get_args, get_origin, get_type_hints

import pyarrow as pa

from orchestrator.storage import columns as declared

Int32 = Annotated[int, pa.int32()]
Int64 = Annotated[int, pa.int64()]
Parameters = Annotated[Mapping[str, float], pa.map_(pa.string(), pa.float64())]
"""What a method was given and estimated, by name."""
PLAIN: dict[Any, pa.DataType] = {str: pa.string(), float: pa.float64(), bool: pa.bool_(), list[str]: pa.list_(pa.string())}


class Labels(TypedDict):
    """What every result table begins with."""

    trial: Annotated[str, "the trial's id"]
    match_key: Annotated[str, "the id without the repeat: what trials that are the same work share"]
    model: Annotated[str, "its name"]
    task: Annotated[str, "its name"]
    system: Annotated[str, "its name"]
    runtime: Annotated[str, "its name"]
    server: Annotated[str, "the name of the server that answered; `none` for a model in the timed process"]
    batch: Annotated[Int32, "samples per inference"]
    repeat: Annotated[Int32, "number of the repeat, from 0"]


class Column(NamedTuple):
    """One column: its name, type, whether it may hold nulls, and what it means."""

    name: str
    type: pa.DataType
    nullable: bool
    meaning: str


def columns_of(row: type | Mapping[str, Any]) -> Sequence[Column]:
    """Return the columns of a row, a ``TypedDict`` or the annotations of one.

    Each is annotated as ``Annotated[TYPE, "what it means"]``, with ``TYPE | None`` where there may be nulls.
    """
    return _columns(row) if isinstance(row, Mapping) else _columns_of_type(row)


@cache
def _columns_of_type(row: type) -> Sequence[Column]:
    return _columns(get_type_hints(row, include_extras=True))


def _columns(hints: Mapping[str, Any]) -> Sequence[Column]:
    return tuple(Column(name, *_taken_apart(hint)) for name, hint in hints.items())


def form_of(row: type | Mapping[str, Any]) -> pa.Schema:
    """Return the Parquet schema of a row."""
    return pa.schema([pa.field(column.name, column.type, nullable=column.nullable) for column in columns_of(row)])


def _taken_apart(hint: Any) -> tuple[pa.DataType, bool, str]:
    """Return the Arrow type of an annotation, whether it may be null, and its meaning."""
    kind, nullable, meaning = None, False, ""
    while kind is None:
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
            meaning = next((note for note in notes if isinstance(note, str)), meaning)
            kind = next((note for note in notes if isinstance(note, pa.DataType)), None)
            nullable = nullable or NoneType in get_args(hint)
        elif NoneType in get_args(hint):
            nullable = True
            hint = next(part for part in get_args(hint) if part is not NoneType)
        else:
            kind = PLAIN[hint]
    return kind, nullable, meaning


def differing_column(table: pa.Table, row: type | Mapping[str, Any]) -> str | None:
    """Return the first column of a row that a table lacks or has in another type, or None."""
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    return next((column.name for column in columns_of(row) if types.get(column.name) != column.type), None)


def columns_in_markdown(row: type | Mapping[str, Any], after: type | None = None) -> str:
    """Return a table of the columns of a row, as docs/results.md holds it; without those of ``after``, with which it begins."""
    known = set() if after is None else {column.name for column in columns_of(after)}
    lines = [
        f"| `{column.name}` | {_type_in_words(column.type)}{', or null' if column.nullable else ''} | {column.meaning} |"
        for column in columns_of(row)
        if column.name not in known
    ]
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *lines, ""])


def _type_in_words(kind: pa.DataType) -> str:
    if pa.types.is_map(kind):
        return "numbers by name"
    if pa.types.is_list(kind):
        return "list of strings"
    return "float64" if kind == pa.float64() else str(kind)


KINDS = {kind: name for name, kind in declared.TYPES.items()}


def bridged(row: type | Mapping[str, Any], *intervals: tuple[str, str, str]) -> tuple[declared.Column, ...]:
    """Return the columns of a row as they are declared, without the labels; intervals are lower limit, figure and upper limit."""
    limits = {figure: f"[{low}, {high}]" for low, figure, high in intervals}
    known = {column.name for column in declared.LABELS}
    return tuple(
        declared.Column(one.name, KINDS[one.type] + "?" * one.nullable, one.meaning, form=limits.get(one.name, ""))
        for one in columns_of(row)
        if one.name not in known
    )
