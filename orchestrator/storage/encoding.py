"""How timings are encoded in Parquet, chosen by measurement (``benchmarks/storage.py``).

A duration in nanoseconds is mostly noise: 10 ms +- 10 % holds 22 random bits that nothing can compress. What can be saved is
the rest. Splitting a page into streams of first bytes, second bytes and so on gives zstd the few high bytes on their own, and
one slow sample costs its own bits alone; differences packed at one width per 32 values (``DELTA_BINARY_PACKED``) cost the same
on calm data but a whole bit more per column with 1 % of slow samples. Numbers of rounds and samples are regular, and their
differences compress to almost nothing.
"""

import inspect
from typing import Any

import pyarrow.parquet as pq

from orchestrator.storage import schema

ROW_GROUP = 2**20
"""Rows per row group of a merged file: about 9 MB, and the most that a merge holds in memory."""

PAGE_ROWS = 2**17
"""Rows per page: then one stream of bytes fills exactly one 128 KiB block of zstd, with a code of its own."""

DELTA = ("round", "sample")
GAPS = "token_gaps_ns"
SPLIT = (
    "start_gap_ns", *schema.STAGES, "cuda_inference_ns", "arrival_ns", "queue_ns", *(name for name in schema.ANSWER if name != GAPS),
    f"{GAPS}.list.element",
)  # fmt: skip

OTHER: dict[str, Any] = {
    "compression": "zstd",
    "write_page_checksum": True,
    # In short trials, a copy of the schema and least and largest values in each footer are a third of all bytes.
    "store_schema": False,
    "write_statistics": False,
}
"""Options of pyarrow's writer for all tables but timings."""

TIMINGS: dict[str, Any] = OTHER | {
    "use_dictionary": ["outcome"],
    "column_encoding": dict.fromkeys(DELTA, "DELTA_BINARY_PACKED") | dict.fromkeys(SPLIT, "BYTE_STREAM_SPLIT"),
    "data_page_size": PAGE_ROWS * 8,
    "write_statistics": list(DELTA),
}
"""Options for timings. Row groups can be passed over by round and sample."""

if "max_rows_per_page" in inspect.signature(pq.ParquetWriter.__init__).parameters:
    # Newer pyarrow ends a page at 20,000 rows unless another limit is given; older pyarrow knows no such limit.
    TIMINGS["max_rows_per_page"] = PAGE_ROWS
