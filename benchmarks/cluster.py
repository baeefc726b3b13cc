"""What collecting from hosts costs: rounds a second over 4 and 8 of them, memory over many rounds, efficiency of 0.5 s rounds.

    python benchmarks/cluster.py [--rounds N]     # root, Linux

Makes the hosts of the demonstration out of this machine, measures models that do nothing or sleep on all of them, and removes the
hosts. Driver and hosts share the machine's cores, so that a cluster of real hosts is faster.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq

from benchmarks.common import MIB, NULL_MODEL, PROGRAM, ROOT, SUPPORT, Benchmark, Figure, LeftOut, at_least, at_most

HOSTS = ROOT / "cluster" / "demo" / "hosts.sh"
SYSTEMS = ("two_cores", "one_core", "half_core", "quarter_core")
WORDS = [*NULL_MODEL[2:], "--quiet", "-m", "measurement.rule=rounds", "cluster=address", "cluster.machines=node"]
SAMPLE_EVERY_S = 0.5


@contextmanager
def made(count: int) -> Iterator[dict[str, str]]:
    """Make the hosts and yield the driver's environment; remove them, whatever happened."""
    environment, folder = {**os.environ, "PYTHON": sys.executable}, Path(tempfile.mkdtemp())
    try:
        named = [name.replace("_", "-") for name in systems_of(count)]
        subprocess.run([HOSTS, "up", folder, *named], env=environment, check=True, stdout=subprocess.DEVNULL)
        sourced = subprocess.run(
            ["bash", "-c", f"set -e; source {shlex.quote(str(folder / 'env.sh'))}; env -0"], check=True, capture_output=True, text=True
        )
        yield dict(line.split("=", 1) for line in sourced.stdout.split("\0") if line)
    finally:
        # In a session of its own: a second Ctrl-C does not reach it.
        subprocess.run([HOSTS, "down", folder], env=environment, check=True, start_new_session=True)
        shutil.rmtree(folder, ignore_errors=True)


def systems_of(count: int) -> tuple[str, ...]:
    """Return the systems of so many hosts, which are as many hosts of each kind."""
    return tuple(f"{name}_{more}" if more > 1 else name for more in range(1, 1 + count // len(SYSTEMS)) for name in SYSTEMS)


def settings_of(systems: Sequence[str], folder: Path) -> Path:
    """Make a folder of settings with a system for each host."""
    made = shutil.copytree(SUPPORT / "conf", folder / "conf")
    (made / "system").mkdir(exist_ok=True)
    for name in systems[len(SYSTEMS) :]:
        kind = name.rpartition("_")[0]
        text = (ROOT / "conf" / "system" / f"{kind}.yaml").read_text()
        (made / "system" / f"{name}.yaml").write_text(text.replace(kind, name))
    return made


class Watch(threading.Thread):
    """Notes time (monotonic, s), processor time (s) and RSS (MiB) of the driver and of the timed process of each system."""

    def __init__(self, driver: int, results: Path, processes: int) -> None:
        super().__init__(daemon=True)
        self._expected = processes
        self.seen: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        self._results = results
        self._processes = {"driver": psutil.Process(driver)}
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            if len(self._processes) <= self._expected:
                self._find_timed()
            for name, process in self._processes.items():
                try:
                    with process.oneshot():
                        used, memory = process.cpu_times(), process.memory_info()
                except psutil.Error:
                    continue  # it has ended
                self.seen[name].append((time.monotonic(), used.user + used.system, memory.rss / MIB))

    def _find_timed(self) -> None:
        for path in self._results.glob("trials/*/trial.json"):
            record = json.loads(path.read_text())
            for process in record["processes"]:  # none before it is warm
                try:
                    self._processes[record["trial"]["system"]["name"]] = psutil.Process(process["pid"])
                except psutil.NoSuchProcess:
                    continue

    def stop(self) -> None:
        self._over.set()
        self.join()


def end(driver: subprocess.Popen[bytes]) -> None:
    """End a driver that still runs. The first signal lets it finish its round and report, the second stops it at once."""
    for _ in range(2):
        if driver.poll() is not None:
            return
        driver.terminate()
        with suppress(subprocess.TimeoutExpired):
            driver.wait(timeout=5)
    driver.kill()
    driver.wait()


class Campaign:
    """One campaign over the hosts, with what was seen of its processes meanwhile."""

    def __init__(self, environment: Mapping[str, str], *words: str, hosts: int = 4) -> None:
        self.systems = systems_of(hosts)
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder) / "results"
            address = f"cluster.address={environment['TAIL_QUALITY_ADDRESS']}"
            chosen = ["--config-dir", str(settings_of(self.systems, Path(folder))), f"system={','.join(self.systems)}"]
            command = [*PROGRAM, *WORDS, *chosen, address, f"results_dir={results}", *words]
            driver = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=folder)
            watch = Watch(driver.pid, results, hosts)
            try:
                watch.start()
                if driver.wait():
                    raise SystemExit(f"the campaign ended with exit code {driver.returncode}")
            finally:
                watch.stop()
                end(driver)
            self.seen = {name: np.array(rows) for name, rows in watch.seen.items()}
            self.rounds = {}
            for path in results.glob("trials/*/trial.json"):
                record = json.loads(path.read_text())
                table = pq.read_table(path.parent / "rounds", columns=["started_monotonic_ns", "duration_ns"])
                self.rounds[record["trial"]["system"]["name"]] = np.stack([column.to_numpy() for column in table.columns]) / 1e9

    def starts(self, name: str) -> np.ndarray:
        """Return when the rounds of a system began, or for the driver those of all systems."""
        names = self.systems if name == "driver" else (name,)
        return np.sort(np.concatenate([self.rounds[system][0] for system in names]))

    def rate(self, name: str = "driver") -> float:
        starts = self.starts(name)
        return float(len(starts) / (starts[-1] - starts[0]))

    def cpu_ms(self, name: str) -> float:
        """Return the processor time of a process per round, in ms."""
        starts, seen = self.starts(name), self.seen[name]
        first, last = np.interp([starts[0], starts[-1]], seen[:, 0], seen[:, 1])
        return float(1000 * (last - first) / len(starts))

    def memory(self, name: str) -> list[float]:
        """Return the median RSS (MiB) seen during each tenth of the rounds."""
        starts, seen = self.starts(name), self.seen[name]
        bounds = np.linspace(0, len(starts) - 1, 11).astype(int)
        tenths = zip(starts[bounds[:-1]], starts[bounds[1:]], strict=True)
        return [float(np.median(seen[(seen[:, 0] >= low) & (seen[:, 0] <= high), 2])) for low, high in tenths]

    def efficiency(self, name: str) -> float:
        started, duration = self.rounds[name]
        return float(duration.sum() / (started[-1] + duration[-1] - started[0]))


def in_sequence(environment: Mapping[str, str], rounds: int, *words: str, hosts: int = 4) -> Campaign:
    """Measure rounds that follow one another: visits of two rounds would mostly wait for the end of their pauses."""
    count = (f"measurement.min_rounds={rounds}", f"measurement.max_rounds={rounds}")
    return Campaign(environment, *count, "measurement.schedule=sequential", *words, hosts=hosts)


def rate(campaign: Campaign, hosts: int) -> Iterator[Figure]:
    yield Figure(f"rounds a second over {hosts} hosts", campaign.rate())
    yield Figure(f"driver's processor time a round, {hosts} hosts", campaign.cpu_ms("driver"), "ms")


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    if os.geteuid() or sys.platform != "linux" or shutil.which("ip") is None:
        raise LeftOut("hosts out of one machine need root, Linux and the command `ip`")
    with made(4) as environment:
        over_4 = in_sequence(environment, asked.rounds)
        slower = in_sequence(environment, 30, "model.sleep_ms=25", "measurement.lead_in=0")
    with made(8) as environment:
        over_8 = in_sequence(environment, asked.rounds, hosts=8)
    yield from rate(over_4, 4)
    yield from rate(over_8, 8)
    yield Figure("driver's time a round, change from 4 to 8 hosts", 100 * abs(over_8.cpu_ms("driver") / over_4.cpu_ms("driver") - 1), "%")
    for name in ("driver", *SYSTEMS):  # caches fill up over the first half
        tenths = over_8.memory(name)
        yield Figure(f"memory of {name}, growth in the second half", 100 * (tenths[-1] / tenths[4] - 1), "%")
    yield Figure("efficiency of 0.5 s rounds, worst of 4 hosts", min(slower.efficiency(name) for name in SYSTEMS))


BENCHMARK = Benchmark(
    "cluster",
    "What collecting from hosts costs, which are made out of this machine",
    measure,
    bars={
        "rounds a second over 4 hosts": at_least(1200),
        "driver's processor time a round, 4 hosts": at_most(0.6),
        "driver's processor time a round, 8 hosts": at_most(0.6),
        "driver's time a round, change from 4 to 8 hosts": at_most(10),
        "efficiency of 0.5 s rounds, worst of 4 hosts": at_least(0.97),
        **{f"memory of {name}, growth in the second half": at_most(5) for name in ("driver", *SYSTEMS)},
    },
    is_quick=False,
    options={"--rounds": {"type": int, "default": 12_000, "help": "of each host"}},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
