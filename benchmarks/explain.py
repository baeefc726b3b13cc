"""Does `explain` name a co-runner, and nothing where there is none? Real campaigns of a model that computes, under the embedded Ray.

A campaign measures one trial of 100 rounds on one core several times; the repeats take turns.

disturbed
    a process on each core, declared nowhere, computes for 0.2 to 1 s and sleeps as long, by turns: CPU time of other programs is the first
    cause.
quiet
    no co-runner, and no cause is named but one that an observer confirms; signs of waiting are no causes. The observer reads /proc/stat and
    the CPU time of the campaign's own processes every 20 ms. It confirms where what it saw of others, or of steal, in the rounds has a
    Spearman correlation with their time above 0, p < 0.05.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import scipy.stats

from benchmarks.common import NULL_MODEL, PROGRAM, Benchmark, Figure, at_least, neighbours, null_model_that
from orchestrator.storage.reader import open_campaign

WORK = "__import__('hashlib').sha256(bytes(2**21)).digest()"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
EVERY_S, LOOK_S = 0.02, 0.25


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


def campaign(folder: Path, name: str, repeats: int, cores: Sequence[int]) -> Path:
    """Measure a campaign beside a co-runner on each of these cores, and store what the observer saw."""
    directory = folder / name
    words = [
        *NULL_MODEL[:2], f"code=[{folder / 'code'}]", *NULL_MODEL[3:], "--quiet", "model.sleep_ms=1", "system=cpu_1core",
        "measurement.rule=rounds", "measurement.min_rounds=100", "measurement.max_rounds=100", f"measurement.repeat={repeats}",
        f"results_dir={directory}",
    ]  # fmt: skip
    with neighbours([[core] for core in cores], 0.2, 1.0):
        program = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.DEVNULL)
        observer = Observer(program.pid)
        observer.start()
        program.wait()
        observer.stop()
    if program.returncode:
        raise SystemExit(f"{directory}: exit code {program.returncode}")
    (directory / "observed.json").write_text(json.dumps(observer.seen))
    return directory


def first_causes(directory: Path) -> dict[str, dict[str, Any] | None]:
    """Return by trial the evidence that is named first, if any is."""
    rows = pq.read_table(directory / "explain.parquet").to_pylist()
    first = {row["trial"]: row for row in rows if row["place"] == 1}
    return {trial.trial_id: first.get(trial.trial_id) for trial in open_campaign(directory).record.trials}


def confirmed(directory: Path, trial: str) -> dict[str, tuple[float, float]]:
    """Return the correlation of what the observer saw with the time of a trial's rounds, and its one-sided p-value, by column."""
    at, *saw = np.array(json.loads((directory / "observed.json").read_text())).T
    rounds = open_campaign(directory).rounds(trial)
    starts, durations = (rounds.column(name).to_numpy() for name in ("started_monotonic_ns", "duration_ns"))
    found = {}
    for column, total in zip(("foreign_cpu_ns", "steal_ns"), saw, strict=True):
        rates = (np.interp(starts + durations, at, total) - np.interp(starts, at, total)) / durations
        if np.ptp(rates) > 0:
            test = scipy.stats.spearmanr(rates, durations, alternative="greater")
            found[column] = (float(test.statistic), float(test.pvalue))
    return found


def is_true(directory: Path, trial: str, cause: dict[str, Any] | None) -> bool:
    """Return whether no cause is named, or one that the observer confirms."""
    if cause is None or cause["role"] != "cause":
        return True
    correlation, p_value = confirmed(directory, trial).get(cause["column"], (0.0, 1.0))
    return correlation > 0 and p_value < 0.05


def measure(asked: argparse.Namespace) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        null_model_that(WORK, folder / "code")
        causes = first_causes(campaign(folder, "disturbed", asked.trials, sorted(os.sched_getaffinity(0)))).values()
        disturbed = [cause is not None and cause["column"] == "foreign_cpu_ns" for cause in causes]
        yield Figure("disturbed: the co-runner is the first cause", 100 * sum(disturbed) / len(disturbed), "%")
        directory = campaign(folder, "quiet", asked.trials, [])
        quiet = [is_true(directory, trial, cause) for trial, cause in first_causes(directory).items()]
        yield Figure("quiet: no cause, or one that was seen", 100 * sum(quiet) / len(quiet), "%")


BENCHMARK = Benchmark(
    "explain",
    "Whether `explain` names a co-runner, and nothing where there is none",
    measure,
    bars={"disturbed: the co-runner is the first cause": at_least(90), "quiet: no cause, or one that was seen": at_least(90)},
    peer="an observer that reads /proc while the campaign runs",
    is_quick=False,
    options={"--trials": {"type": int, "default": 6, "help": "of each kind"}},
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
