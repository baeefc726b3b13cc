"""How late samples start behind a Poisson schedule: the loop under load beside LoadGen's scenario Server, in real time.

Own delay is that of samples that find the server idle: of ours from the arrival to the first stamp; of LoadGen the ``issue_delay`` of its
trace, from the moment scheduled to the issue, before Python is called. Both serve an inference that keeps the core busy for 2 ms. The gap
is that between two inferences where samples wait. Figures are medians over ten slices.
"""

import math
import re
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Benchmark, Figure, at_most, left_out, shown
from orchestrator.measurement.load_loop import Service, serve, waiting
from orchestrator.measurement.timing import STAMPS, Stages
from orchestrator.stats.queueing import gamma

RATE_PER_S, BUSY_NS, SLICES = 150.0, 2_000_000, 10
SPIN_NS = 200_000
DELAY = re.compile(r'"issue_delay":(\d+),"issue_to_done":(\d+)')

Times = NDArray[np.int64]


class Way(NamedTuple):
    """A way to wait until a sample comes, and the bar on own delay's p50, us."""

    idle: Literal["sleep", "spin"]
    spin_ns: int
    bar_us: float | None


WAYS = {
    "spin": Way("spin", SPIN_NS, 5),
    "sleep, the last 200 us spun": Way("sleep", SPIN_NS, None),
    "sleep without spin": Way("sleep", 0, 150),
}


def busy(value: Any) -> Any:
    """Keep the core busy, as an inference."""
    until = time.perf_counter_ns() + BUSY_NS
    while time.perf_counter_ns() < until:
        pass
    return value


def in_real_time(way: Way, seconds: float, rate_per_s: float = RATE_PER_S) -> tuple[Times, Times]:
    """Serve a Poisson stream; return own delays and gaps between inferences, ns, in order."""
    count = int(rate_per_s * seconds)
    stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
    stages = Stages(lambda samples: samples, busy, lambda answers: answers)
    wait = waiting(way.idle, way.spin_ns)
    due = gamma(count, rate_per_s, 1.0, np.random.default_rng(1)) + time.perf_counter_ns() + 10_000_000
    serve(due.tolist(), range(count), stages, stamps, Service(), time.perf_counter_ns, wait)
    taken = np.array(stamps, dtype=np.int64).reshape(-1, STAMPS)
    starts, free = taken[1:, 0], taken[:-1, 3]
    idle_for = due[1:] - free
    return (starts - due[1:])[idle_for >= SPIN_NS], (starts - free)[idle_for <= 0]


def of_loadgen(seconds: float) -> Times:
    """Return own delays of LoadGen, ns."""
    import mlperf_loadgen  # type: ignore[import-not-found, unused-ignore]

    def issue(samples: Sequence[Any]) -> None:
        busy(None)
        mlperf_loadgen.QuerySamplesComplete([mlperf_loadgen.QuerySampleResponse(sample.id, 0, 0) for sample in samples])

    def nothing(*_: object) -> None:
        return None

    settings, logs, output = mlperf_loadgen.TestSettings(), mlperf_loadgen.LogSettings(), mlperf_loadgen.LogOutputSettings()
    settings.scenario, settings.mode = mlperf_loadgen.TestScenario.Server, mlperf_loadgen.TestMode.PerformanceOnly
    settings.server_target_qps, settings.server_target_latency_ns = RATE_PER_S, 10**9
    settings.min_duration_ms = int(1000 * seconds)
    settings.min_query_count = settings.max_query_count = int(RATE_PER_S * seconds)
    with tempfile.TemporaryDirectory() as folder:
        output.outdir, logs.log_output, logs.enable_trace = folder, output, True
        system = mlperf_loadgen.ConstructSUT(issue, nothing)
        library = mlperf_loadgen.ConstructQSL(100, 100, nothing, nothing)
        mlperf_loadgen.StartTestWithLogSettings(system, library, settings, logs, "")
        return delays_of_trace((Path(folder) / "mlperf_log_trace.json").read_text(encoding="utf-8", errors="replace"))


def delays_of_trace(text: str) -> Times:
    """Return the issue delays of a trace of LoadGen, ns, of samples before whose moment the one before had ended for long enough."""
    moments = [float(found) for found in re.findall(r'"name":"Latency","ph": ?"C","pid":\d+,"ts":([\d.]+)', text)]
    waits = [(int(delay), int(done)) for delay, done in DELAY.findall(text)]
    order = np.argsort(moments)
    due = np.rint(np.array(moments)[order] * 1000).astype(np.int64)
    delays, services = np.array(waits, dtype=np.int64)[order].T
    ended = np.maximum.accumulate(due + delays + services)[:-1]
    return np.asarray(delays[1:][due[1:] - ended >= SPIN_NS])


def over_slices(values: Times, percent: float) -> float:
    """Return the median over ten slices of a percentile, us; NaN of nothing."""
    slices = [part for part in np.array_split(values, SLICES) if part.size]
    return statistics.median(float(np.percentile(part, percent)) for part in slices) / 1000 if slices else math.nan


def measure(asked: Namespace) -> Iterator[Figure]:
    seconds = 4.0 if asked.quick else 10.0
    try:
        theirs = of_loadgen(seconds)
        peer = {percent: f"LoadGen {shown(over_slices(theirs, percent))} us" for percent in (50, 99)}
    except ImportError:
        yield left_out("mlcommons-loadgen")
        peer = {}
    for name, way in WAYS.items():
        delays, gaps = in_real_time(way, seconds)
        for percent in (50, 99):
            yield Figure(f"{name}: own delay p{percent}", over_slices(delays, percent), "us", peer.get(percent, ""))
        yield Figure(f"{name}: gap when queued p50", over_slices(gaps, 50), "us")


BENCHMARK = Benchmark(
    "load",
    f"How late samples start behind a Poisson schedule of {RATE_PER_S:g}/s",
    measure,
    bars={
        **{f"{name}: own delay p50": at_most(way.bar_us) for name, way in WAYS.items() if way.bar_us},
        **{f"{name}: gap when queued p50": at_most(10) for name in WAYS},
    },
    peer="LoadGen",
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
