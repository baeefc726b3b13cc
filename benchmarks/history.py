"""Time of a history of 1,000 campaigns, start to end, in a process of its own.

python benchmarks/history.py CAMPAIGN [COUNT]     # a campaign that was measured and reported, such as results/latest
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.many_campaigns import many_campaigns

BAR_S = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", type=Path)
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(f"load average {', '.join(f'{value:.1f}' for value in os.getloadavg())}, {os.cpu_count()} cores")
    random = np.random.default_rng(0)
    half = np.arange(arguments.count) >= arguments.count // 2
    with tempfile.TemporaryDirectory() as folder:
        noise = random.normal(0, 0.005, arguments.count)
        many_campaigns(Path(folder), arguments.campaign, noise - 0.02 * half, np.exp(random.normal(0, 0.03, arguments.count) + 0.1 * half))
        for _ in range(arguments.runs):
            began = time.perf_counter()
            command = [sys.executable, "-m", "orchestrator", "history", folder]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            took = time.perf_counter() - began
            if process.returncode:
                raise SystemExit(f"exit code {process.returncode}")
            rows = pq.read_metadata(Path(folder) / "history.parquet").num_rows
            changes = pq.read_metadata(Path(folder) / "change_points.parquet").num_rows
            page = (Path(folder) / "history.html").stat().st_size / 2**20
            processor, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10
            print(
                f"{arguments.count:,} campaigns, {rows:,} points, {changes} change points: {took:.1f} s (bar {BAR_S:.0f} s), processor "
                f"{processor:.1f} s, peak {peak:.0f} MiB, page {page:.1f} MB"
            )


if __name__ == "__main__":
    main()
