"""What is true of several trials, said once with the trials that it is true of."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from orchestrator.report.progress import short_names
from orchestrator.report.text import trials_counted
from orchestrator.report.trial_names import HEADS, names_of
from orchestrator.storage.records import PlannedTrial

Remark = TypeVar("Remark", bound=Hashable)
MOST_VALUES = 4
"""Of more systems, models and so on the trials are named one by one."""


def said_once(trials: Sequence[PlannedTrial], remarks: Mapping[str, Sequence[Remark]]) -> Iterator[tuple[str, Remark]]:
    """Yield each remark with the trials that it is true of, in the order of the first of them.

    Parameters
    ----------
    remarks
        by the id of a trial.

    Examples
    --------
    What is true of every trial is said of *all trials*, and what is true of all of two systems and of no other of
    ``system cpu_1core, cpu_all (4 trials)``.
    """
    whose: dict[Remark, list[str]] = {}
    for one in trials:
        for remark in dict.fromkeys(remarks.get(one.trial_id, ())):
            whose.setdefault(remark, []).append(one.trial_id)
    short = short_names(trials)
    for remark, ids in whose.items():
        yield _whom(ids, trials, short), remark


def _whom(ids: Sequence[str], trials: Sequence[PlannedTrial], short: Mapping[str, str]) -> str:
    if len(trials) == 1:
        return trials[0].trial_id
    if len(ids) == len(trials):
        return "all trials"
    chosen, names = set(ids), {one.trial_id: names_of(one.trial) for one in trials}
    found = []
    for place, head in enumerate(HEADS):
        values = list(dict.fromkeys(names[trial][place] for trial in ids))
        if all(trial in chosen for trial in names if names[trial][place] in values):
            found.append((len(values), f"{head} {', '.join(values)} ({trials_counted(len(ids))})"))
    fewest = min(found, key=lambda one: one[0], default=None)
    if fewest is not None and fewest[0] <= MOST_VALUES and len(ids) > 1:
        return fewest[1]
    return ", ".join(short[trial] for trial in ids)
