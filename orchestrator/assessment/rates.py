"""One system at several rates of arrival: which trials are the same work, and which of their rates decide."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.analysis.capacity import at_any_rate
from orchestrator.assessment.subjects import Measured, Subject
from orchestrator.configuration.config import Trial
from orchestrator.running.identity import NO_WORK, OF_SERVER
from orchestrator.storage.records import PlannedTrial


def by_rate(subjects: Sequence[Subject]) -> list[Subject]:
    """Return subjects for a requirement on capacity: trials that differ in their rate and in how they are stopped are one system.

    All else that makes a trial the work that it is must be equal, names being the least of it. A system that was measured in a closed loop,
    too, is held to its trials under load alone.
    """
    found: dict[tuple[str, str], list[Measured]] = {}
    for subject in subjects:
        for each in subject.trials:
            found.setdefault(but_for_rate(each.record.trial), []).append(each)
    under_load = {work for work, load in found if load}
    parts = [part for (work, load), trials in found.items() if load or work not in under_load for part in _by_digests(trials)]
    return [Subject(trials[0].record.match_key, tuple(trials)) for trials in parts]


def but_for_rate(trial: Trial) -> tuple[str, str]:
    """Return what the trials of one system have in common, and the load but for its rate, empty in a closed loop; both as texts."""
    trial = at_any_rate(trial)
    work = {name: getattr(trial, name).model_dump(mode="json", exclude=left_out) for name, left_out in NO_WORK.items()}
    options = {name: {key: _name_of_path(value) for key, value in getattr(trial, name).options.items()} for name in ("model", "task")}
    server = trial.server.model_dump(mode="json", include=OF_SERVER)
    load = trial.load.model_dump_json(exclude={"file"}) if trial.load.is_open else ""
    return json.dumps([work, options, server], sort_keys=True, default=str), load


def _name_of_path(value: Any) -> Any:
    """Return a path without its folder, which is no part of the work; anything else as it is."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _by_digests(trials: Sequence[Measured]) -> list[list[Measured]]:
    """Return trials parted by the digests of model and data; those that never came so far as to have any go with the first."""
    digests = [each.record.digests for each in trials]
    known = [one for number, one in enumerate(digests) if one and one not in digests[:number]]
    if not known:
        return [list(trials)]
    return [[each for each in trials if (each.record.digests or known[0]) == one] for one in known]


def planned_by_rate(planned: Sequence[PlannedTrial]) -> list[list[PlannedTrial]]:
    """Return planned trials as `by_rate` does stored ones, each list a system with all its rates."""
    found: dict[tuple[str, str], list[PlannedTrial]] = {}
    for one in planned:
        found.setdefault(but_for_rate(one.trial), []).append(one)
    under_load = {work for work, load in found if load}
    return [trials for (work, load), trials in found.items() if load or work not in under_load]


def deciding(trials: Sequence[PlannedTrial], at_least_per_s: float) -> list[PlannedTrial]:
    """Return the trials of one system that decide whether it sustains a rate: those at the lowest rate from this one on.

    Lower rates show nothing of it, and higher ones only lose more. Where none is so high, those at the highest.

    Examples
    --------
    >>> deciding([], 30.0)
    []
    """
    rates = [one.trial.load.rate_per_s or 0.0 for one in trials]
    enough = [rate for rate in rates if rate >= at_least_per_s]
    chosen = min(enough) if enough else max(rates, default=0.0)
    return [one for one, rate in zip(trials, rates, strict=True) if rate == chosen]
