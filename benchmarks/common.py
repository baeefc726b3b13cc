"""What benchmarks share: figures with their bars and peers, the cost of a command, and how a benchmark runs.

A benchmark is a file that defines ``BENCHMARK``. ``python benchmarks/NAME.py`` prints its figures and exits with 1 if a bar is missed;
``--json`` prints a line of JSON for each figure: benchmark, figure, value, unit, bar, peer, pass, note.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import Process
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SUPPORT = ROOT / "tests" / "support"
PROGRAM = [sys.executable, "-m", "orchestrator"]
# A model that does nothing or sleeps, and a task of twenty numbers.
NULL_MODEL = ["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "model=echo", "task=numbers"]
SLEEP = "time.sleep(self._sleep_s)"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
MIB = 2**20

Row = dict[str, Any]


class LeftOut(Exception):
    """A benchmark cannot run here; one line says why."""


class Bar(NamedTuple):
    """What a figure must not exceed, or must reach."""

    limit: float
    is_least: bool = False

    def holds(self, value: float) -> bool:
        """Return whether a value keeps the bar; NaN does not."""
        return value >= self.limit if self.is_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.is_least else '<='} {shown(self.limit)}"


def at_most(limit: float) -> Bar:
    return Bar(limit)


def at_least(limit: float) -> Bar:
    return Bar(limit, is_least=True)


class Figure(NamedTuple):
    """One number, what peers have in its place, or a note why there is none."""

    name: str
    value: float | None
    unit: str = ""
    peer: str = ""
    note: str = ""


def left_out(peer: str) -> Figure:
    """Return the line of a peer whose package is not installed."""
    return Figure(peer, None, note=f"left out: pip install {peer}")


@dataclass(frozen=True)
class Benchmark:
    """What a file measures, beside which peer, and the bars of figures by name.

    measure
        yields the figures; it is called with the parsed options, among them ``quick``. A figure whose name contains its size has the bar of
        that size alone.
    is_quick
        whether a run of all benchmarks with ``--quick`` contains it.
    options
        its own, with the arguments of ``add_argument``.
    """

    name: str
    measures: str
    measure: Callable[[argparse.Namespace], Iterator[Figure]]
    bars: Mapping[str, Bar] = field(default_factory=dict)
    peer: str = ""
    is_quick: bool = True
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def rows(self, asked: argparse.Namespace) -> Iterator[Row]:
        """Yield a row for each figure, and for a whole run one for each bar that no figure has, unless it names a peer that is left out."""
        seen, absent = set(), []
        try:
            for figure in self.measure(asked):
                seen.add(figure.name)
                absent += [figure.name] if figure.value is None else []
                yield self._row(figure)
        except LeftOut as why:
            yield self._row(Figure("left out", None, note=str(why)))
            return
        if asked.json and not asked.quick:
            for name in self.bars:
                if name not in seen and not any(peer in name for peer in absent):
                    yield self._row(Figure(name, None, note="not measured")) | {"pass": False}

    def _row(self, figure: Figure) -> Row:
        bar = self.bars.get(figure.name)
        return {
            "benchmark": self.name,
            "figure": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "bar": "" if bar is None else str(bar),
            "peer": figure.peer,
            "pass": None if bar is None or figure.value is None else bar.holds(figure.value),
            "note": figure.note,
        }

    def main(self) -> int:
        """Run with the options of the command line and print each figure. Returns the exit code."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what it has started is ended then, too
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has a command in the background ignore it, and its programs too
        about = f"{self.measures}. Peer: {self.peer or 'none'}."
        parser = argparse.ArgumentParser(description=about)
        parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer repeats")
        parser.add_argument("--json", action="store_true", help="a line of JSON for each figure")
        for name, more in self.options.items():
            parser.add_argument(name, **more)
        asked = parser.parse_args()
        missed = False
        for row in self.rows(asked):
            print(json.dumps(row) if asked.json else "  ".join(filter(None, cells(row)[1:])), flush=True)
            missed |= row["pass"] is False
        return int(missed)


def cells(row: Row) -> list[str]:
    """Return a row as a table shows it: benchmark, figure, value, bar, peer, pass."""
    value = "-" if row["value"] is None else f"{shown(row['value'])} {row['unit']}".strip()
    verdict = {None: "", True: "yes", False: "MISSED"}[row["pass"]]
    return [row["benchmark"], row["figure"], row["note"] or value, row["bar"], row["peer"], verdict]


def shown(value: float) -> str:
    """Return a number with three significant digits, or whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def median_ms(call: Callable[[], object], runs: int = 1) -> float:
    """Return the median time of a call, ms."""
    times = []
    for _ in range(runs):
        began = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - began) / 1e6)
    return statistics.median(times)


class Cost(NamedTuple):
    """What a command took from its start to its end: seconds, and its peak of memory."""

    seconds: float
    peak_mib: float

    def figures(self, name: str) -> Iterator[Figure]:
        yield Figure(f"{name}: time", self.seconds, "s")
        yield Figure(f"{name}: peak memory", self.peak_mib, "MiB")


def cost_of(*words: object, cwd: Path | None = None) -> Cost:
    """Run a verb of the program and return what it cost. Raises SystemExit where it fails."""
    command = [*PROGRAM, *map(str, words)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=cwd, env=ENVIRONMENT) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return Cost(time.perf_counter() - began, usage.ru_maxrss / 1024)


def apart(call: Callable[..., object], *arguments: object) -> None:
    """Call a function in a process of its own: its memory would count as that of the commands that follow."""
    process = Process(target=call, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{call.__name__}: exit code {process.exitcode}")


def null_model_that(works: str, folder: Path) -> Path:
    """Make a folder of code whose null model runs a line where the true one sleeps."""
    folder.mkdir()
    text = (SUPPORT / "code" / "null_targets.py").read_text()
    if SLEEP not in text:
        raise SystemExit("the null model no longer sleeps as this program thinks")
    (folder / "null_targets.py").write_text(text.replace(SLEEP, works))
    return folder


NEIGHBOUR = """
import os, random, sys, time
os.sched_setaffinity(0, set(map(int, sys.argv[1].split(","))))
turns, least, most = random.Random(int(sys.argv[2])), float(sys.argv[3]), float(sys.argv[4])
while os.getppid() == int(sys.argv[5]):
    end = time.monotonic() + turns.uniform(least, most)
    while time.monotonic() < end:
        pass
    time.sleep(turns.uniform(least, most))
"""


@contextmanager
def neighbours(cores: Sequence[Sequence[int]], least_s: float, most_s: float, seed: int = 0) -> Iterator[None]:
    """Have a process on each set of cores compute for times drawn between two, and sleep as long, by turns."""
    processes = [
        subprocess.Popen([sys.executable, "-c", NEIGHBOUR, ",".join(map(str, one)), *map(str, (seed, least_s, most_s, os.getpid()))])
        for one in cores
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
