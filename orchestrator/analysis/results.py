"""From a stored campaign to all result tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from orchestrator.analysis.answers import Disagreement, disagreements
from orchestrator.analysis.convergence import convergence_rows
from orchestrator.analysis.latency import latency_rows
from orchestrator.analysis.tail_quality import tail_quality_rows
from orchestrator.analysis.threshold_sets import ThresholdSet, check_reference, threshold_set
from orchestrator.analysis.trial_data import TrialData, load_trials
from orchestrator.config import AnalysisConfig
from orchestrator.storage import result_schema as schema
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord


@dataclass(frozen=True)
class Group:
    """Trials that may stand in one table: the same task, and the same data by digest."""

    task: str
    data_digest: str
    trials: tuple[TrialData, ...]
    thresholds: ThresholdSet
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
    tail_quality = (row for group in groups for data in group.trials for row in tail_quality_rows(data, group.thresholds, analysis))
    records = tuple(campaign.trials())
    return Results(
        campaign=campaign.record,
        records=records,
        analysis=analysis,
        groups=groups,
        tables={
            "tail_quality": _table(tail_quality, schema.TAIL_QUALITY),
            "latency": _table((row for data in trials for row in latency_rows(data, analysis)), schema.LATENCY),
            "convergence": _table((row for record in records for row in convergence_rows(record)), schema.CONVERGENCE),
        },
    )


def _group(trials: Sequence[TrialData], analysis: AnalysisConfig) -> Group:
    task, digest = trials[0].group
    return Group(task, digest, tuple(trials), threshold_set(trials, analysis), tuple(disagreements(trials)))


def _by_group(trials: Iterable[TrialData]) -> list[list[TrialData]]:
    groups: dict[tuple[str, str], list[TrialData]] = {}
    for data in trials:
        groups.setdefault(data.group, []).append(data)
    return list(groups.values())


def _table(rows: Iterable[dict[str, Any]], form: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=form)
