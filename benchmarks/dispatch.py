"""How much of a trial's time its machine spends in timed rounds: sum of round durations over first start to last end.

    python benchmarks/dispatch.py

Runs rounds of 0.5 s of a model that sleeps, under the embedded Ray, three times.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
WORDS = [
    "--quiet",
    "--config-dir",
    str(SUPPORT / "conf"),
    f"code=[{SUPPORT / 'code'}]",
    "model=echo",
    "model.sleep_ms=25",
    "task=numbers",
    "system=cpu_1core",
    "measurement.rule=rounds",
    "measurement.max_rounds=30",
]


def efficiency() -> float:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        subprocess.run(
            [sys.executable, "-m", "orchestrator", *WORDS, f"results_dir={results}"], check=True, stdout=subprocess.DEVNULL, cwd=folder
        )
        [rounds] = [pq.read_table(path).to_pylist() for path in results.glob("trials/*/rounds")]
        span = rounds[-1]["started_monotonic_ns"] + rounds[-1]["duration_ns"] - rounds[0]["started_monotonic_ns"]
        return float(sum(row["duration_ns"] for row in rounds) / span)


def main() -> None:
    found = [efficiency() for _ in range(3)]
    print(f"dispatch efficiency of 0.5 s rounds: median {statistics.median(found):.3f}, lowest {min(found):.3f} of 3 runs (bar: 0.97)")


if __name__ == "__main__":
    main()
