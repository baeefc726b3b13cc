"""Which trials may stand in one table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis.convergence import flags_of
from orchestrator.analysis.settings import telling_settings
from orchestrator.analysis.threshold_sets import ThresholdSet, threshold_set
from orchestrator.analysis.trial_data import TrialData, map_in_threads
from orchestrator.configuration.config import AnalysisConfig

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
    firsts: dict[tuple[str, str, str], TrialData] = {}
    for data in trials:
        first = firsts.setdefault((*data.group, data.record.trial.model.name), data)
        different = sum(not alike(mine, theirs) for mine, theirs in zip(data.predictions, first.predictions, strict=True))
        if different:
            found.append(Disagreement(first.trial_id, data.trial_id, different, len(data.predictions)))
    return found


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
