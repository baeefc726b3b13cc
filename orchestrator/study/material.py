"""What a study works on: the trials of a campaign by task, and the names by which it calls them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.groups import Group, check_names, grouped
from orchestrator.analysis.loading import load_trials
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord
from orchestrator.study.criteria import Criteria
from orchestrator.study.tables import Column, named

WHO = ("task", "model", "runtime", "system")
"""What names a measured system, in tables and figures."""


@dataclass(frozen=True)
class Material:
    """A stored campaign as a study reads it."""

    campaign: CampaignRecord
    records: tuple[TrialRecord, ...]
    groups: tuple[Group, ...]
    analysis: AnalysisConfig
    criteria: Criteria

    def trials(self) -> Iterator[tuple[Group, TrialData]]:
        """Yield every trial with its task."""
        for group in self.groups:
            for data in group.trials:
                yield group, data

    def random(self, *names: object) -> np.random.Generator:
        """Return a source of random numbers of its own, by ``analysis.seed`` and what it is for."""
        return np.random.default_rng([self.analysis.seed, zlib.crc32(" ".join(map(str, names)).encode())])


def read_material(campaign: Campaign, analysis: AnalysisConfig, criteria: Criteria) -> Material:
    """Return the trials of a campaign that have rounds.

    Raises
    ------
    InputError
        if none has, and for files that cannot be read.
    """
    trials = load_trials(campaign, analysis.metrics)
    if not trials:
        raise InputError(f"{campaign.record.name}: no trial has a stored round, so that there is nothing to study: measure it first")
    check_names(trials, analysis)
    return Material(campaign.record, tuple(campaign.trials()), grouped(trials, analysis), analysis, criteria)


def who(group: Group, data: TrialData) -> list[str]:
    """Return the cells that name a trial."""
    trial = data.record.trial
    settings = f" ({group.settings[data.trial_id]})" if group.settings.get(data.trial_id) else ""
    return [group.task, trial.model.name, trial.runtime.name, f"{trial.system.name}{settings}", str(trial.repeat)]


def who_columns() -> list[Column]:
    """Return the columns of these cells."""
    return named(*WHO, "repeat")


def short(group: Group, data: TrialData) -> str:
    """Return what a figure calls a measured system."""
    return ", ".join(who(group, data)[1:4])


def sizes_of(data: TrialData) -> NDArray[np.float64] | None:
    """Return the input size of each column of `own_times`, [B]: of a batch the mean of its samples; None where nothing tells them apart."""
    if data.record.trial.measurement.batch == 1 or data.batch_of is None:
        sizes = data.input_sizes.astype(np.float64)
    else:
        counts = np.bincount(data.batch_of)
        sizes = np.bincount(data.batch_of, weights=data.input_sizes.astype(np.float64)) / counts
    return sizes if np.unique(sizes).size > 1 else None


def repeats_first(trials: Sequence[TrialData]) -> list[TrialData]:
    """Return the first repeat of every measured system."""
    return list({data.record.match_key: data for data in reversed(trials)}.values())[::-1]
