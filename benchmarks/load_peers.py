"""How late samples start behind a Poisson schedule: the loop under load beside the scenario Server of LoadGen, with a system in Python.

    python benchmarks/load_peers.py [--rates 50,200,1000] [--seconds 10] [--repeats 3] [--busy-ms 0.2] [--peers FOLDER]

LoadGen is the package mlcommons-loadgen (extra ``bench``), or lies in FOLDER (``pip install --target FOLDER mlcommons-loadgen``); without
it our own loop is measured alone. Both serve the same system, an inference that keeps the core busy for ``--busy-ms``, each in a process of
its own for each rate; they take turns, and so do their repeats.

Own delay, of samples that find the system idle: of ours from the arrival to the first stamp; of LoadGen the ``issue_delay`` of its trace,
from the moment scheduled to the issue, before Python is called. Medians over the repeats, with the least and the greatest of them. Clients
of servers are compared by ``benchmarks/server_peers.py``.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from orchestrator.measurement.load_loop import Service, serve, waiting
from orchestrator.measurement.timing import STAMPS, Stages
from orchestrator.stats.queueing import gamma

SPIN_NS = 200_000
CLIENTS = {"ours, sleep": ("sleep", SPIN_NS), "ours, sleep without spin": ("sleep", 0), "ours, spin": ("spin", SPIN_NS)}
LOADGEN = "LoadGen, Server"
DELAY = re.compile(r'"issue_delay":(\d+),"issue_to_done":(\d+)')


def busy(ns: int) -> None:
    """Keep the core busy for so long."""
    until = time.perf_counter_ns() + ns
    while time.perf_counter_ns() < until:
        pass


def idle_delays(due: NDArray[np.int64], delays: NDArray[np.int64], busy_ns: int) -> NDArray[np.int64]:
    """Return the delays of samples before whose moment the one before had ended for as long as the loop spins, ns.

    Examples
    --------
    >>> idle_delays(np.array([0, 10**6, 10**6 + 10]), np.array([5, 6, 7]), 1000)
    array([6])
    """
    ended = due[:-1] + delays[:-1] + busy_ns
    return np.asarray(delays[1:][due[1:] - ended >= SPIN_NS])


def ours(client: str, rate_per_s: float, seconds: float, busy_ns: int, seed: int) -> NDArray[np.int64]:
    """Return own delays of the loop under load, ns."""
    count = int(rate_per_s * seconds)
    idle, spin_ns = CLIENTS[client]
    stages = Stages(lambda sample: sample, lambda batch: (busy(busy_ns), batch)[1], lambda answer: answer)
    stamps = memoryview(bytearray(8 * STAMPS * count)).cast("q")
    wait = waiting(idle, spin_ns)  # type: ignore[arg-type]
    due = gamma(count, rate_per_s, 1.0, np.random.default_rng(seed)) + time.perf_counter_ns() + 10_000_000
    serve(due.tolist(), list(range(count)), stages, stamps, Service(), time.perf_counter_ns, wait)
    starts = np.array(stamps, dtype=np.int64).reshape(-1, STAMPS)[:, 0]
    return idle_delays(due, starts - due, busy_ns)


def loadgen(rate_per_s: float, seconds: float, busy_ns: int, seed: int) -> NDArray[np.int64]:
    """Return own delays of LoadGen, ns."""
    import mlperf_loadgen  # type: ignore[import-not-found, unused-ignore]

    def issue(samples: Sequence[Any]) -> None:
        busy(busy_ns)
        mlperf_loadgen.QuerySamplesComplete([mlperf_loadgen.QuerySampleResponse(sample.id, 0, 0) for sample in samples])

    def nothing(*_: object) -> None:
        return None

    settings, logs, output = mlperf_loadgen.TestSettings(), mlperf_loadgen.LogSettings(), mlperf_loadgen.LogOutputSettings()
    settings.scenario, settings.mode = mlperf_loadgen.TestScenario.Server, mlperf_loadgen.TestMode.PerformanceOnly
    settings.server_target_qps, settings.server_target_latency_ns = rate_per_s, 10**9
    settings.min_duration_ms, settings.schedule_rng_seed = int(1000 * seconds), seed
    settings.min_query_count = settings.max_query_count = int(rate_per_s * seconds)
    with tempfile.TemporaryDirectory() as folder:
        output.outdir, logs.log_output, logs.enable_trace = folder, output, True
        system = mlperf_loadgen.ConstructSUT(issue, nothing)
        library = mlperf_loadgen.ConstructQSL(100, 100, nothing, nothing)
        mlperf_loadgen.StartTestWithLogSettings(system, library, settings, logs, "")
        text = (Path(folder) / "mlperf_log_trace.json").read_text(encoding="utf-8", errors="replace")
    return delays_of_trace(text)


def delays_of_trace(text: str) -> NDArray[np.int64]:
    """Return the issue delays of a trace of LoadGen, ns, of samples before whose moment the one before had ended for long enough."""
    moments = [float(found) for found in re.findall(r'"name":"Latency","ph": ?"C","pid":\d+,"ts":([\d.]+)', text)]
    waits = [(int(delay), int(done)) for delay, done in DELAY.findall(text)]
    order = np.argsort(moments)
    due = np.rint(np.array(moments)[order] * 1000).astype(np.int64)
    delays, services = np.array(waits, dtype=np.int64)[order].T
    ended = np.maximum.accumulate(due + delays + services)[:-1]
    return np.asarray(delays[1:][due[1:] - ended >= SPIN_NS])


def one(arguments: argparse.Namespace) -> None:
    """Measure one client at one rate in this process, and print what it found as JSON."""
    if arguments.peers is not None:
        sys.path.insert(0, str(arguments.peers))
    busy_ns = int(arguments.busy_ms * 1e6)
    before, own, began = psutil.cpu_times(), time.process_time(), time.monotonic()
    if arguments.client == LOADGEN:
        delays = loadgen(arguments.rate, arguments.seconds, busy_ns, arguments.seed)
    else:
        delays = ours(arguments.client, arguments.rate, arguments.seconds, busy_ns, arguments.seed)
    after, own, took_s = psutil.cpu_times(), time.process_time() - own, time.monotonic() - began
    foreign_s = sum(after) - after.idle - after.iowait - (sum(before) - before.idle - before.iowait) - own
    if not delays.size:
        raise SystemExit("no sample found the system idle: others keep the machine busy")
    p50, p99 = np.percentile(delays, [50, 99]) / 1000
    print(json.dumps({"p50": p50, "p99": p99, "samples": int(delays.size), "foreign": max(0.0, foreign_s) / took_s}))


def in_a_process(client: str, rate: float, seed: int, arguments: argparse.Namespace) -> dict[str, float] | str:
    """Return what one client found in a fresh process, or why there is nothing."""
    command = [sys.executable, "-m", "benchmarks.load_peers", "--client", client, "--rate", str(rate), "--seed", str(seed)]
    command += ["--seconds", str(arguments.seconds), "--busy-ms", str(arguments.busy_ms)]
    command += ["--peers", str(arguments.peers)] if arguments.peers is not None else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return (done.stderr.strip().splitlines() or ["ended without a word"])[-1]
    found: dict[str, float] = json.loads(lines[-1])
    return found


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median, with the least and the greatest."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    """Print a row for each rate and client."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="50,200,1000")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--busy-ms", type=float, default=0.2)
    parser.add_argument("--peers", type=Path)
    for hidden in ("--client", "--rate", "--seed"):
        parser.add_argument(hidden, type=str if hidden == "--client" else float if hidden == "--rate" else int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client is not None:
        one(arguments)
        return
    print(f"load average before: {os.getloadavg()[0]:.1f}, cores: {len(os.sched_getaffinity(0))}, niceness: {os.nice(0)}")
    print("| rate | client | own delay p50, us | p99, us | samples | cores that others kept busy |\n|---|---|---:|---:|---:|---:|")
    for rate in map(float, arguments.rates.split(",")):
        found: dict[str, list[dict[str, float]]] = {}
        for seed in range(arguments.repeats):
            for client in (*CLIENTS, LOADGEN):
                one_run = in_a_process(client, rate, seed, arguments)
                if isinstance(one_run, str):
                    print(f"{client} at {rate:g}/s: {one_run}", file=sys.stderr)
                else:
                    found.setdefault(client, []).append(one_run)
        for client, runs in found.items():
            p50, p99 = (spread([run[name] for run in runs], digits) for name, digits in (("p50", 2), ("p99", 1)))
            samples, foreign = sum(run["samples"] for run in runs), statistics.mean(run["foreign"] for run in runs)
            print(f"| {rate:g}/s | {client} | {p50} | {p99} | {samples:,.0f} | {foreign:.2f} |", flush=True)


if __name__ == "__main__":
    main()
