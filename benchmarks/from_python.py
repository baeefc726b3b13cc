"""What `tail_quality` costs and decides: time added to a sample, figures stored, verdicts on equal and slower functions, a pytest session.

Comparisons are made beside a process that takes one core for times drawn between 0.1 and 2 s, and leaves it for as long.
"""

import os
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np

import tail_quality as tq
from benchmarks.common import ENVIRONMENT, Benchmark, Figure, at_least, at_most, cost_of, neighbours

SAMPLES, ROUNDS, PAIRS = 20_000, 8, 9
EQUAL, SLOWER = 200, 30
NO_PAUSE = ["measurement.pause=0"]
PLUGIN = "tail_quality.pytest_plugin"
TESTS = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_in_time(tail_quality, number):
    numbers = list(range(100))
    tail_quality(abs, numbers, numbers, deadline="20 ms", at_least=0.9)
"""


def same(value: int) -> int:
    return value


def bare_ns(inputs: Sequence[int]) -> float:
    """Return what a loop with two readings of the clock around each call takes, ns a sample."""
    clock = time.perf_counter_ns
    began = clock()
    for value in inputs:
        before = clock()
        same(value)
        after = clock()
    assert after >= before
    return (after - began) / len(inputs)


def measured_ns(inputs: Sequence[int]) -> float:
    """Return what the fastest round of `measure` takes, ns a sample: with stamps in memory of their own and a place for the answer."""
    result = tq.measure(same, inputs, inputs, rounds=ROUNDS, overrides=NO_PAUSE, say=None)
    [trial] = result.trials().column("trial").to_pylist()
    return min(result.rounds(trial).column("duration_ns").to_pylist()) / len(inputs)


def busy(turns: int) -> Callable[[int], int]:
    """Return a function that computes for a time in proportion to ``turns``, and answers with what it was given."""

    def compute(value: int) -> int:
        for _ in range(turns):
            pass
        return value

    return compute


def verdicts(turns: int, rounds: int, comparisons: int) -> Iterator[list[str]]:
    """Compare a function with one of so many turns in place of 10,000, and yield the verdicts: on quality, then on median latency.

    Every ten comparisons find a deadline anew, as the machine's speed changes: a quarter of the times exceed it.
    """
    inputs, functions = list(range(8)), {"before": busy(10_000), "after": busy(turns)}
    for number in range(comparisons):
        if number % 10 == 0:
            deadline = f"{tq.measure(functions['before'], inputs, inputs, rounds=4, overrides=NO_PAUSE, say=None).latency(75):.6f} ms"
        found = tq.compare(functions, inputs, inputs, deadline=deadline, rounds=rounds, say=None)
        yield [change.verdict for change in found.changes]


def largest_difference(folder: Path) -> float:
    """Return the largest difference between figures of a result and those that `report` writes of what it has saved."""
    numbers = list(range(200))
    result = tq.measure(same, numbers, [number - number % 50 // 49 for number in numbers], deadline="0.001 ms", say=None)
    saved = result.save(folder / "saved")
    cost_of("report", saved)
    stored = tq.open(saved)
    of_quality = next(row for row in stored.table("tail_quality").to_pylist() if (row["threshold"], row["clock"]) == ("0.001 ms", "total"))
    of_latency = next(row for row in stored.table("latency").to_pylist() if (row["percentile"], row["clock"]) == (99, "total"))
    low, high = result.quality_interval("0.001 ms")
    pairs = [
        (result.quality("0.001 ms"), of_quality["mean"]),
        (low, of_quality["interval_low"]),
        (high, of_quality["interval_high"]),
        (result.latency(99), of_latency["value_ns"] / 1e6),
    ]
    return float(max(abs(mine - theirs) for mine, theirs in pairs))


def session_s(folder: Path) -> float:
    """Return what a session of pytest with three measurements of the fixture takes."""
    (folder / "test_in_time.py").write_text(TESTS)
    installed = any(one.value == PLUGIN for one in entry_points(group="pytest11"))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *([] if installed else ["-p", PLUGIN])]
    began = time.perf_counter()
    subprocess.run(words, cwd=folder, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def measure(asked: Namespace) -> Iterator[Figure]:
    inputs = list(range(SAMPLES))
    measured_ns(inputs[:10])  # imports
    pairs = range(3 if asked.quick else PAIRS)
    bare, mine = np.min([(min(bare_ns(inputs) for _ in range(ROUNDS)), measured_ns(inputs)) for _ in pairs], axis=0)  # others slow both
    yield Figure("added to a sample", float(mine - bare), "ns", f"bare loop {bare:.0f} ns")
    with tempfile.TemporaryDirectory() as scratch:
        yield Figure("figures saved and reported: largest difference", largest_difference(Path(scratch)))
        yield Figure("a pytest session with three measurements", session_s(Path(scratch)), "s")
    equal, slower = (asked.equal, asked.slower) if not asked.quick else (10, 5)
    tempfile.tempdir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # verdicts need no disk
    with neighbours([sorted(os.sched_getaffinity(0))], 0.1, 2):
        false = sum(not {"better", "worse"}.isdisjoint(said) for said in verdicts(10_000, 30, equal))
        yield Figure(f"equal functions: verdicts of {equal}", false)
        found = sum(said[-1] == "worse" for said in verdicts(11_000, 60, slower))
        yield Figure(f"slower by 10 %: found in {slower}", 100 * found / slower, "%")


BENCHMARK = Benchmark(
    "from_python",
    "What `tail_quality.measure` adds to a sample, whether `compare` keeps quiet and finds what it should, and what a pytest session takes",
    measure,
    bars={
        "added to a sample": at_most(500),
        "figures saved and reported: largest difference": at_most(0),
        "a pytest session with three measurements": at_most(30),
        f"equal functions: verdicts of {EQUAL}": at_most(17),
        f"slower by 10 %: found in {SLOWER}": at_least(90),
    },
    peer="a loop with two readings of the clock",
    is_quick=False,
    options={
        "--equal": {"type": int, "default": EQUAL, "help": "comparisons of a function with itself"},
        "--slower": {"type": int, "default": SLOWER, "help": "comparisons with one slower by 10 %%"},
    },
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
