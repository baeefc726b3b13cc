"""What lies between rounds of 0.5 s, beside a bare Ray loop and a loop of four stamps; and how long the program takes to its first.

    python benchmarks/dispatch.py [gap] [bare] [start] [quick] [rate]     # no word: gap, bare and start; rate: root, Linux

``gap`` measures a model that sleeps under the embedded Ray, once without lead-in and once with it. Own gap is what lies between two
rounds besides the lead-in; visits are not spaced (``measurement.pause=0``). ``start`` is from the command to the first timed inference of
the settings of ``make run``, ``quick`` how long ``make quick`` takes, ``rate`` that of ``cluster.py``. Exit code 1 where a bar is missed.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

CHECKOUT = Path(__file__).resolve().parents[1]
PROGRAM, ENVIRONMENT = [sys.executable, "-m", "orchestrator"], {**os.environ, "PYTHONPATH": str(CHECKOUT)}
SUPPORT = CHECKOUT / "tests" / "support"
WORDS = [
    "--quiet", "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "model=echo", "model.sleep_ms=25", "task=numbers",
    "system=cpu_1core", "measurement.rule=rounds", "measurement.max_rounds=30", "measurement.pause=0",
]  # fmt: skip
ROUND_S, ROUNDS, REPEATS = 0.5, 30, 3
OWN_GAP_MS, EFFICIENCY, START_S = 5.0, 0.985, 8.0

# What, how much, in which unit, and the bar, None without one.
Row = tuple[str, float, str, float | None]


def orchestrate(folder: str, *words: str) -> tuple[Path, float]:
    """Run a campaign and return its results, and when it was started."""
    began_s = time.time()
    results = Path(folder) / "results"
    command = [*PROGRAM, *words, f"results_dir={results}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, env=ENVIRONMENT)
    return results, began_s


def gaps(lead_in: int) -> dict[str, float]:
    """Return the medians of the gaps (ms) within and between visits, their mean a round, and the share of time in rounds."""
    with tempfile.TemporaryDirectory() as folder:
        results, _ = orchestrate(folder, *WORDS, f"measurement.lead_in={lead_in}")
        [rounds] = [pq.read_table(path).to_pylist() for path in results.glob("trials/*/rounds")]
    within, between = [], []
    for one, following in pairwise(rounds):
        gap_ms = (following["started_monotonic_ns"] - one["started_monotonic_ns"] - one["duration_ns"]) / 1e6
        (within if one["visit"] == following["visit"] else between).append(gap_ms)
    span = rounds[-1]["started_monotonic_ns"] + rounds[-1]["duration_ns"] - rounds[0]["started_monotonic_ns"]
    return {
        "within": statistics.median(within),
        "between": statistics.median(between),
        "mean": statistics.mean([*within, *between]),
        "efficiency": sum(row["duration_ns"] for row in rounds) / span,
    }


def gap() -> list[Row]:
    without = _medians([gaps(0) for _ in range(REPEATS)])
    with_it = _medians([gaps(3) for _ in range(REPEATS)])
    return [
        ("own gap a round, mean", without["mean"], "ms", OWN_GAP_MS),
        ("  between two rounds of a visit", without["within"], "ms", None),
        ("  between two visits", without["between"], "ms", None),
        ("lead-in of 3 inferences of 25 ms, a visit", with_it["between"] - without["between"], "ms", None),
        ("efficiency without lead-in", without["efficiency"], "", -EFFICIENCY),
        ("efficiency with lead-in", with_it["efficiency"], "", None),
    ]


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in found) for name in found[0]}


BARE_RAY = """
import sys, time, ray
@ray.remote
class Sleeper:
    def round(self):
        began = time.monotonic_ns()
        time.sleep(0.5)
        return began, time.monotonic_ns()
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
sleeper = Sleeper.remote()
ray.get(sleeper.round.remote())
rounds = [ray.get(sleeper.round.remote()) for _ in range(int(sys.argv[1]))]
print(sum(end - began for began, end in rounds) / (rounds[-1][1] - rounds[0][0]))
"""


def bare() -> list[Row]:
    told = subprocess.run([sys.executable, "-c", BARE_RAY, str(ROUNDS)], check=True, capture_output=True, text=True).stdout
    share = float(told.split()[-1])
    stamps, began_ns = [], time.perf_counter_ns()
    for _ in range(ROUNDS * 20):
        started = time.perf_counter_ns()
        preprocessed = time.perf_counter_ns()
        time.sleep(ROUND_S / 20)
        stamps.append((started, preprocessed, time.perf_counter_ns(), time.perf_counter_ns()))
    in_stages = sum(end - started for started, _, _, end in stamps) / (time.perf_counter_ns() - began_ns)
    return [
        ("efficiency of a bare Ray actor that sleeps 0.5 s", share, "", None),
        ("  its gap a round", ROUND_S * 1000 * (1 / share - 1), "ms", None),
        ("efficiency of a bare loop of four stamps", in_stages, "", None),
    ]


def start() -> list[Row]:
    def first_s() -> float:
        with tempfile.TemporaryDirectory() as folder:
            results, began_s = Path(folder) / "results", time.time()
            command = [*PROGRAM, "+sweep=vision", "--quiet", f"results_dir={results}"]
            program = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder, env=ENVIRONMENT)
            while program.poll() is None and not [*results.glob("trials/*/.waiting*"), *results.glob("trials/*/rounds/*")]:
                time.sleep(0.2)
            program.send_signal(signal.SIGINT)
            program.wait()
            parts = [pq.read_table(path, columns=["started_at"]) for path in results.glob("trials/*/rounds/*.parquet")]
            return float(min(row["started_at"] for part in parts for row in part.to_pylist()).timestamp() - began_s)

    return [("first timed inference of `make run` after the command", statistics.median(first_s() for _ in range(REPEATS)), "s", START_S)]


def quick() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        _, began_s = orchestrate(folder, "--quiet", "+sweep=quick")
        return [("`make quick` after installation", time.time() - began_s, "s", START_S)]


def rate() -> list[Row]:
    done = subprocess.run([sys.executable, Path(__file__).with_name("cluster.py"), "rate"], check=False)
    return [("rate of cluster.py: bars missed", float(done.returncode), "", 0.0)]


PARTS: dict[str, Callable[[], list[Row]]] = {"gap": gap, "bare": bare, "start": start, "quick": quick, "rate": rate}


def missed(value: float, bar: float | None) -> bool:
    """Return whether a value is above its bar, or below one that is given as negative."""
    return bar is not None and (value < -bar if bar < 0 else value > bar)


def main() -> None:
    chosen = sys.argv[1:] or ["gap", "bare", "start"]
    if not set(chosen) <= set(PARTS):
        raise SystemExit(f"{' '.join(chosen)}: choose of {', '.join(PARTS)}")
    print(f"load average before: {os.getloadavg()[0]:.2f}; medians of {REPEATS}, {ROUNDS} rounds of {ROUND_S} s", flush=True)
    failed = False
    for part in chosen:
        for what, value, unit, bar in PARTS[part]():
            told = "" if bar is None else f"   bar: {'at least' if bar < 0 else 'at most'} {abs(bar):g}{' MISSED' * missed(value, bar)}"
            print(f"{what:58} {value:8.3f} {unit:3}{told}", flush=True)
            failed |= missed(value, bar)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
