"""The systems that requirements are held against: trials of one match key, over repeats and campaigns."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from orchestrator.analysis.groups import Group, grouped
from orchestrator.analysis.loading import load_trials
from orchestrator.analysis.trial_data import TrialData
from orchestrator.assessment.axes import is_for, settings_of, texts_of
from orchestrator.assessment.requirements import Requirement
from orchestrator.assessment.values_asked import AXES
from orchestrator.assessment.verdicts import Basis
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.stats.thresholds import Threshold, primary_threshold
from orchestrator.stats.times import Clock
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, PlannedTrial, TrialRecord

NAMING = ("model", "task", "system", "runtime", "batch")
"""Axes that name a system for a reader."""


@dataclass(frozen=True)
class Session:
    """A stored campaign as requirements read it."""

    campaign: CampaignRecord
    records: tuple[TrialRecord, ...]
    groups: tuple[Group, ...]
    analysis: AnalysisConfig

    @cached_property
    def texts(self) -> tuple[Mapping[str, str], ...]:
        """What the patterns of requirements are held against, of each trial."""
        return tuple(texts_of(record.trial) for record in self.records)

    @property
    def with_rounds(self) -> list[TrialData]:
        """The trials that have rounds, in the order of the plan."""
        found = {data.trial_id: data for group in self.groups for data in group.trials}
        return [found[record.trial_id] for record in self.records if record.trial_id in found]

    def data_of(self, trial_id: str) -> tuple[Group, TrialData] | tuple[None, None]:
        """Return a trial with rounds and its group; None and None where it has no rounds."""
        found = ((group, data) for group in self.groups for data in group.trials if data.trial_id == trial_id)
        return next(found, (None, None))


def read_session(campaign: Campaign, analysis: AnalysisConfig | None = None) -> Session:
    """Return what requirements need of a campaign, read from its timings alone.

    ``analysis`` replaces its own settings. Raises InputError for files that cannot be read.
    """
    wanted = campaign.record.config.analysis if analysis is None else analysis
    trials = load_trials(campaign, wanted.metrics)
    return Session(campaign.record, tuple(campaign.trials()), grouped(trials, wanted), wanted)


@dataclass(frozen=True)
class Measured:
    """One trial of a campaign; ``data`` and ``group`` are None where no round of it is stored."""

    session: Session
    record: TrialRecord
    data: TrialData | None
    group: Group | None


@dataclass(frozen=True)
class Subject:
    """One system: every repeat of a trial in every campaign that has it."""

    match_key: str
    trials: tuple[Measured, ...]

    @property
    def with_rounds(self) -> list[TrialData]:
        """The trials that have rounds: each is a fresh process."""
        return [each.data for each in self.trials if each.data is not None]

    @property
    def group(self) -> Group:
        """The group of the first trial that has rounds, whose reference gives percentiles that are thresholds."""
        return next(each.group for each in self.trials if each.group is not None)

    @property
    def of_its_group(self) -> set[str]:
        """The ids of its trials that are in that group."""
        return {each.record.trial_id for each in self.trials if each.group is self.group}

    @property
    def who(self) -> dict[str, str]:
        """What names it for a reader."""
        trial = self.trials[0].record.trial
        settings = settings_of(trial)
        named = {axis: str(settings[AXES[axis]]) for axis in NAMING}
        return {**named, "load": trial.load.words}

    @property
    def basis(self) -> Basis:
        """How much was measured of it, and on how many days (by UTC)."""
        found = self.with_rounds
        processes = [process for data in found for process in data.record.processes]
        days = {process.started_at.date() for process in processes}
        days |= {data.record.started_at.date() for data in found if data.record.started_at is not None and not data.record.processes}
        return Basis(
            rounds=sum(len(data.times[data.clock]) for data in found),
            visits=sum(data.visit_count for data in found),
            processes=sum(max(1, len(data.record.processes)) for data in found),
            sessions=max(1, len(days)) if found else 0,
        )

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of its trials."""
        flags = (flag for each in self.trials if each.group is not None for flag in each.group.flags[each.record.trial_id])
        return tuple(dict.fromkeys(flags))

    @property
    def without_rounds(self) -> list[str]:
        """In words, the trials of which no round is stored."""
        found = [
            f"{each.record.trial_id} has no stored round ({each.record.state}{f': {each.record.reason}' if each.record.reason else ''})"
            for each in self.trials
            if each.data is None
        ]
        return list(dict.fromkeys(found))

    def threshold(self, text: str, clock: Clock) -> Threshold | None:
        """Return a threshold by its text, a percentile being the reference's; None where there is no reference."""
        reference = self.group.thresholds.reference
        chosen = next((data for data in self.group.trials if reference is not None and data.trial_id == reference.trial), None)
        if chosen is None or clock not in chosen.times:
            return primary_threshold(text, None)
        return primary_threshold(text, chosen.served(clock), chosen.trial_id)


def subjects_of(requirement: Requirement, sessions: Sequence[Session], again: Set[tuple[int, str]] = frozenset()) -> list[Subject]:
    """Return the systems that a requirement is for, in the order of the first campaign that has each.

    ``again`` are the trials that are copies of others, by the place of their campaign and their id: they are left out.
    """
    found: dict[str, list[Measured]] = {}
    for place, session in enumerate(sessions):
        for record, texts in zip(session.records, session.texts, strict=True):
            if (place, record.trial_id) not in again and is_for(requirement, texts):
                group, data = session.data_of(record.trial_id)
                found.setdefault(record.match_key, []).append(Measured(session, record, data, group))
    return [Subject(key, tuple(trials)) for key, trials in found.items()]


def planned_for(requirement: Requirement, planned: Sequence[PlannedTrial]) -> list[PlannedTrial]:
    """Return the planned trials that a requirement is for."""
    return [one for one in planned if is_for(requirement, texts_of(one.trial))]
