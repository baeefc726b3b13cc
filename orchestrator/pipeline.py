"""The loop: prepare a trial, ask for rounds, store each, check the stopping rule, stop. Knows no Ray.

Trials of one machine take turns; machines work at the same time, each in a thread of its own. Where driver and system share a
machine, everything of ours happens between rounds; a remote system is asked for its next round before the last one is stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from orchestrator.execution.executor import Executor
from orchestrator.observer import Observer
from orchestrator.storage.records import PlannedTrial, State
from orchestrator.storage.writer import CampaignWriter
from orchestrator.trial_run import TrialRun


def run_trials(
    trials: Sequence[PlannedTrial],
    executor: Executor,
    writer: CampaignWriter,
    observer: Observer,
    stop: threading.Event,
    primary: str | None = None,
    now_s: Callable[[], float] = time.monotonic,
) -> dict[str, State]:
    """Run the trials and return the state each ended in.

    Parameters
    ----------
    stop
        set from outside (Ctrl-C): the round under way is finished and stored, then every machine stops.
    primary
        the user's primary threshold, or None.
    now_s
        the clock of the stopping rule, s.

    Raises
    ------
    BaseException
        what a machine's thread raised beyond a trial's own failure, such as a full disk.
    """
    lanes: dict[str, list[PlannedTrial]] = {}
    for planned in trials:
        lanes.setdefault(executor.machine_of(planned.trial), []).append(planned)
    states: dict[str, State] = {}
    failures: list[BaseException] = []

    def work(lane: Sequence[PlannedTrial]) -> None:
        try:
            for planned in lane:
                if stop.is_set():
                    return
                states[planned.trial_id] = TrialRun(planned, executor, writer, observer, stop, primary, now_s).run()
        except BaseException as error:
            failures.append(error)
            stop.set()

    # Daemon threads: a second Ctrl-C ends the program without waiting for a round that may never end.
    threads = [threading.Thread(target=work, args=(lane,), name=f"machine-{machine[:8]}", daemon=True) for machine, lane in lanes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return states
