"""Run benchmarks, print a table of their figures, and exit with 1 if a bar is missed.

    python benchmarks/run.py                    # all, about 40 minutes on 2 idle cores; writes benchmarks/RESULTS.md
    python benchmarks/run.py --quick            # shorter forms of those that have one, within 5 minutes
    python benchmarks/run.py timed_loop load    # some of them

Each benchmark runs in a process of its own. Benchmarks whose packages are not installed are left out, with a line that says so.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.common import ENVIRONMENT, ROOT, Benchmark, Row, cells

RESULTS = Path(__file__).with_name("RESULTS.md")
HEADS = ("benchmark", "figure", "value", "bar", "peer", "pass")
# Cores that others keep busy just before a benchmark; beyond this its rows are marked.
QUIET_CORES, LOOK_S = 0.2, 1.0
LOUD = "\\*"
HOW_TO = """# Results of the benchmarks

`make bench` runs all benchmarks and replaces this page; `python benchmarks/run.py --quick` takes 5 minutes.
`python benchmarks/run.py --list` says what each measures, and `python benchmarks/NAME.py --help` which options it has."""


def find_benchmarks() -> dict[str, Benchmark]:
    """Return the benchmarks by name, in alphabetical order."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\nBENCHMARK = " in path.read_text("utf-8"))
    return {name: importlib.import_module(f"benchmarks.{name}").BENCHMARK for name in names}


def rows_of(name: str, quick: bool) -> Iterator[Row]:
    """Run a benchmark and yield its rows, then a failed one if it did not end well."""
    others = psutil.cpu_percent(LOOK_S) / 100 * (psutil.cpu_count() or 1)
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--json", *(["--quick"] if quick else [])]
    missed = False
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                row = json.loads(line)
                missed |= row["pass"] is False
                yield row | {"busy": others > QUIET_CORES}
        except BaseException:
            process.terminate()  # it ends what it has started
            raise
    code = process.returncode
    if code != int(missed):
        failed = dict.fromkeys(("bar", "peer", "unit"), "") | {"value": None, "note": f"exit code {code}", "pass": False}
        yield failed | {"benchmark": name, "figure": "failed", "busy": others > QUIET_CORES}


def machine() -> str:
    """Return the machine in words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{len(os.sched_getaffinity(0))} cores ({model}), {memory:.0f} GiB, {system}"


def commit() -> str:
    """Return the checkout's commit, with a plus sign if files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def page(rows: Sequence[Row], began: datetime, load: float) -> str:
    """Return the page of results."""
    lines = [HOW_TO, "", f"Machine: {machine()}. Date: {began:%Y-%m-%d}. Commit: {commit()}. Load average before: {load:.1f}."]
    if any(row["busy"] for row in rows):
        lines += [f"{LOUD}: other programs kept more than {QUIET_CORES} cores busy just before this benchmark."]
    table = [HEADS, ["---", "---", "---:", "---:", "---", "---"]]
    table += [[row["benchmark"] + LOUD * row["busy"], *(cell.replace("|", "\\|") for cell in cells(row)[1:])] for row in rows]
    return "\n".join([*lines, "", *(f"| {' | '.join(line)} |" for line in table)]) + "\n"


def table(rows: Sequence[Row]) -> str:
    """Return rows as text with columns side by side, and below them those that have a note in place of a value."""
    lines = [HEADS, *(cells(row) for row in rows if not row["note"])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    notes = [" ".join(filter(None, cells(row))) for row in rows if row["note"]]
    return "\n".join([*aligned, *notes])


def main() -> int:
    found = find_benchmarks()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(found)}")
    parser.add_argument("--quick", action="store_true", help="shorter forms")
    parser.add_argument("--list", action="store_true", help="say what each measures, and run none")
    parser.add_argument("--to", type=Path, help="the page to write; by default RESULTS.md, for a run of all in full")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(found):
        parser.error(f"{min(unknown)}: choose of {', '.join(found)}")
    if asked.list:
        print(*(f"{name}: {one.measures}. Peer: {one.peer or 'none'}." for name, one in found.items()), sep="\n")
        return 0
    chosen = asked.names or [name for name, one in found.items() if one.is_quick or not asked.quick]
    began, load = datetime.now(UTC), os.getloadavg()[0]
    rows: list[Row] = []
    for name in chosen:
        begun_s = time.monotonic()
        rows += rows_of(name, asked.quick)
        print(f"{name}: {time.monotonic() - begun_s:.0f} s", file=sys.stderr, flush=True)
    print(table(rows))
    if path := asked.to or (None if asked.quick or asked.names else RESULTS):
        path.write_text(page(rows, began, load), "utf-8")
    return int(any(row["pass"] is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
