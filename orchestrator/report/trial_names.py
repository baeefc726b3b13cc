"""The trials of a campaign in a table: their full ids where these fit, else what tells them apart, each part in a column of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.configuration.config import Trial
from orchestrator.report.condensed import condensed
from orchestrator.report.table import Table
from orchestrator.report.terminal import fits

HEADS = ("model", "task", "system", "runtime", "load", "batch", "repeat")
ABOVE = 5
"""How many of them stand in the title where all trials share them; the others do in the note."""
NO_LOAD = "closed"
"""What a title need not say."""
IDS = "id ends"
FOLLOWS = (
    *((head, ("system",)) for head in ("host", "device", "cores", "threads")),
    *((head, ("task",)) for head in ("samples", "split", "shots")),
    ("precision", ("runtime", "model")),
    ("batch", ("model", "runtime")),
    ("task", ("model",)),
)
"""Columns that often follow from a name, and from which; in the order in which a table that does not fit is freed of them."""


def with_fitting_names(table: Table, trials: Sequence[tuple[str, Trial]], width: int | None, ids: bool = False) -> Table:
    """Return a table of trials with what all have in common said once, and with names that fit.

    Parameters
    ----------
    table
        a row per trial, with the column ``trial``.
    trials
        id and trial of each row.
    width
        of the terminal, in cells; None if nothing limits it.
        On a terminal, ids in which a name is cut do not tell systems apart for a reader, and are no names that fit.
    ids
        whether the ends of ids are shown also where they do not fit beside all else, in a table of their own below.
    """
    whole = condensed(table, ["trial", "state"])
    if len(trials) < 2 or (fits(whole, width) and (width is None or not any(map(_is_cut, trials)))):
        return whole
    place = list(table.columns).index("trial")
    ends = id_ends([trial_id for trial_id, _ in trials])
    names = [names_of(trial) for _, trial in trials]
    apart = [at for at in range(len(HEADS)) if at >= ABOVE or len({of_trial[at] for of_trial in names}) > 1]
    shared = [names[0][at] for at in range(len(HEADS)) if at not in apart and names[0][at] != NO_LOAD]
    others = [at for at, head in enumerate(table.columns) if at != place and head not in HEADS]
    rows = [
        [*(of_trial[at] for at in apart), *(row[at] for at in others), end]
        for row, of_trial, end in zip(table.rows, names, ends, strict=True)
    ]
    columns = [*(HEADS[at] for at in apart), *(table.columns[at] for at in others), IDS]
    title = f"{table.title}: {', '.join(shared)}" if shared else table.title
    found = condensed(replace(table, title=title, columns=columns, rows=rows), [IDS])
    told = {tuple(row[at] for at, head in enumerate(found.columns) if head in HEADS) for row in found.rows}
    bare = without(found, IDS) if len(told) == len(found.rows) else found
    if ids or fits(found, width):
        return found
    for head, names_before in FOLLOWS:
        if not fits(bare, width):
            bare = _said_by_name(bare, head, names_before)
    return bare


def _is_cut(trial: tuple[str, Trial]) -> bool:
    """Return whether the id of a trial lacks a part of one of its names, or writes one in other letters."""
    trial_id, of = trial
    return any(name not in trial_id for name in (of.model.name, of.task.name, of.system.name, of.runtime.name))


def _said_by_name(table: Table, head: str, names: Sequence[str]) -> Table:
    """Return a table without a column that follows from one of these names, each of which has two rows on average: its note says it."""
    columns = list(table.columns)
    for name in (name for name in names if head in columns and name in columns):
        known = [row for row in table.rows if row[columns.index(head)]]
        pairs = dict.fromkeys((row[columns.index(name)], row[columns.index(head)]) for row in known)
        if pairs and len({of for of, _ in pairs}) == len(pairs) and 2 * len(pairs) <= len(known):
            whose: dict[str, list[str]] = {}
            for of, cell in pairs:
                whose.setdefault(cell, []).append(of)
            said = "; ".join(f"{cell} of {', '.join(of)}" for cell, of in whose.items())
            return replace(without(table, head), note=f"{head.capitalize()}: {said}. {table.note}".strip())
    return table


def names_of(trial: Trial) -> list[str]:
    """Return what a trial is called, in the order of `HEADS`."""
    names = [trial.model.name, trial.task.name, trial.system.name, trial.runtime.name, trial.load.words]
    return [*names, str(trial.measurement.batch), str(trial.repeat)]


def id_ends(ids: Sequence[str]) -> list[str]:
    """Return the hash and the repeat of each id, which name it as well; the whole id where they do not.

    Examples
    --------
    >>> id_ends(["echo-cpu-b1-4ff90ac1-r0", "echo-gpu-b1-483b4f43-r0"])
    ['4ff90ac1-r0', '483b4f43-r0']
    """
    ends = ["-".join(one.split("-")[-2:]) for one in ids]
    alike = Counter(ends)
    return [end if alike[end] == 1 else one for one, end in zip(ids, ends, strict=True)]


def without(table: Table, head: str) -> Table:
    """Return a table without a column."""
    place = list(table.columns).index(head)
    return replace(
        table,
        columns=[column for column in table.columns if column != head],
        rows=[[*row[:place], *row[place + 1 :]] for row in table.rows],
    )
