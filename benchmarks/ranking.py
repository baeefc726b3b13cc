"""Do a closed loop and arrivals rank two systems alike? Measures `+sweep=ranking`, and says it in the lines of docs/load.md.

    python benchmarks/ranking.py DIR [--write] [KEY=VALUE...]

A campaign that is in DIR is read without being measured again. `--write` puts the lines between the markers of docs/load.md,
`<!-- ranking: measured -->` and `<!-- end -->`; else they are printed. Exit code 1: the order is the same, or the intervals
of one of the two campaigns overlap.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orchestrator

DOCUMENT = Path(__file__).parents[1] / "docs" / "load.md"
# The primary one of the sweep.
THRESHOLD = "60 ms"
MARKER, END = "<!-- ranking: measured -->", "<!-- end -->"


@dataclass(frozen=True)
class Place:
    """What one system keeps within the deadline, of rounds to come, and what moves its figures."""

    name: str
    mean: float
    low: float
    high: float
    flags: tuple[str, ...] = ()

    @property
    def cell(self) -> str:
        """As a table shows it."""
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]" + "".join(f" ({flag})" for flag in self.flags)


def places_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Place]]:
    """Return what systems keep at the one threshold in ms, in the order of the rows: ``closed`` and ``open``, by whether samples arrive."""
    under_load = {row["trial"] for row in rows if row["clock"] == "response"}
    found: dict[str, list[Place]] = {"closed": [], "open": []}
    for row in rows:
        is_open = row["trial"] in under_load
        if row["clock"] == ("response" if is_open else "total"):
            name = f"{row['model']}, {row['runtime']}"
            place = Place(name, row["mean"], row["interval_low"], row["interval_high"], tuple(row["flags"]))
            found["open" if is_open else "closed"].append(place)
    return found


def verdict(closed: Sequence[Place], under_load: Sequence[Place]) -> tuple[str, bool]:
    """Return in a sentence whether both rank the two systems alike, and whether they do not, their intervals apart."""
    first, first_open = (max(places, key=lambda place: place.mean) for places in (closed, under_load))
    apart = [all(other.high < best.low for other in places if other is not best) for best, places in _with_best(closed, under_load)]
    told = f"Back to back {first.name} is first, and under arrivals {first_open.name}"
    if first.name == first_open.name:
        return f"{told}: the order is the same.", False
    if all(apart):
        return f"{told}; the intervals of both campaigns lie apart.", True
    tie = " and ".join(name for name, held in zip(("back to back", "under arrivals"), apart, strict=True) if not held)
    return f"{told}, but the intervals overlap {tie}: a tie there.", False


def _with_best(*campaigns: Sequence[Place]) -> Iterator[tuple[Place, Sequence[Place]]]:
    return ((max(places, key=lambda place: place.mean), places) for places in campaigns)


def lines_of(rows: Sequence[Mapping[str, Any]], load: str) -> tuple[list[str], bool]:
    """Return the lines of the table and of its verdict, and whether the order changes. Raises SystemExit where a trial is missing."""
    found = places_of(rows)
    names = [place.name for place in found["closed"]]
    if len(names) != 2 or sorted(names) != sorted(place.name for place in found["open"]):
        raise SystemExit("two systems, each in a closed loop and under arrivals, are needed at the primary threshold: finish the campaign")
    best = {kind: max(places, key=lambda place: place.mean).name for kind, places in found.items()}
    cells = {kind: {place.name: _bold(place.cell, place.name == best[kind]) for place in places} for kind, places in found.items()}
    told, differs = verdict(found["closed"], found["open"])
    return [
        f"| one core, top-1 within {THRESHOLD} | closed loop | {load} |",
        "|---|---:|---:|",
        *(f"| {name} | {cells['closed'][name]} | {cells['open'][name]} |" for name in names),
        "",
        told,
    ], differs


def _bold(text: str, first: bool) -> str:
    mean, _, rest = text.partition(" ")
    return f"**{mean}** {rest}" if first else text


def written(document: str, lines: Sequence[str]) -> str:
    """Return a document with these lines in their place. Raises SystemExit where it has none."""
    place = re.compile(rf"({re.escape(MARKER)}\n).*?({re.escape(END)})", re.DOTALL)
    if len(place.findall(document)) != 1:
        raise SystemExit(f"the document needs one place for its table, {MARKER} and after it {END}")
    return place.sub(lambda found: found[1] + "\n".join(["", *lines, ""]) + "\n" + found[2], document)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--write", action="store_true", help="write docs/load.md")
    options = parser.parse_args()
    if not (options.directory / "tail_quality.parquet").exists():
        command = [sys.executable, "-m", "orchestrator", "+sweep=ranking", *options.words, f"results_dir={options.directory}"]
        if code := subprocess.run(command, check=False).returncode:
            raise SystemExit(f"{options.directory}: exit code {code}")
    results = orchestrator.open(options.directory)
    wanted = ("top1", "all", THRESHOLD)
    rows = [row for row in results.tail_quality().to_pylist() if (row["metric"], row["slice"], row["threshold"]) == wanted]
    lines, differs = lines_of(rows, ", ".join(dict.fromkeys(results.load().column("load").to_pylist())))
    if options.write:
        DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), lines), encoding="utf-8")
    else:
        print("\n".join(lines))
    return 0 if differs else 1


if __name__ == "__main__":
    sys.exit(main())
