"""Which trials may stand in one table, at which thresholds, and what tells them apart."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.analysis.load import load_flags, neighbour_flags
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import Trial
from orchestrator.contracts import InputError, by_key
from orchestrator.stats import thresholds
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.thresholds import Reference
from orchestrator.stats.thresholds import Threshold as Threshold
from orchestrator.stats.times import Clock, primary_of, shown

MOST_GROUPS = 1_000  # Of one slice: every group is an analysis of its own.
TOLERANCE = 1e-3  # Of answers that are the same.


@dataclass(frozen=True)
class ThresholdSet:
    """The thresholds that all trials of one task and data set share.

    reference
        the trial whose percentiles are thresholds, or None if no trial can be one.
    percentiles
        its percentiles, per clock.
    absolute
        the user's thresholds and the common ones, the same on both clocks, rising.
    primary
        the one threshold for rules and gates, on the total clock.
    """

    reference: Reference | None
    percentiles: Mapping[Clock, tuple[Threshold, ...]]
    absolute: tuple[Threshold, ...]
    primary: Threshold | None

    def common(self, clock: Clock) -> tuple[Threshold, ...]:
        """Return every threshold of a clock that compares systems, on the first the primary one."""
        found = self.percentiles[clock] + self.absolute
        if clock != primary_of(self.percentiles.keys()):
            return found
        return found if self.primary is None or self.primary in found else (*found, self.primary)

    def by_clock(self, data: TrialData) -> dict[Clock, tuple[Threshold, ...]]:
        """Return the thresholds that compare systems, of each clock of a trial and its group."""
        return {clock: self.common(clock) for clock in data.times if clock in self.percentiles}


def threshold_set(trials: Sequence[TrialData], analysis: AnalysisConfig) -> ThresholdSet:
    """Return the common thresholds of trials of one task; percentiles are those of inferences.

    Samples that a policy under load has dropped have no inference. A trial of which most inferences
    have no time is a reference only where ``analysis.reference`` names it, or no trial has more.
    """
    ends = map_in_threads(_ends, trials)
    wanted = analysis.reference
    found = [data for data in trials if wanted in (data.trial_id, data.record.match_key)]
    if found:
        reference: Reference | None = Reference(found[0].trial_id)
    else:
        p50s = {data.trial_id: p50 for data, (p50, _) in zip(trials, ends, strict=True)}
        timed = {trial: p50 for trial, p50 in p50s.items() if math.isfinite(p50)}
        failed = [data.trial_id for data in trials if data.record.state == "failed"]
        reference = thresholds.default_reference(timed or p50s, failed=failed)
    clocks = clocks_of(trials)
    percentiles: dict[Clock, tuple[Threshold, ...]] = dict.fromkeys(clocks, ())
    if reference is None:
        primary = thresholds.primary_threshold(analysis.primary, None)
    else:
        name = reference.trial
        chosen = next(data for data in trials if data.trial_id == name)
        primary = thresholds.primary_threshold(analysis.primary, chosen.served(chosen.clock), name)
        percentiles = {
            clock: thresholds.thresholds_from_percentiles(
                chosen.served(clock), analysis.percentiles, "reference", name
            )
            for clock in clocks
        }
    absolute = (*thresholds.common_thresholds(ends), *analysis.thresholds)
    rising = sorted({one.ns: one for one in absolute}.items())
    return ThresholdSet(reference, percentiles, tuple(one for _, one in rising), primary)


def clocks_of(trials: Sequence[TrialData]) -> tuple[Clock, ...]:
    """Return the clocks that all trials have, the one that counts first before the others."""
    return shown([clock for clock in Clock if all(clock in data.times for data in trials)])


def _ends(data: TrialData) -> tuple[float, float]:
    served = data.served(data.clock)
    p50, p99 = percentiles_inverted_cdf(served, [50, 99]) if served.size else (math.inf, math.inf)
    return p50, p99


def check_names(trials: Sequence[TrialData], analysis: AnalysisConfig) -> None:
    """Raise InputError for a reference, a fallback, a slice or bounds that fit no trial."""
    analysis.check_trials({data.trial_id: data.record.match_key for data in trials})
    if trials:
        analysis.check_slices(name for data in trials for name in data.slices_offered)
    clocks = {*(analysis.bounds.bounds_ms if analysis.bounds else ())} - {Clock.RESPONSE}
    if trials and not any(clocks <= data.times.keys() for data in trials):
        raise InputError(
            f"analysis.bounds={analysis.bounds and analysis.bounds.name}: no trial has times of "
            f"{' and '.join(sorted(clocks))}; choose bounds of clocks that were measured",
            "unsupported",
            "analysis.bounds",
        )
    for data in trials:
        for name in analysis.slices:
            if (groups := len(set(data.groups_of(name)))) > MOST_GROUPS:
                raise InputError(
                    f"analysis.slices={name}: {data.trial_id} has {groups:,} groups of it, more "
                    f"than {MOST_GROUPS:,}; group its values in the task, such as by ranges of a "
                    "number, or leave it out",
                    "too_large",
                    "analysis.slices",
                    name,
                )


@dataclass(frozen=True)
class Disagreement:
    """Two trials of one model on the same data that answer ``samples`` samples differently."""

    first: str
    other: str
    samples: int
    out_of: int


def alike(mine: Any, theirs: Any) -> bool:
    """Return whether two answers are the same, numbers with a fraction to within 0.1 %."""
    if isinstance(mine, float) and isinstance(theirs, float):
        return math.isclose(mine, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return mine.keys() == theirs.keys() and all(alike(mine[key], theirs[key]) for key in mine)
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(alike, mine, theirs))
    return bool(mine == theirs)


def disagreements(trials: Sequence[TrialData]) -> list[Disagreement]:
    """Return the trials that answer differently from the first of the same model and data."""
    found = []
    firsts: dict[tuple[str, str, bool, str], TrialData] = {}
    for data in trials:
        first = firsts.setdefault((*data.group, data.record.trial.model.stands_for), data)
        pairs = zip(data.predictions, first.predictions, strict=True)
        different = 0 if data is first else sum(not alike(*pair) for pair in pairs)
        found.append(Disagreement(first.trial_id, data.trial_id, different, len(data.predictions)))
    return [one for one in found if one.samples]


@dataclass(frozen=True)
class Group:
    """Trials that may stand in one table: of one task and data by digest, all under load or none.

    task
        its name, with the digest's first letters where other trials had other data of that name.
    flags
        per trial id the flags of all its figures.
    settings
        per trial id what tells it from others of equal names; empty if names do.
    """

    task: str
    data_digest: str
    trials: tuple[TrialData, ...]
    thresholds: ThresholdSet
    flags: Mapping[str, tuple[str, ...]]
    disagreements: tuple[Disagreement, ...]
    settings: Mapping[str, str]

    @cached_property
    def clocks(self) -> tuple[Clock, ...]:
        return clocks_of(self.trials)

    @property
    def clock(self) -> Clock:
        return self.clocks[0]

    @cached_property
    def told_apart_by(self) -> tuple[str, ...]:
        found = {
            "batch": len({data.record.trial.measurement.batch for data in self.trials}) > 1,
            "settings": any(self.settings.values()),
            "repeat": len(self.systems()) < len(self.trials),
        }
        return tuple(name for name, differs in found.items() if differs)

    def flags_of(self, trials: Iterable[TrialData]) -> list[str]:
        return list(dict.fromkeys(flag for data in trials for flag in self.flags[data.trial_id]))

    def systems(self) -> dict[str, list[TrialData]]:
        """Return the repeats of every measured system, by match key."""
        return by_key(self.trials, lambda data: data.record.match_key)


def grouped(trials: Iterable[TrialData], analysis: AnalysisConfig) -> tuple[Group, ...]:
    """Return trials by task and data, in the order of their first members."""
    groups = by_key(trials, lambda data: data.group)
    named = Counter(task for task, _ in {(task, digest) for task, digest, _ in groups})
    return tuple(
        _group(members, analysis, f"{key[0]} (data {key[1][:8]})" if named[key[0]] > 1 else key[0])
        for key, members in groups.items()
    )


def _group(trials: Sequence[TrialData], analysis: AnalysisConfig, task: str) -> Group:
    _, digest, is_open = trials[0].group
    if is_open:
        loads = {data.record.trial.load.words for data in trials}
        task = f"{task} under {loads.pop() if len(loads) == 1 else 'load'}"
    found = threshold_set(trials, analysis)
    flags = {
        data.trial_id: tuple(
            dict.fromkeys((*data.flags, *load_flags(data, found.primary), *neighbour_flags(data)))
        )
        for data in trials
    }
    different = tuple(disagreements(trials))
    settings = telling_settings({data.trial_id: data.record.trial for data in trials})
    return Group(task, digest, tuple(trials), found, flags, different, settings)


# Settings that every table shows.
NAMED = ("model.name", "task.name", "system.name", "runtime.name", "measurement.batch", "repeat")
# Where a server is, how it is reached and started, which its name says; whose model it has.
UNTOLD = (
    "model.same_as", "system.price_per_hour", "server.url", "server.token_env",
    "server.token_file", "server.ca", "server.ready_url", "server.ready_s", "server.stop_s",
    "server.command", "server.version_command", "server.packages", "neighbour.command",
    "neighbour.package", "neighbour.ready", "neighbour.ready_s",
)  # fmt: skip
# When a trial ends, and what its streams are: no name where another setting tells trials apart.
MINOR = (
    "measurement.rule", "measurement.rule_options", "measurement.min_rounds",
    "measurement.max_rounds", "measurement.max_seconds", "load.seed", "load.stream_s",
    "load.ramp_s",
)  # fmt: skip
# Where these differ most keys of one block say nothing of the other, so that words name it.
WORDS: Mapping[str, Callable[[Trial], str]] = {
    "load": lambda trial: trial.load.all_words,
    "neighbour": lambda trial: trial.neighbour.words,
}


def telling_settings(trials: Mapping[str, Trial]) -> dict[str, str]:
    """Return per id the settings that tell a trial from others of equal names, as typed."""
    alike: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for name, trial in trials.items():
        settings = dict(flattened(trial.model_dump(mode="json")))
        alike.setdefault(tuple(map(settings.get, NAMED)), {})[name] = settings
    return {
        trial: ", ".join(words)
        for members in alike.values()
        for trial, words in _telling(members, trials).items()
    }


def _telling(
    members: Mapping[str, Mapping[str, Any]], trials: Mapping[str, Trial]
) -> dict[str, list[str]]:
    keys = sorted({key for settings in members.values() for key in settings} - {*UNTOLD})
    values = {key: [str(settings.get(key)) for settings in members.values()] for key in keys}
    differing = [key for key in keys if len(set(values[key])) > 1]

    def distinct(some: Sequence[str]) -> int:
        return len(set(zip(*(values[key] for key in some), strict=True)))

    major = [key for key in differing if not any(f"{key}.".startswith(f"{one}.") for one in MINOR)]
    if distinct(major) == distinct(differing):
        differing = major
    told = [block for block in WORDS if f"{block}.name" in differing]
    for block in told:
        words = f"{block} in words"
        values[words] = [WORDS[block](trials[trial]) for trial in members]
        differing = [
            key
            for key in differing
            if not key.startswith(f"{block}.") or distinct([words, key]) > distinct([words])
        ]
    return {
        trial: [
            *(WORDS[block](trials[trial]) for block in told),
            *(f"{key}={settings.get(key)}" for key in sorted(differing)),
        ]
        for trial, settings in members.items()
    }


def flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values; options of a target stand beside its other keys."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from flattened(value, prefix if key == "options" else f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "null" if value is None else value
