"""Print how long 10^7 rows of CSV and of Parquet take to import, and how much memory.

python benchmarks/importing.py [ROWS]          # TMPDIR=DIR chooses the disk
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

SAMPLES = 1000
SHAPES = {"rounds of 1,000": True, "no rounds": False}


def table(rows: int, with_rounds: bool) -> pa.Table:
    """Lognormal times of 10 ms, of samples in rounds, or of requests that begin one after the other."""
    rng = np.random.default_rng(0)
    times = rng.lognormal(np.log(10e6), 0.2, rows).astype(np.int64)
    if not with_rounds:
        return pa.table({"start_ns": 1_700_000_000_000_000_000 + np.cumsum(times), "inference_ns": times})
    number = np.arange(rows)
    sample = number % SAMPLES
    return pa.table({"round": number // SAMPLES, "sample": sample, "inference_ns": times, "score_top1": (sample % 10 < 9).astype(float)})


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10**7
    print(f"{rows:,} rows; load average {', '.join(f'{value:.1f}' for value in os.getloadavg())}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for shape, with_rounds in SHAPES.items():
            made = table(rows, with_rounds)
            for form in ("csv", "parquet"):
                path = Path(folder) / f"times.{form}"
                if form == "csv":
                    pc_csv.write_csv(made, path)
                else:
                    pq.write_table(made, path)
                measured(path, Path(folder) / f"{form} {shape}", f"{form}, {shape}")
                path.unlink()


def measured(path: Path, results: Path, name: str) -> None:
    command = [
        sys.executable,
        "-m",
        "orchestrator",
        "import",
        str(path),
        "--format",
        "table",
        "--task",
        "t",
        "--quiet",
        f"results_dir={results}",
    ]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{name}: exit code {process.returncode}")
    size = path.stat().st_size / 2**20
    processor, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10
    print(f"{name}: {size:.0f} MiB, {took:.1f} s, of processor time {processor:.1f} s, peak {peak:.0f} MiB")


if __name__ == "__main__":
    main()
