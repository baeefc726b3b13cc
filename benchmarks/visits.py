"""What it costs to come back to a process: carry-over from one visit to the next, and the processor time of processes that wait.

    python benchmarks/visits.py [carry] [idle] [WORD=...]     # carry and idle where neither is named; further words for the campaign

`carry` measures real models in many short visits, with and without a lead-in in one session, and compares the times of a visit's first
round with those of the same samples in later rounds: at the lower quartile over visits, so that other work on the machine counts as little
as can be. `idle` loads the same models, has each run a round, and reads their processor time while none does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from orchestrator.analysis.trial_data import TrialData, load_trials
from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import CampaignConfig, parse_trial
from orchestrator.distributed.cluster import open_local_executor
from orchestrator.stats.times import Clock
from orchestrator.storage.reader import open_campaign
from orchestrator.subject.digests import cache_dir

MODELS = [
    "model=efficientnet_lite0,scene_detector", "task=imagenet_samples,digit_scenes", "task.limit=10",
    "system=cpu_1core,cpu_all", "runtime=torch,onnxruntime",
]  # fmt: skip
LEAD_INS = (0, 3)
VISITS, ROUNDS = 40, 3
PLACES = (0, 1, 2, 3, 5, 9)
IDLE_S = 10.0


def carry(words: Sequence[str]) -> None:
    """Measure a campaign in visits and print what the first samples and rounds of a visit take, relative to its later rounds."""
    count = VISITS * ROUNDS
    bounds = [f"measurement.min_rounds={count}", f"measurement.max_rounds={count}", f"measurement.visit_rounds={ROUNDS}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "orchestrator", "--quiet", "-m", *chosen(words), "measurement.rule=rounds", *bounds]
        lead_ins = ",".join(map(str, LEAD_INS))
        subprocess.run([*command, f"measurement.lead_in={lead_ins}", f"results_dir={folder}/r"], check=True, capture_output=True)
        trials = load_trials(open_campaign(Path(folder) / "r"))
    print(f"excess of a visit's first round over its later ones, %, total clock: samples at places {PLACES}, then the round's median")
    for lead_in in LEAD_INS:
        alike = [trial for trial in trials if trial.record.trial.measurement.lead_in == lead_in]
        rows = [excess(trial) for trial in alike]
        for trial, row in zip(alike, rows, strict=True):
            print(f"{lead_in} | {shown(row)} | {trial.trial_id}")
        print(f"{lead_in} | {shown(np.median(rows, axis=0))} | median of {len(rows)} trials")


def chosen(words: Sequence[str]) -> list[str]:
    """Return the words that say what is measured: those given replace the ones of the same key."""
    return list({word.partition("=")[0]: word for word in [*MODELS, *words]}.values())


def excess(trial: TrialData) -> NDArray[np.float64]:
    """Return the excess, as a share, of the first round's samples at PLACES, and the median over all of its samples."""
    times = trial.times[Clock.TOTAL].reshape(VISITS, ROUNDS, -1)
    first, later = (np.quantile(of, 0.25, axis=0) for of in (times[:, 0], times[:, 1:].reshape(-1, times.shape[2])))
    relative = first / later - 1
    return np.append(relative[list(PLACES)], np.median(relative))


def shown(row: NDArray[np.float64]) -> str:
    """Return shares in percent."""
    return " ".join(f"{100 * value:6.1f}" for value in row)


def idle(words: Sequence[str]) -> None:
    """Print the processor time of each loaded process while all wait, as a share of the time."""
    trials = [parse_trial(document) for document in compose_trials(chosen(words), True, ()).documents]
    trials = [trial for trial in trials if trial.model.kind == trial.task.kind]
    with open_local_executor(CampaignConfig(), cache_dir()) as executor:
        sessions = [executor.open(trial, f"idle{number}-r0", 0) for number, trial in enumerate(trials)]
        try:
            processes = []
            for session in sessions:
                processes.append(psutil.Process(session.identify().result(60).pid))
                session.prepare().result(600)
            for session in sessions:
                session.run_rounds(0, 1, 0).result(600)
            for session in sessions:
                session.rest()
            time.sleep(1)
            before = used(processes)
            time.sleep(IDLE_S)
            after = used(processes)
            for trial, process, one, other in zip(trials, processes, before, after, strict=True):
                memory = process.memory_full_info()
                name = f"{trial.model.name} {trial.system.name} {trial.runtime.name}"
                print(f"{100 * (other - one) / IDLE_S:.2f} % of one core | {memory.uss / 2**20:.0f} MiB of its own | {name}")
        finally:
            for session in sessions:
                session.close()


def used(processes: Sequence[psutil.Process]) -> list[float]:
    """Return the processor time of each process, threads together, s: to the ns, from the scheduler's own account."""
    return [
        sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{process.pid}/task").iterdir()) / 1e9
        for process in processes
    ]


def main() -> None:
    words = [word for word in sys.argv[1:] if "=" in word]
    named = [word for word in sys.argv[1:] if "=" not in word] or ["idle", "carry"]
    for name in named:
        {"carry": carry, "idle": idle}[name](words)


if __name__ == "__main__":
    main()
