"""The loop: prepare trials, ask for rounds in visits, store each, check the stopping rule, stop. Knows no Ray.

Trials of one machine take turns, unless they may share it; machines work at the same time, each in a thread of its own. Trials that are
loaded together have one visit each in every cycle, in an order drawn anew, so that they make progress together and meet the same machine.
A trial that is still in its pause lets the next one go first; where all are, the machine waits.
Where driver and system share a machine, everything of ours happens between rounds; a remote system is asked for its next round before the
last one is stored.
"""

import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from orchestrator.configuration.config import Trial
from orchestrator.contracts import by_key
from orchestrator.machine.turn import ThisCampaign
from orchestrator.running.executor import Executor
from orchestrator.running.trial import Observer, TrialRun, message_of
from orchestrator.stats.stopping import StoppingRule, make_rule
from orchestrator.storage.records import PlannedTrial
from orchestrator.storage.schema import State
from orchestrator.storage.writer import CampaignWriter

T = TypeVar("T")
# One trial, or several that are loaded together and take turns in visits.
Unit = tuple[PlannedTrial, ...]
# Units that follow one another.
Lane = tuple[Unit, ...]


def turns(trials: Sequence[PlannedTrial], cores_of: Callable[[Trial], tuple[int, ...]]) -> tuple[tuple[Lane, ...], ...]:
    """Return the stages of one machine. Stages follow one another; the lanes of a stage run at once.

    Trials that want the machine to themselves (``system.exclusive``) make one lane and come first. Of the others, those whose cores
    overlap share a lane.

    Parameters
    ----------
    trials
        of one machine, in the order of the plan.
    cores_of
        the cores a trial is given.
    """
    alone = [planned for planned in trials if planned.trial.system.exclusive]
    others = [planned for planned in trials if not planned.trial.system.exclusive]
    stages = ([alone] if alone else [], _by_cores(others, cores_of))
    return tuple(tuple(map(_lane, stage)) for stage in stages if stage)


def _lane(trials: Sequence[PlannedTrial]) -> Lane:
    """Return units in order; the trials of one part that run in visits are one, in the place of the first of them."""
    units = by_key(trials, lambda one: one.trial_id if one.trial.measurement.rounds_per_visit is None else one.part)
    return tuple(map(tuple, units.values()))


def _by_cores(trials: Sequence[PlannedTrial], cores_of: Callable[[Trial], tuple[int, ...]]) -> list[list[PlannedTrial]]:
    lanes: list[tuple[set[int], list[PlannedTrial]]] = []
    for planned in trials:
        cores = set(cores_of(planned.trial))
        joined = [lane for lane in lanes if lane[0] & cores]
        lanes = [lane for lane in lanes if not lane[0] & cores]
        members = [member for _, lane in joined for member in lane]
        lanes.append((cores.union(*(held for held, _ in joined)), [*members, planned]))
    order = {planned.trial_id: place for place, planned in enumerate(trials)}
    return [sorted(lane, key=lambda planned: order[planned.trial_id]) for _, lane in lanes]


LEAVE_S = 5.0  # How long threads have to end when the program is to stop at once


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
        options=measurement.rule_options,
    )


def run_trials(
    trials: Sequence[PlannedTrial],
    executor: Executor,
    writer: CampaignWriter,
    observer: Observer,
    stop: threading.Event,
    primary: str | None = None,
    rule_of: Callable[[PlannedTrial, str | None], StoppingRule] = own_rule,
    now_ns: Callable[[], int] = time.monotonic_ns,
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
    now_ns
        the driver's clock, by which trials pause between their visits.

    Raises
    ------
    BaseException
        what a machine's thread raised beyond a trial's own failure: a disk that is full.
    """
    ThisCampaign.words = f"the campaign {writer.record.name} in {writer.directory.absolute()}"
    minutes = writer.record.config.minutes
    end_ns = math.inf if minutes is None else now_ns() + minutes * 60e9
    campaign = writer.record.created_at.isoformat()
    states: dict[str, State] = {}
    failures: list[BaseException] = []

    def fail(failed: Sequence[PlannedTrial], error: Exception) -> None:
        for planned in failed:
            reason = message_of(planned, error)
            writer.set_state(planned.trial_id, "failed", reason)
            states[planned.trial_id] = "failed"
            with suppress(Exception):
                observer.trial_ended(planned, "failed", reason)

    machines: dict[str, list[PlannedTrial]] = {}
    for planned in trials:
        try:
            machine = executor.machine_of(planned.trial)
        except Exception as error:
            fail([planned], error)
        else:
            machines.setdefault(machine, []).append(planned)

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            failures.append(error)
            stop.set()

    def run_lane(lane: Lane, until_ns: float) -> None:
        for unit, unit_until_ns in shares(lane, [len(unit) for unit in lane], until_ns, now_ns):
            if not stop.is_set():
                runs = [
                    TrialRun(planned, partial(rule_of, planned, primary), executor, writer, observer, stop, now_ns, len(unit) > 1)
                    for planned in unit
                ]
                run_in_visits(runs, stop, campaign, now_ns, unit_until_ns)
                states.update({run.trial_id: run.state for run in runs if run.state is not None})

    def run_machine(machine: str) -> None:
        try:
            for planned in machines[machine]:  # none of an earlier driver's processes may overlap a new round
                record = writer.read_trial(planned.trial_id)
                for process in record.processes[-1:] if record is not None else ():
                    executor.await_end(planned.trial, process.pid, process.created_s, process.boot_id)
            stages = turns(machines[machine], executor.cores_of)
        except Exception as error:
            fail(machines[machine], error)  # nothing may be timed beside what an earlier driver has left
            return
        trials_of = [max(sum(map(len, lane)) for lane in stage) for stage in stages]
        for stage, until_ns in shares(stages, trials_of, end_ns, now_ns):
            in_threads([partial(guarded, partial(run_lane, lane, until_ns)) for lane in stage], machine)

    in_threads([partial(guarded, partial(run_machine, machine)) for machine in machines], "campaign", executor.leave)
    if failures:
        raise failures[0]
    return states


def shares(parts: Sequence[T], trials: Sequence[int], end_ns: float, now_ns: Callable[[], int]) -> Iterator[tuple[T, float]]:
    """Yield each part and when it must end, so that every trial to come has an equal share of the time that is left."""
    for place, part in enumerate(parts):
        yield part, now_ns() + (end_ns - now_ns()) * trials[place] / sum(trials[place:])


def run_in_visits(
    runs: Sequence[TrialRun], stop: threading.Event, campaign: str, now_ns: Callable[[], int], until_ns: float = math.inf
) -> None:
    """Load all trials and run them to their ends in cycles of one visit each.

    The first of a cycle has its visit before the others start their processes, so that a mistake shows early; these come up side by side
    and load one after the other. Trials behind the others have cycles of their own first. Visits of one cycle have one number everywhere.
    ``stop`` ends all after the round under way; what has not begun stays planned.
    No cycle begins that would end after ``until_ns``, if it takes as long as the last one; each trial has one visit in any case.
    """
    try:
        begun = {run.trial_id: run for run in runs if not stop.is_set() and run.start()}
        number = max((run.next_visit for run in begun.values()), default=0)
        least = min((run.progress for run in begun.values()), default=0)
        behind = [trial_id for trial_id, run in begun.items() if run.progress == least]
        first = order_of_cycle(behind, campaign, number)[:1] if len(begun) > 1 else []
        ready, began_ns = [run for run in map(begun.pop, first) if run.ready()], now_ns()
        active = [run for run in ready if run.visit(number, until_ns) and run.rest()]
        first_ns = now_ns() - began_ns
        opened = [run for run in begun.values() if run.open()]
        active += [run for run in opened if run.ready() and run.rest()]
        cycle_ns, began_ns = 0, now_ns() - first_ns
        while active:
            if cycle_ns and now_ns() + cycle_ns > until_ns:
                for run in active:
                    run.end_in_time()
                break
            last = min(run.progress for run in active)
            taking_part = {run.trial_id: run for run in active if run.progress < last + 1 or stop.is_set()}
            number = max(number, *(run.next_visit for run in taking_part.values()))
            waiting = [taking_part[trial_id] for trial_id in order_of_cycle(taking_part, campaign, number)]
            while waiting:
                run = next_of(waiting, stop, now_ns)
                waiting.remove(run)
                if not (run.visit(number, until_ns) and run.rest()):
                    active.remove(run)
            number += 1
            cycle_ns, began_ns = now_ns() - began_ns, now_ns()
    finally:
        for run in runs:
            with suppress(Exception):  # some are left only while an exception passes
                run.close()


def next_of(waiting: Sequence[TrialRun], stop: threading.Event, now_ns: Callable[[], int]) -> TrialRun:
    """Return the first trial whose pause is over, once there is one; the first of all where the user has stopped meanwhile."""
    while not stop.is_set():
        moment_ns = now_ns()
        if found := next((run for run in waiting if run.due_ns <= moment_ns), None):
            return found
        stop.wait((min(run.due_ns for run in waiting) - moment_ns) / 1e9)
    return waiting[0]


def order_of_cycle(trial_ids: Iterable[str], campaign: str, number: int) -> list[str]:
    """Return trials in the order of one cycle: random, and the same whenever this cycle of this campaign is asked for."""
    return sorted(trial_ids, key=lambda trial_id: hashlib.sha256(f"{campaign}\0{number}\0{trial_id}".encode()).digest())


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
