"""Which trials are drawn together: those of one task and data, of all campaigns that are reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.analysis.groups import Group
from orchestrator.analysis.results import Results
from orchestrator.analysis.settings import telling_settings
from orchestrator.analysis.threshold_sets import ThresholdSet
from orchestrator.analysis.trial_data import TrialData
from orchestrator.contracts import InputError


@dataclass(frozen=True)
class Entry:
    """One trial in a page.

    key
        tells it from all others, those of other campaigns included.
    label
        what tells it from the others for a reader.
    settings
        what tells it from others of equal names; empty where names do.
    colour, dash
        numbers of its colour, which trials of equal model, system, batch and settings share, and of its dashes, which those of equal
        runtime and repeat share.
    """

    key: str
    label: str
    settings: str
    data: TrialData
    flags: tuple[str, ...]
    results: Results
    campaign: int
    colour: int
    dash: int


@dataclass(frozen=True)
class Pool:
    """Trials of one task and data. The thresholds are those of the first campaign."""

    group: Group
    entries: tuple[Entry, ...]

    @property
    def thresholds(self) -> ThresholdSet:
        """The thresholds that all of them are read at."""
        return self.group.thresholds

    @property
    def metric(self) -> str:
        """The metric they are compared by."""
        return self.group.trials[0].metric

    @property
    def title(self) -> str:
        """Task and metric."""
        return f"{self.group.task} ({self.metric})"


def pools(results: Results, others: Sequence[Results] = ()) -> tuple[Pool, ...]:
    """Return the trials of all campaigns by task and data, in the order of their first members.

    Raises
    ------
    InputError
        where campaigns measured different data under one task's name, or read it by different metrics.
    """
    found: dict[tuple[str, str], list[tuple[int, Results, Group]]] = {}
    digests: dict[str, set[str]] = {}
    for number, campaign in enumerate((results, *others)):
        for group in campaign.groups:
            task, digest = group.trials[0].record.trial.task.name, group.data_digest
            if number and digest not in digests.get(task, {digest}):
                raise InputError(
                    f"campaign {campaign.campaign.name} of {campaign.campaign.created_at:%Y-%m-%d %H:%M} measured other samples of "
                    f"{task} (their digests differ), which cannot stand in one table: report it on its own"
                )
            digests.setdefault(task, set()).add(digest)
            found.setdefault((task, digest), []).append((number, campaign, group))
    return tuple(_pool(members) for members in found.values())


def _pool(members: Sequence[tuple[int, Results, Group]]) -> Pool:
    first = members[0][2]
    rows = [(number, campaign, group, data) for number, campaign, group in members for data in group.trials]
    if len({data.metric for _, _, _, data in rows}) > 1:
        raise InputError(f"trials of {first.task} are judged by different metrics, which cannot stand in one table: report them apart")
    several = {
        "model": len({data.record.trial.model.name for *_, data in rows}) > 1,
        "batch": len({data.record.trial.measurement.batch for *_, data in rows}) > 1,
        "repeat": len({(number, data.record.match_key) for number, *_, data in rows}) < len(rows),
        "campaign": len({number for number, *_ in rows}) > 1,
    }
    settings = telling_settings([data for *_, data in rows])
    colours: dict[tuple[str, str, int, str, int], int] = {}
    dashes: dict[tuple[str, int], int] = {}
    entries = []
    for number, campaign, group, data in rows:
        trial = data.record.trial
        parts = [trial.model.name] if several["model"] else []
        parts += [trial.system.name, trial.runtime.name]
        parts += [f"batch {trial.measurement.batch}"] if several["batch"] else []
        parts += [f"repeat {trial.repeat}"] if several["repeat"] else []
        parts += [f"{campaign.campaign.created_at:%Y-%m-%d %H:%M}"] if several["campaign"] else []
        parts += [settings[data.trial_id]] if settings[data.trial_id] else []
        place = (trial.model.name, trial.system.name, trial.measurement.batch, settings[data.trial_id], number)
        entries.append(
            Entry(
                key=f"{number}:{data.trial_id}",
                label=" · ".join(parts),
                settings=settings[data.trial_id],
                data=data,
                flags=tuple(group.flags[data.trial_id]),
                results=campaign,
                campaign=number,
                colour=colours.setdefault(place, len(colours)),
                dash=dashes.setdefault((trial.runtime.name, trial.repeat), len(dashes)),
            )
        )
    return Pool(first, tuple(entries))
