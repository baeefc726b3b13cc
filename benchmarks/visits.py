"""What it costs to come back to a process: carry-over from one visit to the next, and the processor time of processes that wait.

    python benchmarks/visits.py [carry] [idle] [KEY=...]     # both where neither is named; words replace those of MODELS

`carry` has real models in processes of their own take turns in short visits, with and without a lead-in, and compares the times of a
visit's first round with those of the same samples in its later rounds, median over visits. Its clock is the processor time of the thread
that measures, on one core: other work on the machine counts only by what it does to caches. `idle` loads the models under Ray, has each run
a round, and reads their processor time while none does.
"""

import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from orchestrator.configuration.composition import compose_trials
from orchestrator.configuration.config import CampaignConfig, Trial, parse_trial
from orchestrator.distributed.cluster import open_local
from orchestrator.machine.cores import THREAD_VARIABLES
from orchestrator.measurement.worker import Worker
from orchestrator.running.trial_judge import clocks
from orchestrator.stats.times import Clock
from orchestrator.subject.digests import cache_dir

MODELS = [
    "model=efficientnet_lite0,scene_detector", "task=imagenet_samples,digit_scenes", "task.limit=10",
    "system=cpu_1core", "runtime=torch,onnxruntime",
]  # fmt: skip
LEAD_INS = (0, 3)
VISITS, ROUNDS = 12, 5
PLACES = (0, 1, 2, 3, 5, 9)
IDLE_S = 10.0


def trials_of(words: Sequence[str]) -> list[Trial]:
    """Return the trials that MODELS and the words given describe; a word replaces the one of the same key."""
    chosen = list({word.partition("=")[0]: word for word in [*MODELS, *words]}.values())
    trials = [parse_trial(document) for document in compose_trials(chosen, True, ()).documents]
    return [trial for trial in trials if trial.model.kind == trial.task.kind]


def carry(words: Sequence[str]) -> None:
    """Print what the first samples of a visit, and each of its rounds, take relative to its later rounds."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    rows: dict[int, list[NDArray[np.float64]]] = {lead_in: [] for lead_in in LEAD_INS}
    print(
        f"excess over the visit's rounds 3 to {ROUNDS}, %: samples {PLACES} of its first round; then rounds 1 to {ROUNDS} by their medians"
    )
    served = [
        (trial.model_copy(update={"measurement": trial.measurement.model_copy(update={"lead_in": lead_in})}), lead_in)
        for trial in trials_of(words)
        for lead_in in LEAD_INS
    ]
    for (trial, lead_in), times in zip(served, visits_of([trial for trial, _ in served]), strict=True):
        rows[lead_in].append(excess(times))
        print(f"{lead_in} | {shown(rows[lead_in][-1])} | {trial.model.name} {trial.runtime.name} {np.median(times) / 1e6:.1f} ms")
    for lead_in, of_trials in rows.items():
        print(f"{lead_in} | {shown(np.median(of_trials, axis=0))} | median of {len(of_trials)} models")


def visits_of(trials: Sequence[Trial]) -> list[NDArray[np.float64]]:
    """Return the total times of each trial, ns, [VISITS, ROUNDS, S]: all are loaded, and take turns in a random order."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        pipes = [context.Pipe() for _ in trials]
        processes = [
            context.Process(target=serve, args=(trial, pipe[1], Path(folder) / str(number)), daemon=True)
            for number, (trial, pipe) in enumerate(zip(trials, pipes, strict=True))
        ]
        for process in processes:
            process.start()
        for ours, _ in pipes:
            ours.recv()
        found: list[list[NDArray[np.float64]]] = [[] for _ in trials]
        for visit in range(VISITS):
            for number in random.Random(visit).sample(range(len(trials)), len(trials)):
                pipes[number][0].send(visit)
                found[number].append(pipes[number][0].recv())
        for process in processes:
            process.terminate()
            process.join()
    return [np.stack(times) for times in found]


def serve(trial: Trial, pipe: Connection, scratch: Path) -> None:
    """Load a trial and measure a visit whenever one is asked for."""
    worker = Worker(trial, 0, scratch, cache_dir(), pin=False, clock=time.thread_time_ns)
    worker.prepare()
    pipe.send(None)
    while True:
        visit = pipe.recv()
        pipe.send(np.stack([clocks(result.timings)[Clock.TOTAL] for result in worker.run_rounds(ROUNDS * visit, ROUNDS, visit)]))


def excess(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the excess, as a share, of the first round's samples at PLACES and of each round; times are [VISITS, ROUNDS, S]."""
    relative = times / np.median(times[:, 2:], axis=1, keepdims=True) - 1
    return np.concatenate([np.median(relative[:, 0, list(PLACES)], axis=0), np.median(np.median(relative, axis=2), axis=0)])


def shown(row: NDArray[np.float64]) -> str:
    """Return shares in percent."""
    return " ".join(f"{100 * value:5.1f}" for value in row)


def idle(words: Sequence[str]) -> None:
    """Print the processor time of each loaded process while all wait, as a share of the time."""
    trials = trials_of(words)
    with open_local(CampaignConfig(), cache_dir()) as site, site.executor() as executor:
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
