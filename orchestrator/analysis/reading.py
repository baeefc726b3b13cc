"""The trials of one task as a report names and colours them, and what its charts draw of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from orchestrator.analysis.campaign_analysis import CampaignAnalysis
from orchestrator.analysis.curves import (
    DRAWN_POINTS,
    FEWEST_POINTS,
    MOST_POINTS,
    Curve,
    Floats,
    Grid,
    Times,
    counted,
    curve_of,
    curve_of_processes,
    grid_of,
)
from orchestrator.analysis.groups import Group
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.contracts import InputError
from orchestrator.stats import units
from orchestrator.stats.latency import MIN_BEYOND
from orchestrator.stats.times import Clock

LEAST = 1e-9
"""Differences of quality below this are the rounding of sums."""
MEASURES = {
    "duration of round (s)": ("duration_ns", 1e-9),
    "load average (1 min)": ("load_1m", 1),
    "frequency (MHz)": ("frequency_mhz", 1),
    "minor page faults": ("minor_faults", 1),
    "major page faults": ("major_faults", 1),
    "involuntary context switches": ("involuntary_switches", 1),
    "voluntary context switches": ("voluntary_switches", 1),
    "CPU time stolen (ms)": ("steal_ns", 1e-6),
    "CPU time of others (ms)": ("foreign_cpu_ns", 1e-6),
    "CPU time of this program's other processes (ms)": ("program_cpu_ns", 1e-6),
    "throttled by a CPU quota (ms)": ("throttled_ns", 1e-6),
    "periods throttled by a CPU quota": ("throttled_periods", 1),
    "waiting for a core (ms)": ("run_delay_ns", 1e-6),
    "CPU pressure (ms)": ("cpu_pressure_ns", 1e-6),
    "interrupts": ("interrupts", 1),
    "GPU clock (MHz)": ("gpu_clock_mhz", 1),
    "GPU temperature (°C)": ("gpu_temperature_c", 1),
    "GPU power (W)": ("gpu_power_w", 1),
    "GPU throttle reasons (bits)": ("gpu_throttle_reasons", 1),
    "other processes on the GPU": ("gpu_foreign_processes", 1),
}
"""The evidence of a round as a report calls it: its column, and the factor to the unit named."""


@dataclass(frozen=True)
class Evidence:
    """What was measured of one trial beside the clocks.

    started_ms
        [R], ms since 1970.
    measures
        per name of ``MEASURES`` that was recorded, [R], in the unit of the name, NaN where unknown.
    stage_means_ns
        mean time per stage, of the inferences that have a time.
    gap_ns
        median and p99 of the time between two inferences: our own loop; None for a single one.
    """

    started_ms: Floats
    measures: Mapping[str, Floats]
    stage_means_ns: Mapping[str, float]
    gap_ns: tuple[float, float] | None


def evidence_of(results: CampaignAnalysis) -> dict[str, Evidence]:
    """Return the evidence of every trial that was read, by its id."""
    found = {}
    for data in (data for group in results.groups for data in group.trials if data.beside):
        assert data.beside is not None
        known = {
            name: data.evidence[column] * unit
            for name, (column, unit) in MEASURES.items()
            if column in data.evidence and not np.isnan(data.evidence[column]).all()
        }
        beside = data.beside
        found[data.trial_id] = Evidence(
            beside.started_ms, known, beside.stage_means_ns, beside.gap_ns
        )
    return found


@dataclass(frozen=True)
class Entry:
    """One trial in a report, or one system: all processes of a trial that was repeated.

    label, system_label
        what tells it from the others, with and without the number of its repeat.
    place
        model, system, batch and settings, whose lines have one colour.
    colour, dash
        their numbers; those of equal runtime share dashes, or colours where all have one place.
    processes
        of a system that was repeated; none otherwise. ``data`` is that of the first.
    """

    label: str
    system_label: str
    settings: str
    place: tuple[str, ...]
    data: TrialData
    flags: tuple[str, ...]
    colour: int
    dash: int
    processes: tuple[Entry, ...] = ()

    @property
    def key(self) -> str:
        """The id of a trial; of a system that of its trials without the number of the repeat."""
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
    """Return the trials of a group in their order; InputError if different metrics judge them."""
    if len({data.metric for data in group.trials}) > 1:
        raise InputError(
            f"trials of {group.task} are judged by different metrics, which cannot stand in one "
            "table: report them apart"
        )
    names = {
        data.trial_id: (trial.model.name, trial.system.name, trial.runtime.name, f"batch {batch}")
        for data in group.trials
        for trial, batch in [(data.record.trial, data.record.trial.measurement.batch)]
    }
    several = [len(set(column)) > 1 for column in zip(*names.values(), strict=True)]
    repeated = len({data.record.match_key for data in group.trials}) < len(group.trials)
    colours: dict[tuple[str, ...], int] = {}
    dashes: dict[str, int] = {}
    entries = []
    for data in group.trials:
        model, system, runtime, batch = of_trial = names[data.trial_id]
        settings = group.settings[data.trial_id]
        own = [settings] if settings else []
        parts = [name for name, differs in zip(of_trial, several, strict=True) if differs]
        repeat = [f"repeat {data.record.trial.repeat}"] if repeated else []
        bare = [*parts, *own] or [system, runtime]
        place = (model, system, batch, settings)
        entries.append(
            Entry(
                label=" · ".join([*parts, *repeat, *own] or bare),
                system_label=" · ".join(bare),
                settings=settings,
                place=place,
                data=data,
                flags=tuple(group.flags[data.trial_id]),
                colour=colours.setdefault(place, len(colours)),
                dash=dashes.setdefault(runtime, len(dashes)),
            )
        )
    if len(colours) == 1:
        entries = [replace(entry, colour=entry.dash) for entry in entries]
    return tuple(entries)


def systems_of(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return one entry a system: that of its only process, or one that holds all of them."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.data.record.match_key, []).append(entry)
    return tuple(
        replace(
            some[0],
            label=some[0].system_label,
            flags=tuple(dict.fromkeys(flag for entry in some for flag in entry.flags)),
            processes=tuple(some),
        )
        if len(some) > 1
        else some[0]
        for some in found.values()
    )


@dataclass(frozen=True)
class Reading:
    """One task's trials, their thresholds, and times and curves by clock and key of an entry.

    A chart that compares draws systems, one line each; without repeats these are the trials.
    """

    results: CampaignAnalysis
    group: Group
    entries: tuple[Entry, ...]
    systems: tuple[Entry, ...]
    grids: Mapping[Clock, Grid]
    times: Mapping[tuple[Clock, str], Times]
    curves: Mapping[tuple[Clock, str], Curve]
    evidence: Mapping[str, Evidence]

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
        """Return a short name of each system, and so of each of its processes, for a page."""
        return {
            key: f"e{number}"
            for number, system in enumerate(self.systems, start=1)
            for key in (system.key, *(entry.key for entry in system.processes))
        }

    @property
    def repeated(self) -> bool:
        """Whether a system has several processes."""
        return len(self.systems) < len(self.entries)

    @property
    def title(self) -> str:
        """Task and metric."""
        return f"{self.group.task} ({self.metric})"

    def ranks(self, clock: Clock) -> dict[str, Floats]:
        """Return every system's place at each threshold, [G]: by mean, then by the worst round.

        Equal ones share the better place.
        """
        by_mean, by_worst = (
            units.ranks(
                -np.stack(
                    [
                        np.round(self.curves[clock, entry.key].oriented(name), 9)
                        for entry in self.systems
                    ]
                ).T,
                "dense",
            )
            for name in ("mean", "worst")
        )
        places = units.ranks(by_mean * (len(self.systems) + 1) + by_worst, "least").T
        places[:, np.isnan(places).any(axis=0)] = np.nan
        return {entry.key: of for entry, of in zip(self.systems, places, strict=True)}

    def flips(self) -> Iterator[tuple[str, str, str, str, bool]]:
        """Yield systems that change places between neighbouring common thresholds.

        Who is ahead at first, who afterwards, both thresholds, and whether the intervals lie apart
        at both.
        """
        grid, names = self.grids[self.clock], [entry.label for entry in self.systems]
        curves = [self.curves[self.clock, entry.key] for entry in self.systems]
        means, lows, highs = (
            np.stack([curve.oriented(name) for curve in curves]) for name in ("mean", "low", "high")
        )
        common = [index for index, label in enumerate(grid.labels) if label]
        for before, after in pairwise(common):
            first, last = (means[:, None, at] - means[None, :, at] for at in (before, after))
            for one, other in np.argwhere((first > LEAST) & (last < -LEAST)):
                apart = lows[one, before] > highs[other, before]
                apart &= lows[other, after] > highs[one, after]
                labels = grid.labels[before], grid.labels[after]
                yield names[one], names[other], *labels, bool(apart)


def readings(results: CampaignAnalysis, evidence: Mapping[str, Evidence]) -> list[Reading]:
    """Return what is drawn, per task; ``evidence`` by trial, which may lack it.

    Raises InputError if trials of one task are judged by different metrics.
    """
    metrics = {data.trial_id: data.metric for group in results.groups for data in group.trials}
    known: dict[tuple[str, str], dict[int, Sequence[str]]] = {}
    for row in results.rows("tail_quality"):
        own = row["threshold_origin"] == "own" or row["metric"] != metrics.get(row["trial"])
        if row["slice"] == "all" and not own:
            of_trial = known.setdefault((row["trial"], row["clock"]), {})
            of_trial.setdefault(row["threshold_ns"], row["flags"])
    points = min(MOST_POINTS, max(FEWEST_POINTS, DRAWN_POINTS // max(1, len(metrics))))
    return [_reading(results, group, known, evidence, points) for group in results.groups]


def _reading(
    results: CampaignAnalysis,
    group: Group,
    known: Mapping[tuple[str, str], Mapping[int, Sequence[str]]],
    evidence: Mapping[str, Evidence],
    points: int,
) -> Reading:
    entries = entries_of(group)
    systems = systems_of(entries)
    members = [(clock, entry) for entry in entries for clock in group.clocks]
    counts = map_in_threads(lambda member: counted(member[1].data.inferences[member[0]]), members)
    times = {(clock, one.key): count for (clock, one), count in zip(members, counts, strict=True)}
    grids = {
        clock: grid_of(group, clock, [times[clock, entry.key] for entry in entries])
        for clock in group.clocks
    }

    def curve(member: tuple[Clock, Entry]) -> Curve:
        clock, entry = member
        flags = known.get((entry.key, str(clock)), {})
        return curve_of(entry.data, clock, grids[clock], flags, points, entry.flags)

    found = map_in_threads(curve, members)
    curves = {(clock, one.key): curve for (clock, one), curve in zip(members, found, strict=True)}
    seen = {entry.key: evidence[entry.key] for entry in entries if entry.key in evidence}
    for system in (one for one in systems if one.processes):
        keys = [entry.key for entry in system.processes]
        for clock in group.clocks:
            data = [entry.data for entry in system.processes]
            times[clock, system.key] = counted(
                np.concatenate([one.inferences[clock].ravel() for one in data])
            )
            curves[clock, system.key] = curve_of_processes(
                data, [curves[clock, key] for key in keys], clock
            )
        if all(key in seen for key in keys):
            stages = [seen[key].stage_means_ns for key in keys]
            means = {
                stage: float(np.mean([one[stage] for one in stages if stage in one]))
                for stage in dict.fromkeys(stage for one in stages for stage in one)
            }
            seen[system.key] = Evidence(np.zeros(0), {}, means, None)
    return Reading(results, group, entries, systems, grids, times, curves, seen)


def percentiles_of(reading: Reading) -> Iterator[tuple[Clock, Entry, Floats, Floats, int]]:
    """Yield per clock and system shares of inferences, times in ms, and how many are certified.

    Shares rise, and at least one is certified: each counts as many independent inferences as the
    table has at the next percentile, none where nothing bounds it.
    """
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in reading.results.rows("latency"):
        unbounded = not row["certified"] and row["samples_beyond"] >= MIN_BEYOND
        effective = 0 if unbounded else row["effective_samples"]
        found.setdefault((row["trial"], row["clock"]), []).append(
            (row["percentile"] / 100, effective)
        )
    stored = {key: np.array(sorted(rows), dtype=np.float64).T for key, rows in found.items()}
    for clock, entry in ((clock, entry) for clock in reading.clocks for entry in reading.systems):
        times = reading.times[clock, entry.key]
        tables, slowest = [stored[one.key, clock] for one in entry.members], 1 - 0.5 / times.size
        shares = np.unique([*times.shares(), *tables[0][0][tables[0][0] < slowest], slowest])
        independent = sum(
            samples[np.minimum(np.searchsorted(known, shares - 1e-9), len(known) - 1)]
            for known, samples in tables
        )
        unsure = (1 - shares) * independent < MIN_BEYOND - 1e-9
        yield clock, entry, shares, times.at(shares), max(int(np.argmax(unsure)), 1)
