"""Does `explain` name a co-runner, and nothing where there is none? Real campaigns of a model that computes, under the embedded Ray.

    python benchmarks/explain.py [--campaigns 20] [--directory DIR] [--only disturbed]

A campaign is one trial of 100 rounds on one core, through the command line, some seconds long. Campaigns that are in DIR are not
measured again. Two questions, each of 20 campaigns:

disturbed: a process on each core, declared nowhere, computes for 0.2 to 1 s and sleeps as long, by turns. CPU time of other programs is
the first cause in at least 18.
quiet: no co-runner. No cause is named in at least 18, except CPU time of other programs or steal that an observer confirms; signs of
waiting are printed and are no causes. The observer reads /proc/stat and the CPU time of the campaign's own processes every 20 ms while it
runs, and knows nothing of this program: it confirms where what it saw of others, or of steal, in the rounds has a Spearman correlation
with their time above 0, p < 0.05.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import scipy.stats

from orchestrator.storage.reader import open_campaign

SUPPORT = Path(__file__).parents[1] / "tests" / "support"
SLEEP = "time.sleep(self._sleep_s)"
WORK = "__import__('hashlib').sha256(bytes(2**21)).digest()"
FEWEST = 18
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
EVERY_S, LOOK_S = 0.02, 0.25


COME_AND_GO = """
import os, random, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
turns = random.Random(int(sys.argv[2]))
while os.getppid() == int(sys.argv[3]):
    end = time.monotonic() + turns.uniform(0.2, 1.0)
    while time.monotonic() < end:
        pass
    time.sleep(turns.uniform(0.2, 1.0))
"""


class Observer(threading.Thread):
    """Notes the CPU time of all processes that are not the campaign's, and steal, while the campaign runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root, self._done = psutil.Process(pid), threading.Event()
        self._own: dict[int, float] = {}
        self.seen: list[tuple[int, float, float]] = []

    def run(self) -> None:
        looked, family = 0.0, [self._root]
        while not self._done.is_set():
            if time.monotonic() - looked > LOOK_S:
                looked = time.monotonic()
                try:
                    family = [self._root, *self._root.children(recursive=True)]
                except psutil.Error:
                    return
            with open("/proc/stat") as file:  # noqa: PTH123
                user, nice, system, _idle, _wait, irq, softirq, steal = map(int, file.readline().split()[1:9])
            for process in family:
                try:
                    times = process.cpu_times()
                    self._own[process.pid] = times.user + times.system
                except psutil.Error:
                    continue
            others = (user + nice + system + irq + softirq) * TICK_S - sum(self._own.values()) - time.process_time()
            self.seen.append((time.monotonic_ns(), others, steal * TICK_S))
            self._done.wait(EVERY_S)

    def stop(self) -> None:
        self._done.set()
        self.join()


def measure(directory: Path, code: Path, seed: int | None) -> Path:
    """Run a campaign, beside a co-runner if there is a seed, unless it is there already."""
    if (directory / "observed.json").exists():
        return directory
    words = [
        "-m", "orchestrator", "--quiet", "--config-dir", str(SUPPORT / "conf"), f"code=[{code}]", "task=numbers", "model=echo",
        "model.sleep_ms=1", "system=cpu_1core", "measurement.rule=rounds", "measurement.min_rounds=100", "measurement.max_rounds=100",
        f"results_dir={directory}",
    ]  # fmt: skip
    cores = sorted(os.sched_getaffinity(0)) if seed is not None else []
    runners = [subprocess.Popen([sys.executable, "-c", COME_AND_GO, str(core), str(seed), str(os.getpid())]) for core in cores]
    try:
        program = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        observer = Observer(program.pid)
        observer.start()
        said, _ = program.communicate()
        observer.stop()
    finally:
        for runner in runners:
            runner.kill()
            runner.wait()
    if program.returncode:
        raise SystemExit(f"{directory}: exit code {program.returncode}\n{said[-2000:]}")
    (directory / "observed.json").write_text(json.dumps(observer.seen))
    return directory


def named(directory: Path) -> list[dict[str, Any]]:
    rows = pq.read_table(directory / "explain.parquet").to_pylist()
    return sorted((row for row in rows if row["place"] is not None), key=lambda row: row["place"])


def confirmed(directory: Path) -> dict[str, tuple[float, float]]:
    """Return the correlation of what the observer saw with the time of rounds, and its one-sided p-value, by column."""
    at, *saw = np.array(json.loads((directory / "observed.json").read_text())).T
    campaign = open_campaign(directory)
    rounds = campaign.rounds(campaign.record.trials[0].trial_id)
    starts, durations = (rounds.column(name).to_numpy() for name in ("started_monotonic_ns", "duration_ns"))
    found = {}
    for column, total in zip(("foreign_cpu_ns", "steal_ns"), saw, strict=True):
        rates = (np.interp(starts + durations, at, total) - np.interp(starts, at, total)) / durations
        if np.ptp(rates) > 0:
            test = scipy.stats.spearmanr(rates, durations, alternative="greater")
            found[column] = (float(test.statistic), float(test.pvalue))
    return found


def told(directory: Path) -> str:
    causes = ", ".join(
        f"{row['column']} {max(row['late_correlation'] or -1, row['time_correlation'] or -1):.2f}" for row in named(directory)
    )
    saw = ", ".join(f"{column} {rho:.2f} (p {p:.3f})" for column, (rho, p) in confirmed(directory).items())
    return f"named {causes or 'nothing'}; the observer saw {saw}"


def disturbed(folder: Path, code: Path, campaigns: int) -> bool:
    first = 0
    for number in range(campaigns):
        directory = measure(folder / f"disturbed-{number:02}", code, number)
        causes = named(directory)
        first += bool(causes) and causes[0]["column"] == "foreign_cpu_ns"
        print(f"disturbed {number}: {told(directory)}", flush=True)
    print(f"disturbed: the co-runner is the first cause in {first} of {campaigns} (at least {FEWEST} of 20)")
    return first >= FEWEST * campaigns / 20


def quiet(folder: Path, code: Path, campaigns: int) -> bool:
    nothing = true = 0
    for number in range(campaigns):
        directory = measure(folder / f"quiet-{number:02}", code, None)
        causes, saw = named(directory), confirmed(directory)
        first = causes[0]["column"] if causes and causes[0]["role"] == "cause" else None
        rho, p = saw.get(first, (0.0, 1.0)) if first is not None else (0.0, 1.0)
        nothing += first is None
        true += rho > 0 and p < 0.05
        print(f"quiet {number}: {told(directory)}", flush=True)
    print(f"quiet: no cause named in {nothing}, what the observer saw in {true}, of {campaigns} (together at least {FEWEST} of 20)")
    return nothing + true >= FEWEST * campaigns / 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=20)
    parser.add_argument("--directory", type=Path, help="keep the campaigns here, and go on with those that are there")
    parser.add_argument("--only", choices=["disturbed", "quiet"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.directory or Path(scratch)
        code = folder / "code"
        code.mkdir(parents=True, exist_ok=True)
        text = (SUPPORT / "code" / "null_targets.py").read_text()
        if SLEEP not in text:
            raise SystemExit("the null model no longer sleeps as this program thinks")
        (code / "null_targets.py").write_text(text.replace(SLEEP, WORK))
        asked = {"disturbed": disturbed, "quiet": quiet}
        answers = {name: ask(folder, code, options.campaigns) for name, ask in asked.items() if options.only in (None, name)}
    print(", ".join(f"{name} {'holds' if held else 'missed'}" for name, held in answers.items()))
    return 0 if all(answers.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
