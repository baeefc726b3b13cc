"""Which trials may stand in one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.answers import Disagreement, disagreements
from orchestrator.analysis.exchangeability import flags_of
from orchestrator.analysis.parallel import map_in_threads
from orchestrator.analysis.settings import telling_settings
from orchestrator.analysis.threshold_sets import ThresholdSet, threshold_set
from orchestrator.analysis.trial_data import TrialData
from orchestrator.config import AnalysisConfig


@dataclass(frozen=True)
class Group:
    """Trials that may stand in one table: the same task, and the same data by digest.

    task
        its name, with the digest's first letters where other trials of the campaign had other data under that name.
    flags
        per trial id what a reader must know of all its figures.
    settings
        per trial id what tells it from others of equal names; empty where names do.
    """

    task: str
    data_digest: str
    trials: tuple[TrialData, ...]
    thresholds: ThresholdSet
    flags: Mapping[str, tuple[str, ...]]
    disagreements: tuple[Disagreement, ...]
    settings: Mapping[str, str]


def grouped(trials: Iterable[TrialData], analysis: AnalysisConfig) -> tuple[Group, ...]:
    """Return trials by task and data, in the order of their first members."""
    groups: dict[tuple[str, str], list[TrialData]] = {}
    for data in trials:
        groups.setdefault(data.group, []).append(data)
    named = Counter(task for task, _ in groups)
    return tuple(_group(members, analysis, by_digest=named[task] > 1) for (task, _), members in groups.items())


def _group(trials: Sequence[TrialData], analysis: AnalysisConfig, by_digest: bool) -> Group:
    task, digest = trials[0].group
    task = f"{task} (data {digest[:8]})" if by_digest else task
    found = threshold_set(trials, analysis)
    told = map_in_threads(lambda data: flags_of(data, found.primary), trials)
    flags = {data.trial_id: of_trial for data, of_trial in zip(trials, told, strict=True)}
    return Group(task, digest, tuple(trials), found, flags, tuple(disagreements(trials)), telling_settings(trials))
