"""What collecting from hosts costs: rounds per second over 4 and 8 of them, memory over 100,000 rounds, efficiency of 0.5 s rounds.

    python benchmarks/cluster.py [rate] [memory] [efficiency]     # root, Linux; no word: all three

Makes the hosts of the demonstration out of this machine, measures models that do nothing or sleep on all of them, and removes the
hosts. The rate is that of rounds that follow one another: visits of two rounds would mostly wait for the end of their pauses. Driver and
hosts share the machine's cores, so that a cluster of real hosts is faster. Run it while the machine is idle. Exit code 1 where a bar is
missed.
"""

import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq

CHECKOUT = Path(__file__).resolve().parents[1]
HOSTS = CHECKOUT / "cluster" / "demo" / "hosts.sh"
SUPPORT = CHECKOUT / "tests" / "support"
SYSTEMS = ("two_cores", "one_core", "half_core", "quarter_core")
WORDS = [
    "--quiet",
    f"code=[{SUPPORT / 'code'}]",
    "-m",
    "model=echo",
    "task=numbers",
    "measurement.rule=rounds",
    "cluster=address",
    "cluster.machines=node",
]
SAMPLE_EVERY_S = 0.5
MIB = 2**20
# Bars: rounds a second over four hosts, the driver's processor time a round, its share by which
# eight hosts may differ, and efficiency.
RATE, CPU_MS, ALIKE, EFFICIENCY = 1200, 0.6, 0.1, 0.97


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
        text = (CHECKOUT / "conf" / "system" / f"{kind}.yaml").read_text()
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
            command = [sys.executable, "-m", "orchestrator", *WORDS, *chosen, address, f"results_dir={results}", *words]
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
            ended_s = 0.0
            for path in results.glob("trials/*/trial.json"):
                record = json.loads(path.read_text())
                table = pq.read_table(path.parent / "rounds", columns=["started_monotonic_ns", "duration_ns"])
                self.rounds[record["trial"]["system"]["name"]] = np.stack([column.to_numpy() for column in table.columns]) / 1e9
                ended_s = max(ended_s, datetime.fromisoformat(record["ended_at"]).timestamp())
            self.report_s = (results / "report.md").stat().st_mtime - ended_s

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


def number_of_rounds(count: int) -> list[str]:
    return [f"measurement.min_rounds={count}", f"measurement.max_rounds={count}"]


def rate(rounds: int = 3000, repeats: int = 3) -> bool:
    found: dict[int, tuple[float, float]] = {}
    for count in (4, 8):
        with made(count) as environment:
            words = (*number_of_rounds(rounds), "measurement.schedule=sequential")
            done = [Campaign(environment, *words, hosts=count) for _ in range(repeats)]
        rates = [campaign.rate() for campaign in done]
        found[count] = statistics.median(rates), statistics.median(campaign.cpu_ms("driver") for campaign in done)
        print(f"rounds a second over {count} hosts, {rounds} each: median {found[count][0]:.0f}, lowest {min(rates):.0f}")
        for name in ("driver", *systems_of(count)):
            own = statistics.median(campaign.rate(name) for campaign in done)
            cpu_ms = statistics.median(campaign.cpu_ms(name) for campaign in done)
            print(f"  {name:15} {own:5.0f} rounds a second, {cpu_ms:.2f} ms of processor time a round")
    (rate_of_4, cpu_of_4), (_, cpu_of_8) = found[4], found[8]
    apart = abs(cpu_of_8 - cpu_of_4) / cpu_of_4
    print(f"bars: {RATE} rounds a second, {CPU_MS} ms of the driver a round, and {ALIKE:.0%} between 4 and 8 hosts (here {apart:.0%})")
    return rate_of_4 >= RATE and max(cpu_of_4, cpu_of_8) <= CPU_MS and apart <= ALIKE


def memory(rounds: int = 25_000) -> bool:
    with made(4) as environment:
        campaign = Campaign(environment, *number_of_rounds(rounds))
    print(f"memory over {len(SYSTEMS) * rounds} rounds, RSS in MiB: median of each tenth of them; last less first (bar: flat)")
    for name in ("driver", *SYSTEMS):
        tenths = campaign.memory(name)
        print(f"  {name:12} {' '.join(f'{tenth:5.1f}' for tenth in tenths)}   {tenths[-1] - tenths[0]:+.1f}")
    print(f"  {campaign.rate():.0f} rounds a second; the report at the end took {campaign.report_s:.1f} s")
    return True


def efficiency(rounds: int = 60, repeats: int = 3) -> bool:
    words = ("model.sleep_ms=25", "measurement.lead_in=0", "measurement.schedule=sequential", *number_of_rounds(rounds))
    with made(4) as environment:
        done = [Campaign(environment, *words) for _ in range(repeats)]
    print(f"efficiency of 0.5 s rounds without lead-in, median and lowest of {repeats} (bar: {EFFICIENCY})")
    medians = []
    for name in SYSTEMS:
        found = [campaign.efficiency(name) for campaign in done]
        medians.append(statistics.median(found))
        print(f"  {name:12} {medians[-1]:.3f} {min(found):.3f}")
    return min(medians) >= EFFICIENCY


PARTS = {"rate": rate, "memory": memory, "efficiency": efficiency}


def main() -> None:
    chosen = sys.argv[1:] or list(PARTS)
    if not set(chosen) <= set(PARTS):
        raise SystemExit(f"{' '.join(chosen)}: choose of {', '.join(PARTS)}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    met = []
    for part in chosen:
        print(f"load average before: {os.getloadavg()[0]:.2f}", flush=True)
        met.append(PARTS[part]())
        sys.stdout.flush()
    raise SystemExit(not all(met))


if __name__ == "__main__":
    main()
