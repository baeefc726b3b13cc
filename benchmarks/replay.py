"""Time of a replay of 10^6 arrivals by every policy, on one core.

python benchmarks/replay.py
"""

import argparse
import statistics
import time
from typing import Any

import numpy as np

from orchestrator.stats.queueing import gamma, serve

QUEUE_BAR_MS, POLICY_BAR_MS = 50.0, 1000.0
RULES: dict[str, dict[str, Any]] = {
    "queue": {},
    "queue, at most 3 waiting": {"queue_limit": 3},
    "newest": {"policy": "newest"},
    "skip_late": {"policy": "skip_late", "deadline_ns": 30_000_000},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arrivals", type=int, default=10**6)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    services = (10e6 * np.exp(random.normal(0, 0.3, arguments.arrivals))).astype(np.int64)
    for utilisation in (0.5, 0.95, 1.5):
        arrivals = gamma(arguments.arrivals, utilisation / (services.mean() / 1e9), 1.0, random)
        for name, rule in RULES.items():
            times = []
            for _ in range(arguments.runs):
                start = time.perf_counter_ns()
                waits = serve(arrivals, services, **rule)
                times.append((time.perf_counter_ns() - start) / 1e6)
            bar = POLICY_BAR_MS if rule else QUEUE_BAR_MS
            dropped = (waits < 0).mean()
            print(
                f"utilisation {utilisation:g}, {name}: median {statistics.median(times):.0f} ms (bar {bar:.0f} ms), {dropped:.3f} dropped"
            )


if __name__ == "__main__":
    main()
