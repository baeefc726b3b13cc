"""What the paper's program computed from stored timings, as it was recorded, beside our re-implementation of it."""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import SUPPORT, Benchmark, Figure, LeftOut, at_most
from benchmarks.paper_program import SECTIONS, beside, read_answers, read_order, read_timings, sections

# Parts that are words, or about the program that was recorded.
NOT_COMPUTED = {"function", "command", "note", "mesh_of_the_bandwidth_solver"}


def differences(recorded: Any, ours: Any) -> Iterator[float]:
    """Yield how far each number is from what was recorded; infinite where a part is missing or another one."""
    if isinstance(recorded, dict):
        for name in recorded.keys() - NOT_COMPUTED:
            yield from differences(recorded[name], ours[name]) if name in ours else [math.inf]
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for both in zip(recorded, ours, strict=True):
            yield from differences(*both)
    elif isinstance(recorded, float) and isinstance(ours, (int, float)):
        yield 0.0 if math.isnan(recorded) and math.isnan(ours) else abs(recorded - ours)
    else:
        yield 0.0 if recorded == ours else math.inf


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    folder = asked.sets or sets_of_the_tests()
    if not (folder / "timings_a.csv.gz").exists():
        raise LeftOut(f"the recorded outputs of the paper's program are not in {folder}: give --sets")
    for name in ("a",) if asked.quick else ("a", "b", "c"):
        path, form = folder / f"timings_{name}.csv.gz", "json" if name == "c" else "csv"
        recorded = json.loads((folder / f"expected_{name}.json").read_text())
        began = time.process_time()
        timings = read_timings(path)
        judged = read_answers(folder / f"predictions_{name}.{form}.gz", timings)
        ours = json.loads(json.dumps(sections(timings, judged, read_order(beside(path), timings, judged))))
        yield Figure(f"set {name}: processor time", time.process_time() - began, "s")
        found = list(differences({section: recorded[section] for section in SECTIONS}, ours))
        yield Figure(f"set {name}: largest difference", max(found), "", f"the program's {len(found):,} values")


SETS = "timings_NAME.csv.gz, predictions_NAME and expected_NAME.json of each set; by default where the tests look for them"


def sets_of_the_tests() -> Path:
    sys.path.insert(0, str(SUPPORT))
    from paper_sets import PAPER_SETS

    return Path(PAPER_SETS)


BENCHMARK = Benchmark(
    "paper",
    "How far our re-implementation of the paper's program is from what that was recorded to compute",
    measure,
    bars={f"set {name}: largest difference": at_most(1e-9) for name in "abc"} | {"set a: processor time": at_most(60)},
    peer="the paper's program",
    options={"--sets": {"type": Path, "metavar": "DIR", "help": SETS}},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
