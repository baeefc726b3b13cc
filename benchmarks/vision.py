"""Does `make run` answer on a machine that is not quiet? The vision sweep through the command line.

settled
    trials that settled; every other one must say in minutes what it lacks.
flagged rows
    share of the rows of ``tail_quality.parquet`` that carry a flag.
bytes a row
    all Parquet files of the trials over the rows of their timings.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orchestrator
from benchmarks.common import Benchmark, Figure, at_least, at_most, cost_of


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "vision"
        cost = cost_of("+sweep=vision", "--quiet", f"results_dir={directory}", *asked.words)
        results = orchestrator.open(directory)
        trials, rows = results.trials().to_pylist(), results.tail_quality().to_pylist()
        stopped = [str(trial["stopped"]) for trial in trials]
        yield Figure("trials settled, of 8", sum(reason.startswith("settled") for reason in stopped))
        yield Figure("trials that do not say what they lack", sum(not reason.startswith(("settled", "not")) for reason in stopped))
        yield Figure("flagged rows", 100 * sum(bool(row["flags"]) for row in rows) / len(rows), "%")
        count = sum(results.timings(trial["trial"]).num_rows for trial in trials)
        yield Figure("bytes a row of timings", sum(path.stat().st_size for path in directory.glob("trials/**/*.parquet")) / count, "bytes")
    yield Figure("time", cost.seconds, "s")


BENCHMARK = Benchmark(
    "vision",
    "What the vision sweep answers, and how long it takes",
    measure,
    bars={
        "trials settled, of 8": at_least(6),
        "trials that do not say what they lack": at_most(0),
        "flagged rows": at_most(15),
        "bytes a row of timings": at_most(30),
        "time": at_most(240),
    },
    is_quick=False,
    options={"words": {"nargs": "*", "metavar": "KEY=VALUE", "help": "replace or add to the sweep's"}},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
