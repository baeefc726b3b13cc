"""Which trials of one machine take turns, and which may time at once (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.config import Trial
from orchestrator.storage.records import PlannedTrial

Unit = tuple[PlannedTrial, ...]
"""One trial, or several whose rounds alternate."""
Lane = tuple[Unit, ...]
"""Units that follow one another."""


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
    stages: list[tuple[Lane, ...]] = [(_lane(alone),)] if alone else []
    if others:
        stages.append(tuple(_lane(lane) for lane in _by_cores(others, cores_of)))
    return tuple(stages)


def _lane(trials: Sequence[PlannedTrial]) -> Lane:
    """Return units in order; the interleaved trials are one, in the place of the first of them."""
    alternating = tuple(planned for planned in trials if planned.trial.measurement.schedule == "interleaved")
    units: list[Unit] = []
    for planned in trials:
        if planned not in alternating:
            units.append((planned,))
        elif planned is alternating[0]:
            units.append(alternating)
    return tuple(units)


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
