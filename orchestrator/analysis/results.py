"""From a stored campaign to all result tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from orchestrator.analysis.answers import Disagreement, disagreements
from orchestrator.analysis.comparison import comparison_rows
from orchestrator.analysis.convergence import convergence_rows
from orchestrator.analysis.deadline import deadline_rows
from orchestrator.analysis.exchangeability import flags_of
from orchestrator.analysis.latency import latency_rows
from orchestrator.analysis.prediction import prediction_rows
from orchestrator.analysis.tail_quality import tail_quality_rows
from orchestrator.analysis.threshold_sets import ThresholdSet, check_reference, threshold_set
from orchestrator.analysis.trial_data import TrialData, load_trials
from orchestrator.config import AnalysisConfig
from orchestrator.storage import result_schema as schema
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord


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


@dataclass(frozen=True)
class Results:
    """Everything that is reported of a campaign.

    tables
        name of the file (without ``.parquet``) -> table, as they are stored.
    """

    campaign: CampaignRecord
    records: tuple[TrialRecord, ...]
    analysis: AnalysisConfig
    groups: tuple[Group, ...]
    tables: Mapping[str, pa.Table]


def analyse(campaign: Campaign, analysis: AnalysisConfig) -> Results:
    """Compute every table of a campaign. Equal files, settings and seed give equal bytes.

    Raises
    ------
    InputError
        for an analysis key that names no trial, slice or threshold, and for files that cannot be read.
    """
    trials = load_trials(campaign)
    check_reference(trials, analysis.reference)
    groups = tuple(_group(members, analysis) for members in _by_group(trials))
    records = tuple(campaign.trials())
    return Results(
        campaign=campaign.record,
        records=records,
        analysis=analysis,
        groups=groups,
        tables={
            "tail_quality": _table((row for group in groups for row in _tail_quality(group, analysis)), schema.TAIL_QUALITY),
            "latency": _table((row for data in trials for row in latency_rows(data, analysis)), schema.LATENCY),
            "convergence": _table((row for record in records for row in convergence_rows(record)), schema.CONVERGENCE),
            "prediction": _table((row for group in groups for row in _prediction(group, analysis)), schema.PREDICTION),
            "deadline": _table((row for group in groups for row in deadline_rows(group.trials, group.flags, analysis)), schema.DEADLINE),
            "comparison": _table((row for group in groups for row in _comparison(group, analysis)), schema.COMPARISON),
        },
    )


def _group(trials: Sequence[TrialData], analysis: AnalysisConfig) -> Group:
    task, digest = trials[0].group
    found = threshold_set(trials, analysis)
    flags = {data.trial_id: flags_of(data, found.primary) for data in trials}
    return Group(task, digest, tuple(trials), found, flags, tuple(disagreements(trials)))


def _tail_quality(group: Group, analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    for data in group.trials:
        yield from tail_quality_rows(data, group.thresholds, group.flags[data.trial_id], analysis)


def _prediction(group: Group, analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    for data in group.trials:
        yield from prediction_rows(data, group.flags[data.trial_id], analysis)


def _comparison(group: Group, analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    return comparison_rows(group.trials, group.thresholds, group.flags, analysis)


def _by_group(trials: Iterable[TrialData]) -> list[list[TrialData]]:
    groups: dict[tuple[str, str], list[TrialData]] = {}
    for data in trials:
        groups.setdefault(data.group, []).append(data)
    return list(groups.values())


def _table(rows: Iterable[dict[str, Any]], form: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=form)
