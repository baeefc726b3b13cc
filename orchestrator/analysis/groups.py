"""Which trials may stand in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.answers import Disagreement, disagreements
from orchestrator.analysis.exchangeability import flags_of
from orchestrator.analysis.parallel import map_in_threads
from orchestrator.analysis.threshold_sets import ThresholdSet, threshold_set
from orchestrator.analysis.trial_data import TrialData
from orchestrator.config import AnalysisConfig


@dataclass(frozen=True)
class Group:
    """Trials that may stand in one table: the same task, and the same data by digest.

    flags
        per trial id what a reader must know of all its figures.
    """

    task: str
    data_digest: str
    trials: tuple[TrialData, ...]
    thresholds: ThresholdSet
    flags: Mapping[str, tuple[str, ...]]
    disagreements: tuple[Disagreement, ...]


def grouped(trials: Iterable[TrialData], analysis: AnalysisConfig) -> tuple[Group, ...]:
    """Return trials by task and data, in the order of their first members."""
    groups: dict[tuple[str, str], list[TrialData]] = {}
    for data in trials:
        groups.setdefault(data.group, []).append(data)
    return tuple(_group(members, analysis) for members in groups.values())


def _group(trials: Sequence[TrialData], analysis: AnalysisConfig) -> Group:
    task, digest = trials[0].group
    found = threshold_set(trials, analysis)
    told = map_in_threads(lambda data: flags_of(data, found.primary), trials)
    flags = {data.trial_id: of_trial for data, of_trial in zip(trials, told, strict=True)}
    return Group(task, digest, tuple(trials), found, flags, tuple(disagreements(trials)))
