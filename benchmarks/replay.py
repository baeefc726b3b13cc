"""Time of a replay of 10^6 arrivals by every policy, on one core."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.common import Benchmark, Figure, at_most, median_ms
from orchestrator.stats.queueing import gamma, serve

ARRIVALS, RUNS = 10**6, 3
RULES: dict[str, dict[str, Any]] = {
    "queue": {},
    "queue, at most 3 waiting": {"queue_limit": 3},
    "newest": {"policy": "newest"},
    "skip_late": {"policy": "skip_late", "deadline_ns": 30_000_000},
}
UTILISATIONS = (0.5, 0.95, 1.5)


def measure(asked: Namespace) -> Iterator[Figure]:
    random = np.random.default_rng(0)
    services = (10e6 * np.exp(random.normal(0, 0.3, ARRIVALS))).astype(np.int64)
    streams = [gamma(ARRIVALS, utilisation / (services.mean() / 1e9), 1.0, random) for utilisation in UTILISATIONS]
    for name, rule in RULES.items():
        times = [median_ms(lambda rule=rule, arrivals=arrivals: serve(arrivals, services, **rule), RUNS) for arrivals in streams]
        yield Figure(f"{name}: slowest of {len(UTILISATIONS)} utilisations", max(times), "ms")


BENCHMARK = Benchmark(
    "replay",
    f"Time of a replay of {ARRIVALS:,} arrivals, at utilisations of {', '.join(map(str, UTILISATIONS))}",
    measure,
    bars={f"{name}: slowest of {len(UTILISATIONS)} utilisations": at_most(1000 if rule else 50) for name, rule in RULES.items()},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
