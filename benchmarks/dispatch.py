"""What lies between rounds of 0.5 s, beside a bare Ray loop; and how long the program takes to its first answer.

    python benchmarks/dispatch.py [gap] [bare] [start] [quick]     # all where none is named

``gap`` measures a model that sleeps under the embedded Ray, once without lead-in and once with it. Own gap is what lies between two rounds
besides the lead-in; visits are not spaced (``measurement.pause=0``). ``bare`` is the peer: an actor of Ray that sleeps, and nothing else.
``start`` is from the command to the first timed inference of `make run`, ``quick`` how long `make quick` takes.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.common import ENVIRONMENT, NULL_MODEL, PROGRAM, Benchmark, Figure, at_least, at_most, cost_of

ROUND_MS = 500
WORDS = [*NULL_MODEL, "--quiet", "model.sleep_ms=25", "system=cpu_1core", "measurement.rule=rounds", "measurement.pause=0"]


def gaps(lead_in: int, rounds: int) -> dict[str, float]:
    """Return the medians of the gaps (ms) within and between visits, their mean a round, and the share of time in rounds."""
    limits = [f"measurement.{limit}_rounds={rounds}" for limit in ("min", "max")]
    with tempfile.TemporaryDirectory() as folder:
        cost_of(*WORDS, *limits, f"measurement.lead_in={lead_in}", f"results_dir={folder}/results", cwd=Path(folder))
        [rows] = [pq.read_table(path).to_pylist() for path in Path(folder).glob("results/trials/*/rounds")]
    within, between = [], []
    for one, following in pairwise(rows):
        gap_ms = (following["started_monotonic_ns"] - one["started_monotonic_ns"] - one["duration_ns"]) / 1e6
        (within if one["visit"] == following["visit"] else between).append(gap_ms)
    span = rows[-1]["started_monotonic_ns"] + rows[-1]["duration_ns"] - rows[0]["started_monotonic_ns"]
    return {
        "within": statistics.median(within),
        "between": statistics.median(between),
        "mean": statistics.mean([*within, *between]),
        "efficiency": sum(row["duration_ns"] for row in rows) / span,
    }


def gap(rounds: int, repeats: int) -> Iterator[Figure]:
    found = {}
    for lead_in, times in ((0, repeats), (3, 1)):
        runs = [gaps(lead_in, rounds) for _ in range(times)]
        found[lead_in] = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    yield Figure("own gap a round, mean", found[0]["mean"], "ms")
    yield Figure("between two rounds of a visit", found[0]["within"], "ms")
    yield Figure("between two visits", found[0]["between"], "ms")
    yield Figure("lead-in of 3 inferences of 25 ms, a visit", found[3]["between"] - found[0]["between"], "ms")
    yield Figure("efficiency without lead-in", found[0]["efficiency"])
    yield Figure("efficiency with lead-in", found[3]["efficiency"])


BARE_RAY = """
import sys, time, ray
@ray.remote
class Sleeper:
    def round(self):
        began = time.monotonic_ns()
        time.sleep(0.5)
        return began, time.monotonic_ns()
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
sleeper = Sleeper.remote()
ray.get(sleeper.round.remote())
rounds = [ray.get(sleeper.round.remote()) for _ in range(int(sys.argv[1]))]
print(sum(end - began for began, end in rounds) / (rounds[-1][1] - rounds[0][0]))
"""


def bare(rounds: int, repeats: int) -> Iterator[Figure]:
    printed = subprocess.run([sys.executable, "-c", BARE_RAY, str(rounds)], check=True, capture_output=True, text=True).stdout
    share = float(printed.split()[-1])
    yield Figure("efficiency of a bare Ray actor", share)
    yield Figure("gap a round of a bare Ray actor", ROUND_MS * (1 / share - 1), "ms")


def first_s() -> float:
    """Start the vision sweep, end it once a round is stored, and return when the first inference began, s after the command."""
    with tempfile.TemporaryDirectory() as folder:
        results, began_s = Path(folder) / "results", time.time()
        command = [*PROGRAM, "+sweep=vision", "--quiet", f"results_dir={results}"]
        program = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder, env=ENVIRONMENT)
        while program.poll() is None and not [*results.glob("trials/*/.waiting*"), *results.glob("trials/*/rounds/*")]:
            time.sleep(0.2)
        program.send_signal(signal.SIGINT)
        program.terminate()  # the second signal ends it without a report
        program.wait()
        parts = [pq.read_table(path, columns=["started_at"]) for path in results.glob("trials/*/rounds/*.parquet")]
        return float(min(row["started_at"] for part in parts for row in part.to_pylist()).timestamp() - began_s)


def start(rounds: int, repeats: int) -> Iterator[Figure]:
    yield Figure("first timed inference of `make run`", statistics.median(first_s() for _ in range(repeats)), "s")


def quick(rounds: int, repeats: int) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        cost = cost_of("--quiet", "+sweep=quick", f"results_dir={folder}/results", cwd=Path(folder))
    yield Figure("`make quick` after installation", cost.seconds, "s")


PARTS = {"gap": gap, "bare": bare, "start": start, "quick": quick}


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    for part in asked.parts or PARTS:
        yield from PARTS[part](*((12, 1) if asked.quick else (20, 3)))


BENCHMARK = Benchmark(
    "dispatch",
    "What lies between rounds of 0.5 s, and how long the program takes to its first answer",
    measure,
    bars={
        "own gap a round, mean": at_most(5),
        "efficiency without lead-in": at_least(0.985),
        "first timed inference of `make run`": at_most(8),
        "`make quick` after installation": at_most(8),
    },
    peer="a bare Ray actor",
    options={"parts": {"nargs": "*", "metavar": "PART", "help": f"of {', '.join(PARTS)}"}},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
