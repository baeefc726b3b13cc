"""Does the gate keep quiet where nothing changed, and find what did? Real processes of a model that only sleeps, measured in pairs.

Every comparison is `compare --run` of two systems, one core and all cores, each side in 5 processes of a few seconds: two pairs of trials,
two verdicts. Meanwhile a process takes one core for times drawn between 1 and 20 s, and leaves it for as long.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import NULL_MODEL, SUPPORT, Benchmark, Figure, at_least, at_most, cost_of, neighbours, null_model_that
from orchestrator.compare.campaigns import compare
from orchestrator.storage.reader import open_campaign

# Where quality moves when the model gets slower; beside a co-runner the slowest 5 % of the times are the co-runner's.
PRIMARY = "p75"
SLOWER_ON_ONE_CORE = "time.sleep(self._sleep_s * (1.1 if len(os.sched_getaffinity(0)) == 1 else 1.0))"


def compared(folder: Path, after: str) -> dict[str, str]:
    """Measure a model that sleeps 2 ms and another side in pairs, and return the outcome by system."""
    words = [
        *NULL_MODEL[:2], "-m", "--quiet", "--pairs", "5", "--to", folder, *NULL_MODEL[3:], "system=cpu_1core,cpu_all",
        f"analysis.primary={PRIMARY}", "measurement.rule=rounds", "measurement.min_rounds=20", "measurement.max_rounds=20",
        "measurement.pause=0",  # repeats are the units, not visits
    ]  # fmt: skip
    cost_of("compare", "--run", side(2), after, *words)
    before, later = (open_campaign(folder / name) for name in "ab")
    analysis = before.record.config.analysis.model_copy(update={"primary": PRIMARY})
    return {row.trial.system.name: row.outcome for row in compare(before, later, analysis, power=True).rows}


def side(sleep_ms: float, code: Path = SUPPORT / "code") -> str:
    """Return a side whose model sleeps so long."""
    return f"code=[{code}] model.sleep_ms={sleep_ms}"


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    with neighbours([sorted(os.sched_getaffinity(0))], 1, 20), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, after in (("equal settings", side(2)), ("slower by 10 %", side(2.2))):
            found: Counter[str] = Counter()
            for number in range(asked.comparisons):
                found.update(compared(folder / f"{name[:5]}-{number}", after).values())
            if name == "equal settings":
                yield Figure(f"{name}: verdicts of {found.total()}", found["worse"] + found["better"])
            else:
                yield Figure(f"{name}: found worse", 100 * found["worse"] / found.total(), "%")
        outcomes = compared(folder / "code", side(2, null_model_that(SLOWER_ON_ONE_CORE, folder / "slower_code")))
        yield Figure("code slower on one core: found there alone", float(outcomes["cpu_1core"] == "worse" != outcomes["cpu_all"]))


COMPARISONS = 2
BENCHMARK = Benchmark(
    "gate",
    "Whether `compare --run` keeps quiet where nothing changed, and finds what did, beside a co-runner",
    measure,
    bars={
        f"equal settings: verdicts of {2 * COMPARISONS}": at_most(1),
        "slower by 10 %: found worse": at_least(75),
        "code slower on one core: found there alone": at_least(1),
    },
    is_quick=False,
    options={"--comparisons": {"type": int, "default": COMPARISONS, "help": "of equal settings, and as many of a slower model"}},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
