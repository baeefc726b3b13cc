"""What the trials of a campaign are called, alone, in a table, and together."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from orchestrator.analysis.groups import telling_settings
from orchestrator.configuration.config import Trial
from orchestrator.report.table import Table, condensed
from orchestrator.report.terminal import fits
from orchestrator.report.text import trials_counted
from orchestrator.storage.records import PlannedTrial

HEADS = ("model", "task", "system", "runtime", "load", "batch", "repeat")
SIGNS = {"batch": "batch ", "repeat": "r"}
Remark = TypeVar("Remark", bound=Hashable)
MOST_NAMED = 4  # By more models, systems and so on trials are not told apart.


def names_of(trial: Trial) -> tuple[str, ...]:
    """Return what a trial is called, in the order of `HEADS`."""
    names = trial.model.name, trial.task.name, trial.system.name, trial.runtime.name
    return (*names, trial.load.words, str(trial.measurement.batch), str(trial.repeat))


def short_names(trials: Sequence[PlannedTrial], settings: bool = False) -> dict[str, str]:
    """Return what differs among the names of trials, by id; the id where that is not enough.

    With ``settings``, those that differ stand in the id's place.

    Examples
    --------
    Two trials on different systems are called by the systems' names, with the repeat where there
    are several: ``cpu_1core r2``.
    """
    if len(trials) == 1:
        return {trials[0].trial_id: trials[0].trial.model.name}
    columns = [*zip(*(names_of(one.trial) for one in trials), strict=True)]
    differ = [
        (SIGNS.get(head, ""), column)
        for head, column in zip(HEADS, columns, strict=True)
        if len(set(column)) > 1
    ]
    names = [" ".join(sign + column[at] for sign, column in differ) for at in range(len(trials))]
    alike = Counter(names)
    told = telling_settings({one.trial_id: one.trial for one in trials if settings})
    return {
        key: name if alike[name] == 1 else f"{name} {told[key]}".strip() if told.get(key) else key
        for key, name in zip((one.trial_id for one in trials), names, strict=True)
    }


def id_ends(ids: Sequence[str]) -> list[str]:
    """Return the hash and the repeat of each id, which name it as well; the whole id else.

    Examples
    --------
    >>> id_ends(["echo-cpu-b1-4ff90ac1-r0", "echo-gpu-b1-483b4f43-r0"])
    ['4ff90ac1-r0', '483b4f43-r0']
    """
    ends = ["-".join(one.split("-")[-2:]) for one in ids]
    alike = Counter(ends)
    return [end if alike[end] == 1 else one for one, end in zip(ids, ends, strict=True)]


def with_names(table: Table, trials: Sequence[PlannedTrial], width: int) -> Table:
    """Return a table of trials that says once what all share.

    Their ids, its first column, give way to names and the ends of ids where they do not fit.
    """
    whole = condensed(table, ["trial", "state"])
    if len(trials) < 2 or fits(whole, width):
        return whole
    ends = id_ends([one.trial_id for one in trials])
    rows = [
        [*names_of(one.trial), *row[1:], end]
        for row, one, end in zip(table.rows, trials, ends, strict=True)
    ]
    columns = [*HEADS, *table.columns[1:], "id ends"]
    return condensed(replace(table, columns=columns, rows=rows), ["id ends"])


def said_once(
    trials: Sequence[PlannedTrial], remarks: Mapping[str, Sequence[Remark]]
) -> Iterator[tuple[str, Remark]]:
    """Yield each remark, which ``remarks`` holds by trial, with the trials that it is true of.

    What is true of all of two systems and of no other is said of ``system cpu_1core, cpu_all (4
    trials)``.
    """
    whose: dict[Remark, list[PlannedTrial]] = {}
    for one in trials:
        for remark in dict.fromkeys(remarks.get(one.trial_id, ())):
            whose.setdefault(remark, []).append(one)
    short = short_names(trials)
    for remark, ones in whose.items():
        if len(ones) == len(trials):
            yield ("all trials" if len(trials) > 1 else trials[0].trial_id), remark
        else:
            alike = _alike(ones, trials) if len(ones) > 1 else None
            yield alike or ", ".join(short[one.trial_id] for one in ones), remark


def _alike(ones: Sequence[PlannedTrial], trials: Sequence[PlannedTrial]) -> str | None:
    for place, head in enumerate(HEADS):
        values = dict.fromkeys(names_of(one.trial)[place] for one in ones)
        those = sum(names_of(one.trial)[place] in values for one in trials)
        if len(values) <= MOST_NAMED and those == len(ones):
            return f"{head} {', '.join(values)} ({trials_counted(len(ones))})"
    return None
