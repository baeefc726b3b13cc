"""Print how long 10^7 rows of CSV and of Parquet take to import, and how much memory; exit 1 above 40 s or 2 GiB.

python benchmarks/importing.py [ROWS]          # TMPDIR=DIR chooses the disk
"""

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
MOST_S, MOST_MIB = 40.0, 2048.0


def table(rows: int, with_rounds: bool) -> pa.Table:
    """Lognormal times of 10 ms, of samples in rounds, or of requests that begin one after the other."""
    rng = np.random.default_rng(0)
    times = rng.lognormal(np.log(10e6), 0.2, rows).astype(np.int64)
    if not with_rounds:
        return pa.table({"start_ns": 1_700_000_000_000_000_000 + np.cumsum(times), "inference_ns": times})
    number = np.arange(rows)
    sample = number % SAMPLES
    return pa.table({"round": number // SAMPLES, "sample": sample, "inference_ns": times, "score_top1": (sample % 10 < 9).astype(float)})


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10**7
    print(f"{rows:,} rows; load average {', '.join(f'{value:.1f}' for value in os.getloadavg())}, {os.cpu_count()} cores")
    held = True
    with tempfile.TemporaryDirectory() as folder:
        for shape, with_rounds in SHAPES.items():
            made = table(rows, with_rounds)
            for form in ("csv", "parquet"):
                path = Path(folder) / f"times.{form}"
                if form == "csv":
                    pc_csv.write_csv(made, path)
                else:
                    pq.write_table(made, path)
                held &= measured(path, Path(folder) / f"{form} {shape}", f"{form}, {shape}")
                path.unlink()
    print(f"bar of {MOST_S:g} s and {MOST_MIB:g} MiB: {'held' if held else 'missed'}")
    return 0 if held else 1


def measured(path: Path, results: Path, name: str) -> bool:
    """Import a file, print what it took, and return whether that is within the bar."""
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
    return took <= MOST_S and peak <= MOST_MIB


if __name__ == "__main__":
    sys.exit(main())
