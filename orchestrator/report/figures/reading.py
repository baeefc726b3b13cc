"""The trials of one task as a page names and colours them, and the data of their figures, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.groups import Group, ThresholdSet
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.contracts import InputError
from orchestrator.report.figures.curves import Curve, Known, curve_of
from orchestrator.report.figures.evidence import Evidence, of_all
from orchestrator.report.figures.grid import Grid, Times, counted, grid_of, pooled
from orchestrator.report.figures.of_processes import of_processes
from orchestrator.stats.times import Clock


@dataclass(frozen=True)
class Entry:
    """One trial in a page, or one system: all processes of a trial that was repeated.

    key
        the id of a trial; of a system that of its trials without the number of the repeat.
    label
        what tells it from the others for a reader.
    system_label
        the same without the number of its repeat.
    settings
        what tells it from others of equal names; empty if names do.
    colour, dash
        numbers of its colour, which trials of equal model, system, batch and settings share, and of its dashes, which those of equal
        runtime share. Where all trials are equal in the former, each runtime has a colour, too. Repeats look alike: they are one system.
    processes
        of a system that was repeated; none otherwise. ``data`` is that of the first.
    """

    label: str
    system_label: str
    settings: str
    data: TrialData
    flags: tuple[str, ...]
    colour: int
    dash: int
    processes: tuple[Entry, ...] = ()

    @property
    def key(self) -> str:
        """What a figure's series calls it."""
        return self.data.record.match_key if self.processes else self.data.trial_id

    @property
    def model(self) -> str:
        """The name of its model."""
        return self.data.record.trial.model.name

    @property
    def members(self) -> tuple[Entry, ...]:
        """Its processes, or itself."""
        return self.processes or (self,)


def entries_of(group: Group) -> tuple[Entry, ...]:
    """Return the trials of a group in their order.

    Raises
    ------
    InputError
        if they are judged by different metrics.
    """
    trials = group.trials
    if len({data.metric for data in trials}) > 1:
        raise InputError(f"trials of {group.task} are judged by different metrics, which cannot stand in one table: report them apart")
    several_models = len({data.record.trial.model.name for data in trials}) > 1
    several_systems = len({data.record.trial.system.name for data in trials}) > 1
    several_runtimes = len({data.record.trial.runtime.name for data in trials}) > 1
    several_batches = len({data.record.trial.measurement.batch for data in trials}) > 1
    repeated = len({data.record.match_key for data in trials}) < len(trials)
    colours: dict[tuple[str, str, int, str], int] = {}
    dashes: dict[str, int] = {}
    places = {place_of(data, group) for data in trials}
    entries = []
    for data in trials:
        trial, settings = data.record.trial, group.settings[data.trial_id]
        parts = [trial.model.name] if several_models else []
        parts += [name for name, several in ((trial.system.name, several_systems), (trial.runtime.name, several_runtimes)) if several]
        parts += [f"batch {trial.measurement.batch}"] if several_batches else []
        named = bool(parts or settings)
        with_repeat = [*parts, *([f"repeat {trial.repeat}"] if repeated else []), *([settings] if settings else [])]
        parts = [*parts, *([settings] if settings else [])] if named else [trial.system.name, trial.runtime.name]
        dash = dashes.setdefault(trial.runtime.name, len(dashes))
        entries.append(
            Entry(
                label=" · ".join(with_repeat or parts),
                system_label=" · ".join(parts),
                settings=settings,
                data=data,
                flags=tuple(group.flags[data.trial_id]),
                colour=colours.setdefault(place_of(data, group), len(colours)) if len(places) > 1 else dash,
                dash=dash,
            )
        )
    return tuple(entries)


def systems_of(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return one entry a system: that of its only process, or one that holds all of them."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.data.record.match_key, []).append(entry)
    return tuple(
        replace(first, label=first.system_label, flags=_all_flags([first, *others]), processes=(first, *others)) if others else first
        for first, *others in found.values()
    )


def _all_flags(entries: Sequence[Entry]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(flag for entry in entries for flag in entry.flags))


def place_of(data: TrialData, group: Group) -> tuple[str, str, int, str]:
    """Return the model, system, batch and settings of a trial, whose lines have one colour."""
    trial = data.record.trial
    return trial.model.name, trial.system.name, trial.measurement.batch, group.settings[data.trial_id]


DRAWN_VALUES = 1_000_000
"""Values by round and threshold, mean and worst, for all trials and both clocks: 2 bytes each in the page."""
FEWEST_POINTS, MOST_POINTS = 20, 400


@dataclass(frozen=True)
class Reading:
    """One task's trials, their thresholds, times and curves; ``clock, key of the trial`` or of the system finds the latter two.

    entries, systems
        a figure that compares shows systems, one line each; where nothing was repeated, these are the trials.
    """

    results: CampaignAnalysis
    group: Group
    entries: tuple[Entry, ...]
    systems: tuple[Entry, ...]
    grids: Mapping[Clock, Grid]
    times: Mapping[tuple[Clock, str], Times]
    curves: Mapping[tuple[Clock, str], Curve]
    evidence: Mapping[str, Evidence]
    points: int

    @property
    def thresholds(self) -> ThresholdSet:
        """The thresholds that all of them are read at."""
        return self.group.thresholds

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """The clocks of its figures, the one that counts first before the others."""
        return self.group.clocks

    @property
    def clock(self) -> Clock:
        """The clock that counts first."""
        return self.group.clock

    @property
    def metric(self) -> str:
        """The metric they are compared by."""
        return self.group.trials[0].metric

    def short_keys(self) -> dict[str, str]:
        """Return what a page calls each system, and so each of its processes: a short name instead of an id."""
        named = ((system, f"e{number}") for number, system in enumerate(self.systems, start=1))
        return {key: name for system, name in named for key in (system.key, *(entry.key for entry in system.processes))}

    @property
    def repeated(self) -> bool:
        """Whether a system has several processes."""
        return len(self.systems) < len(self.entries)

    @property
    def title(self) -> str:
        """Task and metric."""
        return f"{self.group.task} ({self.metric})"


def readings(results: CampaignAnalysis, evidence: Mapping[str, Evidence]) -> list[Reading]:
    """Return what is drawn, per task.

    Parameters
    ----------
    evidence
        by trial; a trial may lack it.

    Raises
    ------
    InputError
        if trials of one task are judged by different metrics.
    """
    known = _known(results)
    trials = sum(len(group.trials) for group in results.groups)
    return [_reading(results, group, known, evidence, trials) for group in results.groups]


def _reading(
    results: CampaignAnalysis,
    group: Group,
    known: Mapping[tuple[str, str], Known],
    evidence: Mapping[str, Evidence],
    trials: int,
) -> Reading:
    entries, metric = entries_of(group), group.trials[0].metric
    members = [(clock, entry) for entry in entries for clock in group.clocks]
    counts = map_in_threads(lambda member: counted(member[1].data.inferences[member[0]]), members)
    times = {(clock, entry.key): count for (clock, entry), count in zip(members, counts, strict=True)}
    grids = {clock: grid_of(group, clock, [times[clock, entry.key] for entry in entries]) for clock in group.clocks}
    per_point = 2 * sum(len(grid.ns) for grid in grids.values()) * trials
    points = min(MOST_POINTS, max(FEWEST_POINTS, DRAWN_VALUES // per_point))

    def curve(member: tuple[Clock, Entry]) -> Curve:
        clock, entry = member
        answers = entry.data.answers_at_stake(entry.data.judged(metric))
        return curve_of(entry.data, clock, grids[clock], answers, known.get((entry.key, clock), {}), points, entry.flags)

    curves = {(clock, entry.key): found for (clock, entry), found in zip(members, map_in_threads(curve, members), strict=True)}
    of_entries = {entry.key: evidence[entry.key] for entry in entries if entry.key in evidence}
    systems = systems_of(entries)
    for system in (one for one in systems if one.processes):
        keys = [entry.key for entry in system.processes]
        for clock in group.clocks:
            times[clock, system.key] = pooled([times[clock, key] for key in keys])
            curves[clock, system.key] = of_processes(
                [entry.data for entry in system.processes], [curves[clock, key] for key in keys], clock
            )
        if all(key in of_entries for key in keys):
            of_entries[system.key] = of_all([of_entries[key] for key in keys])
    return Reading(results, group, entries, systems, grids, times, curves, of_entries, points)


def _known(results: CampaignAnalysis) -> dict[tuple[str, str], dict[int, Sequence[str]]]:
    """Return the flags of the stored figures at common thresholds, by trial and clock."""
    metrics = {data.trial_id: data.metric for group in results.groups for data in group.trials}
    found: dict[tuple[str, str], dict[int, Sequence[str]]] = {}
    for row in results.rows("tail_quality"):
        if row["slice"] == "all" and row["threshold_origin"] != "own" and row["metric"] == metrics.get(row["trial"]):
            found.setdefault((row["trial"], row["clock"]), {}).setdefault(row["threshold_ns"], row["flags"])
    return found
