"""The systems that requirements are held against: trials of one match key over repeats and campaigns, found by patterns."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from orchestrator.analysis.capacity import at_any_rate
from orchestrator.analysis.groups import Group, flattened, grouped
from orchestrator.analysis.loading import load_trials
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.values import as_text
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.configuration.config import Trial
from orchestrator.contracts import by_key, nearest
from orchestrator.running.identity import NO_WORK, OF_NEIGHBOUR, OF_SERVER
from orchestrator.stats.thresholds import Threshold, primary_threshold
from orchestrator.stats.times import Clock
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord

# Short names of axes, and the keys that they stand for.
AXES = {
    "model": "model.name",
    "task": "task.name",
    "system": "system.name",
    "runtime": "runtime.name",
    "batch": "measurement.batch",
    "repeat": "repeat",
}
# What a key has that is not set.
NOTHING = "null"
# Which trials have a clock that not all have.
WHERE = {
    Clock.RESPONSE: "under load alone, where samples arrive by a schedule: measure with load= and load.rate_per_s=",
    **dict.fromkeys((Clock.FIRST_TOKEN, Clock.PER_TOKEN), "of streamed answers alone: ask a server that streams"),
}
# Every setting and every axis of a trial as a text.
Texts = Mapping[str, str]
# Patterns by axis.
Wanted = Mapping[str, tuple[str, ...]]


class NotShown(Exception):
    """Stored data cannot speak of what a requirement asks for, or no campaign like the planned one can; the message says why."""


@dataclass(frozen=True)
class Session:
    """A stored campaign as requirements read it."""

    campaign: CampaignRecord
    records: tuple[TrialRecord, ...]
    groups: tuple[Group, ...]

    @cached_property
    def texts(self) -> tuple[Texts, ...]:
        """What patterns are held against, of each trial."""
        return tuple(texts_of(record.trial) for record in self.records)

    @cached_property
    def measured(self) -> dict[str, tuple[Group, TrialData]]:
        """The trials that have rounds, each with its group, by id."""
        return {data.trial_id: (group, data) for group in self.groups for data in group.trials}

    @property
    def with_rounds(self) -> list[TrialData]:
        return [self.measured[record.trial_id][1] for record in self.records if record.trial_id in self.measured]


def read_session(campaign: Campaign, analysis: AnalysisConfig) -> Session:
    """Return what requirements need of a campaign, read from its timings alone. Raises InputError for files that cannot be read."""
    return Session(campaign.record, tuple(campaign.trials()), grouped(load_trials(campaign, analysis.metrics), analysis))


@dataclass(frozen=True)
class Measured:
    """One trial of a campaign; ``data`` and ``group`` are None where no round of it is stored."""

    record: TrialRecord
    group: Group | None = None
    data: TrialData | None = None


@dataclass(frozen=True)
class Subject:
    """One system: every repeat of a trial in every campaign that has it."""

    match_key: str
    measured: tuple[Measured, ...]

    @cached_property
    def trials(self) -> list[TrialData]:
        """The trials that have rounds: each is a fresh process."""
        return [each.data for each in self.measured if each.data is not None]

    @property
    def who(self) -> dict[str, str]:
        texts = texts_of(self.measured[0].record.trial)
        return {axis: texts[axis] for axis in (*AXES, "load") if axis != "repeat"}

    @property
    def flags(self) -> tuple[str, ...]:
        flags = (flag for each in self.measured if each.group is not None for flag in each.group.flags[each.record.trial_id])
        return tuple(dict.fromkeys(flags))

    @property
    def without_rounds(self) -> list[str]:
        """In words, the trials of which no round is stored."""
        lost = (each.record for each in self.measured if each.data is None)
        words = "{} has no stored round ({})".format
        return list(dict.fromkeys(words(one.trial_id, f"{one.state}: {one.reason}" if one.reason else one.state) for one in lost))

    def clock(self, asked: str | None) -> Clock:
        """Return the clock that is asked for, or else the one that counts first. Raises NotShown where a trial has no such clock."""
        clock = Clock(asked) if asked is not None else self.trials[0].clock
        if any(clock not in data.times for data in self.trials):
            raise NotShown(f"the clock {clock} exists {WHERE.get(clock, 'elsewhere')}")
        return clock

    def threshold(self, text: str, clock: Clock) -> Threshold:
        """Return a threshold by its text, a percentile being that of the reference of the first trial that has rounds.

        Raises NotShown for a percentile where no trial can be the reference, and where it is one of this system's own trials: what share
        of its answers is on time is then fixed, however slow they are.
        """
        group = next(each.group for each in self.measured if each.group is not None)
        reference = group.thresholds.reference
        chosen = next((data for data in group.trials if reference is not None and data.trial_id == reference.trial), None)
        times = None if chosen is None or clock not in chosen.times else chosen.served(clock)
        found = primary_threshold(text, times, None if chosen is None else chosen.trial_id)
        if found is None:
            raise NotShown(f"no trial gives the percentile {text}: ask for a time, such as 50 ms")
        own = {each.record.trial_id for each in self.measured if each.group is group}
        if found.origin == "reference" and found.reference in own:
            raise NotShown(f"{text} is that of {found.reference}, which is this very system: ask for a time, such as 50 ms")
        return found

    def lacks(self, what: str, remedy: str) -> NotShown:
        """Return that stored data lack something, with what would bring it: of imported trials nothing here does."""
        imported = any(data.record.imported for data in self.trials)
        return NotShown(f"{what}: {'imported timings hold none of it, a trial that is measured here does' if imported else remedy}")


def texts_of(trial: Trial) -> Texts:
    """Return what patterns are held against; the options of a model or task stand beside its other keys."""
    keys = {key: as_text(value) for key, value in flattened(trial.model_dump(mode="json"))}
    return {**keys, **{axis: keys[key] for axis, key in AXES.items()}, "load": trial.load.words}


def is_for(wanted: Wanted, texts: Texts) -> bool:
    """Return whether a trial, by its texts, fits the patterns of every axis."""
    return all(_fits(texts.get(axis, NOTHING), patterns) for axis, patterns in wanted.items())


def unmatched(wanted: Wanted, every: Sequence[Texts]) -> list[str]:
    """Return in words what is wanted and no trial is, by the texts of all; empty where every pattern is one of a trial's."""
    known = {key for texts in every for key in texts}
    strange = [axis for axis, patterns in wanted.items() if axis not in known and not _fits(NOTHING, patterns)]
    chosen = [texts for texts in every if is_for(wanted, texts)]
    if not every or (not chosen and not strange):
        patterns = ", ".join(f"{axis}: {' or '.join(patterns)}" for axis, patterns in wanted.items())
        return [f"no trial is one that it is for ({patterns or 'there is none'})"]
    if strange:
        return [f"no trial has the key {axis}; {nearest(axis, known)}" for axis in strange]
    return [
        f"no trial is one with {axis}: {pattern}"
        for axis, patterns in wanted.items()
        for pattern in patterns
        if not any(_fits(texts.get(axis, NOTHING), [pattern]) for texts in chosen)
    ]


def _fits(text: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def alike_but_for_rate(trials: Sequence[Trial]) -> list[list[int]]:
    """Return the places of trials in lists of one system each: those that differ in their rate and in how they are stopped are one.

    All else that makes a trial the work that it is must be equal, names being the least of it. Of a system that is measured in a closed
    loop, too, the trials under load count alone.
    """
    found = by_key(range(len(trials)), lambda place: _but_for_rate(trials[place]))
    under_load = {work for work, load in found if load}
    return [places for (work, load), places in found.items() if load or work not in under_load]


def _but_for_rate(trial: Trial) -> tuple[str, str]:
    """Return what the trials of one system have in common, and the load but for its rate, empty in a closed loop; both as texts."""
    trial = at_any_rate(trial)
    work = {name: getattr(trial, name).model_dump(mode="json", exclude=left_out) for name, left_out in NO_WORK.items()}
    # The folder of a path is no part of the work.
    options = {
        name: {key: Path(of).name if Path(str(of)).is_absolute() else of for key, of in getattr(trial, name).options.items()}
        for name in ("model", "task")
    }
    server = trial.server.model_dump(mode="json", include=OF_SERVER)
    neighbour = trial.neighbour.model_dump(mode="json", include=OF_NEIGHBOUR)
    load = trial.load.model_dump_json(exclude={"file"}) if trial.load.is_open else ""
    return json.dumps([work, options, server, neighbour], sort_keys=True, default=str), load


def by_rate(measured: Sequence[Measured]) -> list[Subject]:
    """Return the systems of a requirement that speaks of any rate, those of other weights or data apart.

    Trials that never came so far as to have digests go with the first.
    """
    found: dict[tuple[int, str], list[Measured]] = {}
    for number, places in enumerate(alike_but_for_rate([each.record.trial for each in measured])):
        alike = [measured[place] for place in places]
        known = next((each.record.digests for each in alike if each.record.digests), {})
        for each in alike:
            digests = json.dumps(dict(each.record.digests or known), sort_keys=True)
            found.setdefault((number, digests), []).append(each)
    return [Subject(trials[0].record.match_key, tuple(trials)) for trials in found.values()]
