"""Which trials may stand in one table, at which thresholds, and what tells them apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.analysis.load import load_flags
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.stats import thresholds
from orchestrator.stats.latency import percentiles_inverted_cdf
from orchestrator.stats.thresholds import Reference, Threshold
from orchestrator.stats.times import Clock, primary_of, shown

MOST_GROUPS = 1_000
"""Of one slice: every group is an analysis of its own."""


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
        """Return every threshold of a clock that compares systems; the primary one is among those of the total clock."""
        found = self.percentiles[clock] + self.absolute
        if clock != primary_of(self.percentiles.keys()) or self.primary is None or self.primary in found:
            return found
        return (*found, self.primary)

    def by_clock(self, data: TrialData) -> dict[Clock, tuple[Threshold, ...]]:
        """Return the thresholds that compare systems, of each clock that a trial and its group have."""
        return {clock: self.common(clock) for clock in data.times if clock in self.percentiles}


def clocks_of(trials: Sequence[TrialData]) -> tuple[Clock, ...]:
    """Return the clocks that all trials of a group have, the one that counts first before the others."""
    return shown([clock for clock in Clock if all(clock in data.times for data in trials)])


def threshold_set(trials: Sequence[TrialData], analysis: AnalysisConfig) -> ThresholdSet:
    """Return the common thresholds of trials of one task; percentiles are those of inferences, in which a batch counts once.

    Samples that a policy under load has dropped have no inference. A trial of which most inferences have no time is a reference only
    where ``analysis.reference`` names it, or no trial has more.

    Raises
    ------
    InputError
        if ``analysis.reference`` names no trial of the campaign's tasks.
    """
    ends = {data.trial_id: of_trial for data, of_trial in zip(trials, map_in_threads(_ends, trials), strict=True)}
    p50s = {trial: p50 for trial, (p50, _) in ends.items()}
    reference = _reference(trials, p50s, analysis.reference)
    chosen = None if reference is None else next(data for data in trials if data.trial_id == reference.trial)
    spans = [(p50, p99) for p50, p99 in ends.values()]
    primary = (
        thresholds.primary_threshold(analysis.primary, None)
        if chosen is None
        else thresholds.primary_threshold(analysis.primary, chosen.served(chosen.clock), chosen.trial_id)
    )
    absolute = {threshold.ns: threshold for threshold in (*thresholds.common_thresholds(spans), *analysis.thresholds)}
    return ThresholdSet(
        reference=reference,
        percentiles={
            clock: ()
            if chosen is None
            else thresholds.thresholds_from_percentiles(chosen.served(clock), analysis.percentiles, "reference", chosen.trial_id)
            for clock in clocks_of(trials)
        },
        absolute=tuple(absolute[ns] for ns in sorted(absolute)),
        primary=primary,
    )


def _ends(data: TrialData) -> tuple[float, float]:
    """Return p50 and p99 of a trial's inferences in ns; infinite where every sample was dropped."""
    served = data.served(data.clock)
    p50, p99 = percentiles_inverted_cdf(served, [50, 99]) if served.size else (math.inf, math.inf)
    return p50, p99


def _reference(trials: Sequence[TrialData], p50s: Mapping[str, float], wanted: str | None) -> Reference | None:
    matching = [data.trial_id for data in trials if wanted in (data.trial_id, data.record.match_key)]
    if matching:
        return Reference(matching[0])
    timed = {trial: p50 for trial, p50 in p50s.items() if math.isfinite(p50)}
    return thresholds.default_reference(timed or p50s, failed=[data.trial_id for data in trials if data.record.state == "failed"])


def check_names(trials: Sequence[TrialData], analysis: AnalysisConfig) -> None:
    """Raise InputError where ``analysis.reference`` names no trial at all, or ``analysis.slices`` what no trial's samples have."""
    wanted = analysis.reference
    if wanted is not None and not any(wanted in (data.trial_id, data.record.match_key) for data in trials):
        raise analysis.unknown_reference([data.trial_id for data in trials])
    if trials:
        analysis.check_slices(name for data in trials for name in data.slices_offered)
    for data in trials if analysis.slices else ():
        for name in analysis.slices:
            if (groups := len(set(data.groups_of(name)))) > MOST_GROUPS:
                raise InputError(
                    f"analysis.slices={name}: {data.trial_id} has {groups:,} groups of it, more than {MOST_GROUPS:,}; group its values "
                    "in the task, such as by ranges of a number, or leave it out"
                )


TOLERANCE = 1e-3


@dataclass(frozen=True)
class Disagreement:
    """Two trials of one model on the same data that answer ``samples`` samples differently."""

    first: str
    other: str
    samples: int
    out_of: int


def alike(mine: Any, theirs: Any) -> bool:
    """Return whether two answers are the same, numbers with a fraction (scores, corners of boxes) to within 0.1 %."""
    if isinstance(mine, float) and isinstance(theirs, float):
        return math.isclose(mine, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return mine.keys() == theirs.keys() and all(alike(mine[key], theirs[key]) for key in mine)
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(alike, mine, theirs))
    return bool(mine == theirs)


def disagreements(trials: Sequence[TrialData]) -> list[Disagreement]:
    """Return the trials that answer differently from the first trial of the same model and data."""
    found = []
    firsts: dict[tuple[str, str, bool, str], TrialData] = {}
    for data in trials:
        first = firsts.setdefault((*data.group, data.record.trial.model.stands_for), data)
        different = sum(not alike(mine, theirs) for mine, theirs in zip(data.predictions, first.predictions, strict=True))
        if different:
            found.append(Disagreement(first.trial_id, data.trial_id, different, len(data.predictions)))
    return found


@dataclass(frozen=True)
class Group:
    """Trials that may stand in one table: the same task, the same data by digest, and all under load or none.

    task
        its name, with the digest's first letters where other trials of the campaign had other data under that name.
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
        """The clocks of its figures, the one that counts first before the others."""
        return clocks_of(self.trials)

    @property
    def clock(self) -> Clock:
        """The clock that counts first."""
        return self.clocks[0]

    @cached_property
    def told_apart_by(self) -> tuple[str, ...]:
        """What tells its trials apart, besides model, system and runtime."""
        keys = [data.record.match_key for data in self.trials]
        found = {
            "batch": len({data.record.trial.measurement.batch for data in self.trials}) > 1,
            "settings": any(self.settings.values()),
            "repeat": len(set(keys)) < len(keys),
        }
        return tuple(name for name, differs in found.items() if differs)

    @cached_property
    def lowest_ideal(self) -> float:
        """The lowest ideal quality, as a gain, which every model can keep; 0 if none is ever right."""
        ideals = (data.judged(data.metric).ideal() for data in self.trials)
        return min((ideal for ideal in ideals if ideal > 0), default=0.0)

    def flags_of(self, trials: Iterable[TrialData]) -> list[str]:
        """Return the flags of figures over several trials, each once."""
        return list(dict.fromkeys(flag for data in trials for flag in self.flags[data.trial_id]))

    def systems(self) -> dict[str, list[TrialData]]:
        """Return the repeats of every measured system, by match key."""
        found: dict[str, list[TrialData]] = {}
        for data in self.trials:
            found.setdefault(data.record.match_key, []).append(data)
        return found


def grouped(trials: Iterable[TrialData], analysis: AnalysisConfig) -> tuple[Group, ...]:
    """Return trials by task and data, in the order of their first members."""
    groups: dict[tuple[str, str, bool], list[TrialData]] = {}
    for data in trials:
        groups.setdefault(data.group, []).append(data)
    named = Counter(task for task, _ in {(task, digest) for task, digest, _ in groups})
    return tuple(_group(members, analysis, by_digest=named[task] > 1) for (task, _, _), members in groups.items())


def _group(trials: Sequence[TrialData], analysis: AnalysisConfig, by_digest: bool) -> Group:
    task, digest, is_open = trials[0].group
    task = f"{task} (data {digest[:8]})" if by_digest else task
    loads = {data.record.trial.load.words for data in trials}
    task = f"{task} under {loads.pop() if len(loads) == 1 else 'load'}" if is_open else task
    found = threshold_set(trials, analysis)
    flags = {data.trial_id: tuple(dict.fromkeys((*data.flags, *load_flags(data, found.primary)))) for data in trials}
    return Group(task, digest, tuple(trials), found, flags, tuple(disagreements(trials)), telling_settings(trials))


NAMED = ("model.name", "task.name", "system.name", "runtime.name", "measurement.batch", "repeat")
"""Settings that every table shows."""
UNTOLD = (
    "model.same_as", "server.url", "server.token_env", "server.token_file", "server.ca", "server.ready_url", "server.ready_s",
    "server.stop_s", "server.command", "server.version_command", "server.packages",
)  # fmt: skip
"""Where a server is, how it is reached and how it is started, which its name says; and which model a server's is."""
STOPPING = ("measurement.rule", "measurement.rule_options", "measurement.min_rounds", "measurement.max_rounds", "measurement.max_seconds")
OF_STREAMS = ("load.seed", "load.stream_s", "load.ramp_s")
"""When a trial ends, and what its streams are: no name where another setting tells trials apart, as their rate does."""

LOAD, LAW = "load.", "load.name"
"""Where laws differ most keys of the one say nothing of the other, so that words name them."""


def telling_settings(trials: Sequence[TrialData]) -> dict[str, str]:
    """Return per trial id the settings in which it differs from others of equal names, as typed, loads of several laws in words."""
    settings = {data.trial_id: dict(flattened(data.record.trial.model_dump(mode="json"))) for data in trials}
    alike: dict[tuple[Any, ...], list[str]] = {}
    for trial_id, of_trial in settings.items():
        alike.setdefault(tuple(of_trial.get(key) for key in NAMED), []).append(trial_id)
    differences = {}
    for members in alike.values():
        keys = sorted({key for trial_id in members for key in settings[trial_id]})
        differing = [key for key in keys if key not in UNTOLD and len({str(settings[trial_id].get(key)) for trial_id in members}) > 1]
        of_members = [settings[trial_id] for trial_id in members]
        others = [key for key in differing if not _stops(key)]
        if _distinct(of_members, others) == _distinct(of_members, differing):
            differing = others
        words: dict[str, str] = {}
        if LAW in differing:
            words = {data.trial_id: data.record.trial.load.all_words for data in trials if data.trial_id in members}
            differing = [key for key in differing if not key.startswith(LOAD) or _tells_more(key, words, settings)]
        for trial_id in members:
            told = [f"{as_typed(key)}={settings[trial_id].get(key)}" for key in sorted(differing, key=as_typed)]
            differences[trial_id] = ", ".join([*([words[trial_id]] if words else []), *told])
    return differences


def _tells_more(key: str, words: Mapping[str, str], settings: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether a key differs between trials whose loads have the same words."""
    return len({(of_load, str(settings[trial_id].get(key))) for trial_id, of_load in words.items()}) > len(set(words.values()))


def as_typed(key: str) -> str:
    """Return a key as a user writes it: a load is chosen by its name."""
    return "load" if key == "load.name" else key


def _stops(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in (*STOPPING, *OF_STREAMS))


def _distinct(settings: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> int:
    """Return how many of these settings are told apart by some keys."""
    return len({tuple(str(of_trial.get(key)) for key in keys) for of_trial in settings})


def flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values; the options of a target stand beside its other keys, as in its YAML."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from flattened(value, prefix if key == "options" else f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "null" if value is None else value
