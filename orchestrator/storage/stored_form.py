"""Bring rows, columns and tables into the stored form, and how that is encoded in Parquet."""

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.storage import schema

# How tables are encoded was chosen by measurement (benchmarks/storage.py). A duration in nanoseconds is mostly noise: 10 ms +- 10 % holds
# 22 random bits that nothing can compress. What can be saved is the rest. Splitting a page into streams of first bytes, second bytes and
# so on gives zstd the few high bytes on their own, and one slow sample costs its own bits alone; differences packed at one width per 32
# values (DELTA_BINARY_PACKED) cost the same on calm data but a whole bit more per column with 1 % of slow samples. Numbers of rounds and
# samples are regular, and their differences compress to almost nothing.

# Rows per row group of a merged file: about 9 MB, and the most that a merge holds in memory.
ROW_GROUP = 2**20
# Rows per page: then one stream of bytes fills exactly one 128 KiB block of zstd, with a code of its own.
PAGE_ROWS = 2**17
DELTA = ("round", "sample")
GAPS = "token_gaps_ns"
SPLIT = (
    "start_gap_ns", *schema.STAGES, "cuda_inference_ns", "arrival_ns", "queue_ns", f"{GAPS}.list.element",
    *(name for name in schema.ANSWER if pa.types.is_integer(schema.TIMINGS.field(name).type)),
)  # fmt: skip
# Options of pyarrow's writer for all tables but timings. In short trials, a copy of the schema and least and largest values in each footer
# are a third of all bytes.
PARQUET: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True, "store_schema": False, "write_statistics": False}
# Options for timings. Row groups can be passed over by round and sample.
PARQUET_OF_TIMINGS: dict[str, Any] = PARQUET | {
    "use_dictionary": ["outcome"],
    "column_encoding": dict.fromkeys(DELTA, "DELTA_BINARY_PACKED") | dict.fromkeys(SPLIT, "BYTE_STREAM_SPLIT"),
    "data_page_size": PAGE_ROWS * 8,
    "write_statistics": list(DELTA),
}
if "max_rows_per_page" in inspect.signature(pq.ParquetWriter.__init__).parameters:
    # Newer pyarrow ends a page at 20,000 rows unless another limit is given; older pyarrow knows no such limit.
    PARQUET_OF_TIMINGS["max_rows_per_page"] = PAGE_ROWS

# Columns that may hold nulls but may not be missing.
NEEDED = ("start_gap_ns", *schema.STAGES)


@cache
def outcomes() -> pa.Array:
    """Return ``schema.OUTCOMES`` as an array. Made when needed: the first array makes pyarrow import pandas, if that is installed."""
    return pa.array(schema.OUTCOMES)


def finite(value: float | None) -> float | None:
    """Return a number as it is stored: null where it is infinite or not a number, as a time that is never reached."""
    return value if value is not None and math.isfinite(value) else None


def conform(table: pa.Table | pa.RecordBatch, form: pa.Schema) -> pa.Table:
    """Return the columns of ``form`` in its order and types; columns it does not name are left out.

    ``outcome`` comes back with the one dictionary ``schema.OUTCOMES``, so that its codes mean the same everywhere. Evidence
    that an older file lacks is null.

    Raises
    ------
    ValueError
        for a missing column, nulls where there may be none, a value that does not fit, or an unknown outcome.
    """
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if table.schema.equals(form, check_metadata=True):  # as our own tables are: only what a type does not say is looked at
        for place, field in enumerate(form):
            if not field.nullable or pa.types.is_dictionary(field.type) or pa.types.is_timestamp(field.type):
                table = table.set_column(place, field, _column({field.name: table.column(place)}, field, table.num_rows))
        return table
    present = dict(zip(table.column_names, table.columns, strict=True))
    return pa.table([_column(present, field, table.num_rows) for field in form], schema=form)


def used(table: pa.Table) -> pa.Table:
    """Return rows of a trial without the columns that its kind never fills: in a short part they would cost more than its times."""
    return table.drop_columns(
        [name for name in schema.OF_SOME_TRIALS if name in table.column_names and table.column(name).null_count == len(table)]
    )


def conform_samples(table: pa.Table, kind: str) -> pa.Table:
    """Return the samples of a trial of this kind of task, by number, in the types of ``schema.SAMPLES``, with all columns present.

    Raises
    ------
    ValueError
        for a missing column, a value that does not fit, no sample, or one that occurs twice.
    """
    names = table.column_names
    if missing := [name for name in schema.SAMPLES.names if name not in names]:
        raise ValueError(f"column {missing[0]!r} is missing")
    answers = dict(zip(("reference", "prediction"), schema.ANSWERS.get(kind, (None, None)), strict=True))
    columns = {}
    for name, column in zip(names, table.columns, strict=True):
        own = schema.SAMPLES.field(name) if name in schema.SAMPLES.names and name not in answers else None
        begins = next((kind for begin, kind in schema.MORE_OF_SAMPLES.items() if name.startswith(begin)), None)
        wanted = own.type if own is not None else answers.get(name) or begins
        if own is not None and column.null_count:
            raise ValueError(f"column {name!r} holds nulls and may not")
        columns[name] = column if wanted is None or column.type == wanted else column.cast(wanted)
    samples = columns["sample"].to_pylist()
    if sorted(samples) != list(range(len(samples))) or not samples:
        raise ValueError("its samples are not counted from 0 without a gap")
    found = pa.table(columns)
    return found if samples == sorted(samples) else found.sort_by("sample")


def table_of(rows: Sequence[Mapping[str, Any]], form: pa.Schema) -> pa.Table:
    """Return rows as a table. Raises ValueError for a key that has no column: pyarrow would drop it without a word."""
    refuse_unknown((name for row in rows for name in row), form)
    return pa.Table.from_pylist(list(rows), schema=form)


def rows_batch(rows: Sequence[Mapping[str, Any]], form: pa.Schema) -> pa.RecordBatch:
    """Return rows as a batch. Raises ValueError as `table_of`."""
    refuse_unknown({name for row in rows for name in row}, form)
    return pa.RecordBatch.from_struct_array(pa.array(rows, pa.struct(form)))


def columns_batch(columns: Mapping[str, Any], form: pa.Schema) -> pa.RecordBatch:
    """Return arrays as a batch; columns that are not there are null. Raises ValueError as `table_of`."""
    refuse_unknown(columns, form)
    rows = len(next(iter(columns.values())))
    arrays = [columns[field.name] if field.name in columns else pa.nulls(rows, field.type) for field in form]
    return pa.RecordBatch.from_arrays(arrays, schema=form)


def refuse_unknown(names: Iterable[str], form: pa.Schema) -> None:
    """Raise ValueError for a name that is no column of ``form``."""
    if unknown := set(names) - set(form.names):
        raise ValueError(f"no column {min(unknown)!r} to hold a figure: add it to the table's schema, or leave it out of the rows")


def outcome_codes(table: pa.Table) -> npt.NDArray[np.int8]:
    """Return the outcomes of conforming timings as indices into ``schema.OUTCOMES``, shape [rows]."""
    chunks = [chunk.indices.to_numpy() for chunk in table.column("outcome").chunks]
    return np.concatenate([np.empty(0, dtype=np.int8), *chunks])


def _column(present: Mapping[str, pa.ChunkedArray], field: pa.Field, rows: int) -> pa.ChunkedArray:
    column = present.get(field.name)
    if column is None:
        if field.nullable and field.name not in NEEDED:
            return pa.nulls(rows, field.type)
        raise ValueError(f"column {field.name!r} is missing")
    if not field.nullable and column.null_count:
        raise ValueError(f"column {field.name!r} holds nulls and may not")
    if not pa.types.is_dictionary(field.type):
        cast = column.cast(field.type)
        if pa.types.is_timestamp(field.type):
            for end in pc.min_max(cast).values():
                end.as_py()  # raises for a year that no calendar of Python has
        return cast
    return pa.chunked_array([_outcomes(chunk) for chunk in column.chunks], field.type)


def _outcomes(chunk: pa.Array) -> pa.DictionaryArray:
    encoded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
    codes = pc.index_in(encoded.dictionary, value_set=outcomes()).take(encoded.indices)
    if codes.null_count:
        unknown = sorted(set(encoded.dictionary.to_pylist()) - set(schema.OUTCOMES), key=str)
        raise ValueError(f"outcome {unknown[0]!r} is none of {', '.join(schema.OUTCOMES)}")
    return pa.DictionaryArray.from_arrays(codes.cast(pa.int8()), outcomes())
