"""What a stored row of timings takes, beside an ideal coder.

An ideal coder needs about log2(4.13 x sd) bits for a normal duration with that standard deviation in ns (the differential entropy, Cover
and Thomas, Elements of Information Theory, eq. 8.9).
"""

import io
import sys
from argparse import Namespace
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.common import Benchmark, Figure, at_most
from orchestrator.storage import schema, stored_form

MEDIANS = {"start_gap_ns": 300.0, "preprocess_ns": 5e6, "inference_ns": 10e6, "postprocess_ns": 5e4}
STALLS, SPREADS = 0.01, (0.05, 0.1, 0.3)


def timings(rounds: int, samples: int, spread: float, rng: np.random.Generator) -> pa.Table:
    """Lognormal times of a given relative spread, of which one in a hundred stalls."""
    rows = rounds * samples
    columns = {}
    for name, median in MEDIANS.items():
        values = rng.lognormal(np.log(median), spread, rows)
        stalled = rng.random(rows) < STALLS
        columns[name] = pa.array(np.where(stalled, values * rng.lognormal(1, 0.5, rows), values).astype(np.int64))
    return pa.table(
        {
            "round": pa.array(np.repeat(np.arange(rounds, dtype=np.int32), samples)),
            "sample": pa.array(np.tile(np.arange(samples, dtype=np.int32), rounds)),
            "outcome": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), list(schema.OUTCOMES)),
            **columns,
            "cuda_inference_ns": pa.nulls(rows, pa.int64()),
            **{name: pa.nulls(rows, schema.TIMINGS.field(name).type) for name in ("arrival_ns", "queue_ns", "ramp", *schema.ANSWER)},
        },
        schema=schema.TIMINGS,
    )


def bytes_per_row(table: pa.Table, durations: str) -> float:
    """Return what a row takes where durations have this encoding."""
    options = dict(stored_form.PARQUET_OF_TIMINGS)
    options["column_encoding"] = {**options["column_encoding"], **dict.fromkeys(stored_form.SPLIT, durations)}
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return len(buffer.getvalue()) / table.num_rows


def ideal_bytes(table: pa.Table) -> float:
    """Bytes that the durations without stalls would need."""
    bits = 0.0
    for name in MEDIANS:
        values = table.column(name).to_numpy()
        low, high = np.quantile(values, [0.1587, 0.8413])
        bits += max(0.0, np.log2(4.13 * (high - low) / 2))
    return bits / 8


def measure(asked: Namespace) -> Iterator[Figure]:
    rng = np.random.default_rng(1)
    for spread in SPREADS:
        table = timings(5000, 20, spread, rng)
        plain, split = (bytes_per_row(table, encoding) for encoding in ("PLAIN", "BYTE_STREAM_SPLIT"))
        peer = f"ideal coder {ideal_bytes(table):.2f}, plain {plain:.2f}"
        yield Figure(f"a row of timings, spread {spread:.0%}", split, "bytes", peer)


BENCHMARK = Benchmark(
    "storage",
    "What a row of timings takes on disk, by the spread of times",
    measure,
    bars={"a row of timings, spread 10%": at_most(9.5)},
    peer="an ideal coder of durations",
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
