"""Run the simulations behind docs/statistics.md, write their rows as CSV and judge every bar.

    python benchmarks/studies/run.py                                     # all, as published
    python benchmarks/studies/run.py coverage --repetitions 100 --folder /tmp/try

A study is a module beside this one with TITLE, REPETITIONS, CASES and run. Its rows go to results/NAME.csv. One that promises something has
bars(rows), or a column *bar* in its rows, and perhaps failing(rows): cells within reach that break the promise, which go to failing.csv.
Exits with 1 if a bar is missed. Seeds belong to cases: rows depend neither on the number of processes nor on what else is run.
"""

import argparse
import csv
import importlib
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Protocol

# Two processes of one thread each, not two of as many threads as the machine has cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from benchmarks.studies.bars import Bar, Row

FOLDER = Path(__file__).with_name("results")


class Study(Protocol):
    """What a module in benchmarks/studies offers, and perhaps ``bars(rows)`` and ``failing(rows)``."""

    TITLE: str
    REPETITIONS: int
    CASES: Sequence[Any]

    def run(self, case: Any, repetitions: int, seed: int) -> list[Row]: ...


def find_studies() -> dict[str, Study]:
    """Return the studies by name, in alphabetical order; modules that only help them are left out."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\nCASES" in path.read_text("utf-8"))
    return {name: importlib.import_module(f"benchmarks.studies.{name}") for name in names}


def run_case(name: str, index: int, repetitions: int, seed: int) -> tuple[list[Row], float]:
    """Return the rows of one case and how many seconds of one core they took."""
    study: Study = importlib.import_module(f"benchmarks.studies.{name}")
    start = time.process_time()
    return study.run(study.CASES[index], repetitions, seed), time.process_time() - start


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV: numbers with four significant digits, which is more than 1,000 draws can tell."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows)


def judge(name: str, study: Study, rows: list[Row]) -> tuple[list[Bar], list[Row]]:
    """Return the bars of a study and the cells that break one, as study, cell and figures."""
    judged = [row for row in rows if row.get("bar", "none") != "none"]
    missed = [row for row in judged if row["bar"] == "missed"]
    own = [Bar(f"{name}: rows that miss their bar", f"{len(missed)} of {len(judged)}", "none", not missed)] if judged else []
    broken = [*missed, *getattr(study, "failing", lambda rows: [])(rows)]
    cells = [{"study": name, "cell": "; ".join(f"{key} {_short(value)}" for key, value in row.items())} for row in broken]
    return [*own, *getattr(study, "bars", lambda rows: [])(rows)], cells


def _short(value: str | int | float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(bars: Sequence[Bar]) -> str:
    """Return the table of bars, one line each."""
    rows = [("bar", "asked", "found", ""), *((one.what, one.bar, one.found, "pass" if one.holds else "FAIL") for one in bars)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def main() -> int:
    found = find_studies()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(found)}; all by default")
    parser.add_argument("--repetitions", type=int, help="of every case; by default as many as each study says")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the tables go")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(found):
        parser.error(f"{min(unknown)}: choose of {', '.join(found)}")
    asked.folder.mkdir(parents=True, exist_ok=True)
    bars: list[Bar] = []
    broken: list[Row] = []
    with ProcessPoolExecutor(asked.processes) as pool:
        for name in asked.names or found:
            study = found[name]
            repetitions = asked.repetitions or study.REPETITIONS
            pending = [pool.submit(run_case, name, index, repetitions, asked.seed) for index in range(len(study.CASES))]
            results = [future.result() for future in pending]
            rows = [row for rows, _ in results for row in rows]
            write_rows(asked.folder / f"{name}.csv", rows)
            judged, cells = judge(name, study, rows)
            bars += judged
            broken += cells
            print(f"{name}: {len(rows)} rows, {sum(seconds for _, seconds in results):,.1f} s of one core", file=sys.stderr, flush=True)
    if not asked.names:
        write_rows(asked.folder / "failing.csv", broken or [{"study": "none", "cell": ""}])
    print(table(bars))
    return 0 if all(one.holds for one in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
