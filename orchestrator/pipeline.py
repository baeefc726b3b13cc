"""The loop: prepare a trial, ask for rounds, store each, check the stopping rule, stop. Knows no Ray.

Trials of one machine take turns, unless they do without it being theirs alone (`orchestrator.turns`); machines work at the same time,
each in a thread of its own. Where driver and system share a machine, everything of ours happens between rounds; a remote system is asked
for its next round before the last one is stored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

from orchestrator.execution.executor import Executor
from orchestrator.observer import Observer
from orchestrator.stats.stopping import StoppingRule, make_rule
from orchestrator.storage.records import PlannedTrial, State
from orchestrator.storage.writer import CampaignWriter
from orchestrator.trial.run import TrialRun
from orchestrator.turns import Lane, turns

LEAVE_S = 5.0
"""How long threads have to end when the program is to stop at once."""


def own_rule(planned: PlannedTrial, primary: str | None) -> StoppingRule:
    """Return the stopping rule that a trial's own settings name."""
    measurement = planned.trial.measurement
    return make_rule(
        measurement.rule,
        min_rounds=measurement.min_rounds,
        max_rounds=measurement.max_rounds,
        max_seconds=measurement.max_seconds,
        half_width=measurement.half_width,
        primary=primary,
    )


def run_trials(
    trials: Sequence[PlannedTrial],
    executor: Executor,
    writer: CampaignWriter,
    observer: Observer,
    stop: threading.Event,
    primary: str | None = None,
    rule_of: Callable[[PlannedTrial, str | None], StoppingRule] = own_rule,
) -> dict[str, State]:
    """Run the trials and return the state each ended in.

    Parameters
    ----------
    stop
        set from outside (Ctrl-C): the round under way is finished and stored, then every machine stops.
    primary
        the user's primary threshold, or None.
    rule_of
        the rule of a trial with a primary threshold; its own one by default.

    Raises
    ------
    BaseException
        what a machine's thread raised beyond a trial's own failure, such as a full disk.
    """
    machines: dict[str, list[PlannedTrial]] = {}
    for planned in trials:
        machines.setdefault(executor.machine_of(planned.trial), []).append(planned)
    states: dict[str, State] = {}
    failures: list[BaseException] = []

    def run_lane(lane: Lane) -> None:
        try:
            for unit in lane:
                if stop.is_set():
                    return
                alternating = len(unit) > 1
                runs = [TrialRun(planned, rule_of(planned, primary), executor, writer, observer, stop, alternating) for planned in unit]
                run_alternating(runs)
                states.update({run.trial_id: run.state for run in runs if run.state is not None})
        except BaseException as error:
            failures.append(error)
            stop.set()

    def run_machine(machine: str) -> None:
        try:
            await_leftovers(machines[machine], executor, writer)
            for stage in turns(machines[machine], executor.cores_of):
                in_threads([partial(run_lane, lane) for lane in stage], machine)
        except BaseException as error:
            failures.append(error)
            stop.set()

    in_threads([partial(run_machine, machine) for machine in machines], "campaign", executor.leave)
    if failures:
        raise failures[0]
    return states


def await_leftovers(trials: Sequence[PlannedTrial], executor: Executor, writer: CampaignWriter) -> None:
    """Wait until every process that an earlier driver has left on a machine is gone: none may overlap a new round."""
    for planned in trials:
        record = writer.read_trial(planned.trial_id)
        for process in record.processes[-1:] if record is not None else ():
            executor.await_end(planned.trial, process.pid, process.created_s, process.boot_id)


def run_alternating(runs: Sequence[TrialRun]) -> None:
    """Run trials to their ends, one round of each in turn; a single one runs round after round."""
    try:
        active = [run for run in runs if run.start()]
        while active:
            active = [run for run in active if run.step()]
    finally:
        for run in runs:
            run.close()


def in_threads(calls: Sequence[Callable[[], None]], name: str, at_once: Callable[[], None] | None = None) -> None:
    """Make all calls at once and wait for them.

    ``at_once`` is called when a second Ctrl-C comes, and has the calls end soon: one that went on while Ray ends would end the program
    in its own way. Daemon threads: the program does not wait for a round that may never end.
    """
    threads = [threading.Thread(target=call, name=f"{name[:8]}-{number}", daemon=True) for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        if at_once is not None:
            at_once()
        for thread in threads:
            thread.join(LEAVE_S / len(threads))
        raise
