"""Run the simulations behind docs/statistics.md and write their tables and figures into it.

    python benchmarks/run_studies.py                                   # everything, as published
    python benchmarks/run_studies.py --study intervals --repetitions 100 --document /tmp/try.md

A study is a module in benchmarks/studies with TITLE, REPETITIONS, CASES and run. Its rows go to docs/statistics/NAME.csv, its table
between `<!-- study: NAME -->` and `<!-- end -->` of the document, its figure, where it draws one, to docs/statistics/NAME.svg.
Seeds belong to cases, so that the numbers depend neither on the number of processes nor on what else is run.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.metadata
import os
import platform
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

# Two processes of one thread each, not two of as many threads as the machine has cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from benchmarks import studies

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOCUMENT = Path(__file__).parent.parent / "docs" / "statistics.md"
MARKER = "<!-- study: {} -->"
END = "<!-- end -->"

Row: TypeAlias = dict[str, str | int | float]


class Study(Protocol):
    """What a module in benchmarks/studies offers, and perhaps ``figure(rows)``."""

    TITLE: str
    REPETITIONS: int
    CASES: Sequence[Any]

    def run(self, case: Any, repetitions: int, seed: int) -> list[Row]: ...


def find_studies() -> dict[str, Study]:
    """Return the studies by name, in alphabetical order; modules that only help them are left out."""
    names = sorted(path.stem for folder in studies.__path__ for path in Path(folder).glob("[!_]*.py"))
    modules = {name: importlib.import_module(f"benchmarks.studies.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "CASES")}


def run_case(name: str, index: int, repetitions: int, seed: int) -> tuple[list[Row], float]:
    """Return the rows of one case and how many seconds of one core they took."""
    study: Study = importlib.import_module(f"benchmarks.studies.{name}")
    start = time.process_time()
    return study.run(study.CASES[index], repetitions, seed), time.process_time() - start


def cell(value: str | int | float) -> str:
    """Return a value as the table shows it."""
    if isinstance(value, str):
        return value.replace("|", r"\|")
    if isinstance(value, float):
        if value != value:
            return "-"
        if value.is_integer() or abs(value) >= 1000:
            return f"{value:,.0f}"
        return f"{value:#.4g}"
    return f"{value:,}"


def markdown_table(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table: text to the left, numbers to the right."""
    heads = list(rows[0])
    rules = [":--" if isinstance(rows[0][head], str) else "--:" for head in heads]
    lines = [heads, rules, *([cell(row[head]) for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_table(document: str, name: str, table: str) -> str:
    """Return the document with the table of one study replaced."""
    marker = MARKER.format(name)
    place = re.compile(rf"({re.escape(marker)}\n).*?({re.escape(END)})", re.DOTALL)
    if len(place.findall(document)) != 1:
        raise SystemExit(f"study {name}: the document needs one place for its table, {marker} and after it {END}")
    return place.sub(lambda found: f"{found[1]}{table}\n{found[2]}", document)


def studies_of(document: str) -> list[str]:
    """Return the names in the document's markers."""
    return re.findall(MARKER.format(r"(\w+)"), document)


def provenance(repetitions: int, seed: int) -> str:
    """Return what a table is the result of, in one line."""
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in ("numpy", "scipy"))
    return (
        f"*{repetitions:,} repetitions, seed {seed}. {processor()}, {platform.system()}, Python {platform.python_version()}, {versions}.*"
    )


def processor() -> str:
    """Return the processor's name and number of cores."""
    information = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*:\s*(.+)$", information.read_text(), re.MULTILINE) if information.exists() else None
    return f"{os.cpu_count()} cores of {named[1] if named else platform.machine()}"


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV, numbers with all their digits."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as SVG that is the same whenever the rows are."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "studies", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")


def publish(name: str, study: Study, rows: Sequence[Row], source: str, document: Path) -> None:
    """Write what a study found: rows, table, figure."""
    folder = document.with_suffix("")
    folder.mkdir(exist_ok=True)
    write_rows(folder / f"{name}.csv", rows)
    table = f"**{study.TITLE}**\n\n{markdown_table(rows)}\n\n{source}"
    if hasattr(study, "figure"):
        save_figure(study.figure(rows), folder / f"{name}.svg")
        table += f"\n\n![{study.TITLE}]({folder.name}/{name}.svg)"
    document.write_text(with_table(document.read_text(), name, table))
    print(f"\n{study.TITLE}\n\n{markdown_table(rows)}\n\n{source}", flush=True)


def main() -> None:
    found = find_studies()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", nargs="+", choices=list(found), default=list(found), metavar="NAME", help=f"of {', '.join(found)}")
    parser.add_argument("--repetitions", type=int, help="of every case; by default as many as each study says")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="where the tables go; made with places for them if it is not there")
    arguments = parser.parse_args()
    document: Path = arguments.document
    if not document.exists():
        document.write_text("\n".join(f"{MARKER.format(name)}\n{END}\n" for name in arguments.study))
    for name in arguments.study:
        with_table(document.read_text(), name, "")
    with ProcessPoolExecutor(arguments.processes) as pool:
        pending: dict[str, list[Future[tuple[list[Row], float]]]] = {}
        for name in arguments.study:
            repetitions = arguments.repetitions or found[name].REPETITIONS
            cases = range(len(found[name].CASES))
            pending[name] = [pool.submit(run_case, name, index, repetitions, arguments.seed) for index in cases]
        for name, cases_of in pending.items():
            results = [future.result() for future in cases_of]
            source = provenance(arguments.repetitions or found[name].REPETITIONS, arguments.seed)
            publish(name, found[name], [row for rows, _ in results for row in rows], source, document)
            print(f"{name}: {sum(seconds for _, seconds in results):,.1f} s of one core", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
