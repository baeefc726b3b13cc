"""By hand, 10 minutes on 2 idle cores: how often a neighbour that does nothing seems to cost quality, and what one on the same core costs.

``differs`` counts the campaigns of 20 whose interval at the primary deadline excludes 0, beside a neighbour that sleeps: one is expected.
``throughput`` is that beside `cpu` on the system's core over that without it, by pairs of visits, with a 95 % interval. The scheduler's
share predicts a half.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from scipy import stats

from benchmarks.common import Benchmark, Figure, at_least, at_most, cost_of

WORDS = [
    "-m", "--quiet", "model=efficientnet_lite0", "task=imagenet_samples", "system=cpu_1core", "runtime=onnxruntime", "analysis.primary=p50",
    "measurement.rule=rounds", "measurement.visit_rounds=1", "measurement.min_rounds=24", "measurement.max_rounds=24",
]  # fmt: skip


def measured(neighbour: str, folder: Path) -> Path:
    """Return the campaign of a trial without a neighbour and one beside it."""
    own = folder / "conf" / "neighbour"
    own.mkdir(parents=True)
    (own / "sleeper.yaml").write_text("name: sleeper\ncommand: [sleep, '86400']\n")
    words = ["--config-dir", str(own.parent), f"neighbour=none,{neighbour}", f"results_dir={folder / 'results'}", "task.limit=10"]
    cost_of(*WORDS, *words, cwd=folder)
    return folder / "results"


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    differs = 0
    for _ in range(3 if asked.quick else 20):
        with tempfile.TemporaryDirectory() as folder:
            [row] = pq.read_table(measured("sleeper", Path(folder)) / "neighbours.parquet", filters=[("primary", "=", True)]).to_pylist()
            differs += not (row["interval_low"] or 0) <= 0 <= (row["interval_high"] or 0)
    yield Figure("differs", differs)
    with tempfile.TemporaryDirectory() as folder:
        trials = sorted(measured("cpu", Path(folder)).glob("trials/*/rounds"), key=lambda path: "beside" in str(path))
        alone, beside = (pq.read_table(path).sort_by("round").column("duration_ns").to_numpy() for path in trials)
    low, high = stats.t.interval(0.95, len(alone) - 1, (alone / beside).mean(), stats.sem(alone / beside))
    yield Figure("throughput", (alone / beside).mean())
    yield Figure("throughput, low", low)
    yield Figure("throughput, high", high)


BY_HAND = Benchmark(
    "neighbours",
    "What a neighbour that does nothing seems to cost, and one on the same core",
    measure,
    {"differs": at_most(3), "throughput, low": at_most(0.5), "throughput, high": at_least(0.5)},
)

if __name__ == "__main__":
    sys.exit(BY_HAND.main())
