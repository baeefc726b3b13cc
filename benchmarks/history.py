"""What `history` takes over 1,000 campaigns that are made up, start to end."""

import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common import Benchmark, Figure, apart, at_most, cost_of
from benchmarks.many_campaigns import many_campaigns
from benchmarks.report import write

CAMPAIGNS = 1000


def make(folder: Path, source: Path, count: int) -> None:
    """Write campaigns of which the later half keeps less and is slower."""
    random = np.random.default_rng(0)
    later = np.arange(count) >= count // 2
    many_campaigns(folder, source, random.normal(0, 0.005, count) - 0.02 * later, np.exp(random.normal(0, 0.03, count) + 0.1 * later))


def measure(asked: Namespace) -> Iterator[Figure]:
    count = CAMPAIGNS // 10 if asked.quick else CAMPAIGNS
    with tempfile.TemporaryDirectory() as scratch:
        source, folder = Path(scratch) / "source", Path(scratch) / "campaigns"
        apart(write, source, 2, 120, 20)
        cost_of("report", source)
        apart(make, folder, source, count)
        yield Figure(f"{count:,} campaigns of 2 trials: time", cost_of("history", folder).seconds, "s")


BENCHMARK = Benchmark(
    "history",
    "What the command `history` takes",
    measure,
    bars={f"{CAMPAIGNS:,} campaigns of 2 trials: time": at_most(20)},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
