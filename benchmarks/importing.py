"""What 10^7 rows of CSV and of Parquet take to import, and how much memory.

``python benchmarks/importing.py [ROWS]``; ``TMPDIR=DIR`` chooses the disk.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from benchmarks.common import Benchmark, Figure, apart, at_most, cost_of

ROWS, SAMPLES = 10**7, 1000
FORMS = ("csv", "parquet")
IN_ROUNDS = "in rounds"
SHAPES = {IN_ROUNDS: True, "without rounds": False}


def write(path: Path, rows: int, with_rounds: bool) -> None:
    """Write lognormal times of 10 ms, of samples in rounds, or of requests that begin one after the other."""
    times = np.random.default_rng(0).lognormal(np.log(10e6), 0.2, rows).astype(np.int64)
    columns = {"start_ns": 1_700_000_000_000_000_000 + np.cumsum(times), "inference_ns": times}
    if with_rounds:
        number = np.arange(rows)
        sample = number % SAMPLES
        columns = {"round": number // SAMPLES, "sample": sample, "inference_ns": times, "score_top1": (sample % 10 < 9).astype(float)}
    (pc_csv.write_csv if path.suffix == ".csv" else pq.write_table)(pa.table(columns), path)


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    rows = asked.rows or (ROWS // 10 if asked.quick else ROWS)
    shapes = {IN_ROUNDS: True} if asked.quick else SHAPES
    for shape, with_rounds in shapes.items():
        for form in FORMS:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"times.{form}"
                apart(write, path, rows, with_rounds)
                cost = cost_of("import", path, "--format", "table", "--task", "t", "--quiet", f"results_dir={folder}/results")
            yield from cost.figures(f"{rows:,} rows of {form} {shape}")


BENCHMARK = Benchmark(
    "importing",
    "What a table of times takes to import, from the start of the command to the campaign on disk",
    measure,
    bars={
        f"{ROWS:,} rows of {form} {shape}: {what}": bar
        for form in FORMS
        for shape in SHAPES
        for what, bar in (("time", at_most(40)), ("peak memory", at_most(2048)))
    },
    options={"rows": {"nargs": "?", "type": int, "metavar": "ROWS"}},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
