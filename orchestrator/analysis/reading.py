"""The trials of one task as a report names and colours them, and what its charts draw of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, pairwise, product

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
from orchestrator.contracts import InputError, by_key
from orchestrator.stats import units
from orchestrator.stats.latency import MIN_BEYOND
from orchestrator.stats.times import Clock

LEAST = 1e-9  # differences of quality below this are the rounding of sums
# The evidence of a round as a report calls it: its column, and the factor to the unit named.
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
    "CPU time of the neighbour (ms)": ("neighbour_cpu_ns", 1e-6),
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


@dataclass(frozen=True)
class Entry:
    """One trial in a report, or one system: all ``processes`` of a trial that was repeated.

    ``label`` tells it from the others, ``system_label`` without the number of its repeat. Lines of
    one ``place`` (model, system, batch and settings) have one colour, those of one runtime one
    number of a ``dash``. ``data`` of a system is that of its first process.
    """

    label: str
    system_label: str
    place: tuple[str, ...]
    data: TrialData
    flags: tuple[str, ...]
    dash: int
    processes: tuple["Entry", ...] = ()

    @property
    def key(self) -> str:
        """The id of a trial; of a system that of its trials without the number of the repeat."""
        return self.data.record.match_key if self.processes else self.data.trial_id

    @property
    def model(self) -> str:
        return self.data.record.trial.model.name

    @property
    def members(self) -> "tuple[Entry, ...]":
        return self.processes or (self,)

    @property
    def stage_means_ns(self) -> dict[str, float]:
        """Mean time per stage, of the inferences that have a time; of processes the mean of all."""
        means = [one.data.beside.stage_means_ns for one in self.members if one.data.beside]
        return {
            stage: float(np.mean([of[stage] for of in means if stage in of]))
            for stage in dict.fromkeys(chain(*means))
        }


def entries_of(group: Group) -> tuple[Entry, ...]:
    """Return the trials of a group in their order; InputError if different metrics judge them."""
    if len({data.metric for data in group.trials}) > 1:
        raise InputError(
            f"trials of {group.task} are judged by different metrics, which cannot stand in one "
            "table: report them apart",
            "incomparable",
        )
    names = [
        (trial.model.name, trial.system.name, trial.runtime.name, f"batch {batch}")
        for data in group.trials
        for trial, batch in [(data.record.trial, data.record.trial.measurement.batch)]
    ]
    several = [len(set(column)) > 1 for column in zip(*names, strict=True)]
    repeated = len({data.record.match_key for data in group.trials}) < len(group.trials)
    dashes: dict[str, int] = {}
    entries = []
    for data, (model, system, runtime, batch) in zip(group.trials, names, strict=True):
        settings = group.settings[data.trial_id]
        parts = zip((model, system, runtime, batch), several, strict=True)
        differing = [name for name, differs in parts if differs]
        repeat = [f"repeat {data.record.trial.repeat}"] if repeated else []
        bare = [*differing, *filter(None, [settings])] or [system, runtime]
        entries.append(
            Entry(
                label=" · ".join([*differing, *repeat, *filter(None, [settings])] or bare),
                system_label=" · ".join(bare),
                place=(model, system, batch, settings),
                data=data,
                flags=tuple(group.flags[data.trial_id]),
                dash=dashes.setdefault(runtime, len(dashes)),
            )
        )
    return tuple(entries)


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

    @property
    def clocks(self) -> tuple[Clock, ...]:
        return self.group.clocks

    @property
    def clock(self) -> Clock:
        return self.group.clock

    @property
    def metric(self) -> str:
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
        return len(self.systems) < len(self.entries)

    @property
    def title(self) -> str:
        return f"{self.group.task} ({self.metric})"

    def _oriented(self, clock: Clock, name: str) -> Floats:
        """Return a line of every system so that more is better, [number of systems, G]."""
        return np.stack([self.curves[clock, one.key].oriented(name) for one in self.systems])

    def ranks(self, clock: Clock) -> dict[str, Floats]:
        """Return every system's place at each threshold, [G]: by mean, then by the worst round.

        Equal ones share the better place.
        """
        by_mean, by_worst = (
            units.ranks(-np.round(self._oriented(clock, name), 9).T, "dense")
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
        labels, names = self.grids[self.clock].labels, [entry.label for entry in self.systems]
        means, lows, highs = (self._oriented(self.clock, name) for name in ("mean", "low", "high"))
        common = [at for at, label in enumerate(labels) if label]
        for before, after in pairwise(common):
            first, last = (means[:, None, at] - means[None, :, at] for at in (before, after))
            for one, other in np.argwhere((first > LEAST) & (last < -LEAST)):
                apart = lows[one, before] > highs[other, before]
                apart &= lows[other, after] > highs[one, after]
                yield names[one], names[other], labels[before], labels[after], bool(apart)


@lru_cache(maxsize=2)
def readings(results: CampaignAnalysis) -> tuple[Reading, ...]:
    """Return what is drawn, per task; it is made once.

    Raises InputError if trials of one task are judged by different metrics.
    """
    metrics = {data.trial_id: data.metric for group in results.groups for data in group.trials}
    rows = (
        row
        for row in results.rows("tail_quality")
        if (row["slice"], row["metric"]) == ("all", metrics.get(row["trial"]))
        and row["threshold_origin"] != "own"
    )
    of_trials = by_key(rows, lambda row: (str(row["trial"]), str(row["clock"])))
    # Of equal thresholds the first one counts.
    known = {
        line: {int(row["threshold_ns"]): row["flags"] for row in reversed(of)}
        for line, of in of_trials.items()
    }
    points = min(MOST_POINTS, max(FEWEST_POINTS, DRAWN_POINTS // max(1, len(metrics))))
    return tuple(_reading(results, group, known, points) for group in results.groups)


def _reading(
    results: CampaignAnalysis,
    group: Group,
    known: Mapping[tuple[str, str], Mapping[int, Sequence[str]]],
    points: int,
) -> Reading:
    """Return what is drawn of a group; ``known`` are flags by trial, clock and threshold."""
    entries = entries_of(group)
    systems = []
    for first, *others in by_key(entries, lambda entry: entry.data.record.match_key).values():
        processes = (first, *others) if others else ()
        flags = dict.fromkeys(flag for one in (first, *others) for flag in one.flags)
        label = first.system_label if others else first.label
        systems.append(replace(first, label=label, flags=tuple(flags), processes=processes))
    lines = {(clock, entry.key): entry for entry in entries for clock in group.clocks}

    def count(line: tuple[Clock, str]) -> Times:
        return counted(lines[line].data.inferences[line[0]])

    times = dict(zip(lines, map_in_threads(count, lines), strict=True))
    grids = {
        clock: grid_of(group, clock, [times[clock, entry.key] for entry in entries])
        for clock in group.clocks
    }

    def curve(line: tuple[Clock, str]) -> Curve:
        (clock, key), entry = line, lines[line]
        return curve_of(
            entry.data, clock, grids[clock], known.get((key, clock), {}), points, entry.flags
        )

    curves = dict(zip(lines, map_in_threads(curve, lines), strict=True))
    repeated = [system for system in systems if system.processes]
    for clock, system in product(group.clocks, repeated):
        data = [entry.data for entry in system.processes]
        times[clock, system.key] = counted(
            np.concatenate([one.inferences[clock].ravel() for one in data])
        )
        own = [curves[clock, one.trial_id] for one in data]
        curves[clock, system.key] = curve_of_processes(data, own, clock)
    return Reading(results, group, entries, tuple(systems), grids, times, curves)


def percentiles_of(reading: Reading) -> Iterator[tuple[Clock, Entry, Floats, Floats, int]]:
    """Yield per clock and system shares of inferences, times in ms, and how many are certified.

    Shares rise, and at least one is certified: each counts as many independent inferences as the
    table has at the next percentile, none where nothing bounds it.
    """
    stored = by_key(reading.results.rows("latency"), lambda row: (row["trial"], row["clock"]))
    for clock, entry in product(reading.clocks, reading.systems):
        times = reading.times[clock, entry.key]
        tables = [
            np.array(
                sorted(
                    (
                        row["percentile"] / 100,
                        row["effective_samples"]
                        if row["certified"] or row["samples_beyond"] < MIN_BEYOND
                        else 0,
                    )
                    for row in stored[one.key, clock]
                )
            ).T
            for one in entry.members
        ]
        certain, slowest = tables[0][0], 1 - 0.5 / times.size
        shares = np.unique([*times.shares(), *certain[certain < slowest], slowest])
        independent = sum(
            samples[np.minimum(np.searchsorted(known, shares - 1e-9), len(known) - 1)]
            for known, samples in tables
        )
        unsure = (1 - shares) * independent < MIN_BEYOND - 1e-9
        yield clock, entry, shares, times.at(shares), max(int(np.argmax(unsure)), 1)
