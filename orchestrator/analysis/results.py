"""From a stored campaign to all result tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from orchestrator.analysis.comparison import comparison_rows
from orchestrator.analysis.convergence import convergence_rows
from orchestrator.analysis.deadline import deadline_rows
from orchestrator.analysis.groups import Group, grouped
from orchestrator.analysis.latency import latency_rows
from orchestrator.analysis.prediction import prediction_rows
from orchestrator.analysis.tail_quality import tail_quality_rows
from orchestrator.analysis.threshold_sets import check_reference
from orchestrator.analysis.trial_data import load_trials
from orchestrator.config import AnalysisConfig
from orchestrator.storage import result_schema as schema
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord


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
    groups = grouped(trials, analysis)
    records = tuple(campaign.trials())
    return Results(
        campaign=campaign.record,
        records=records,
        analysis=analysis,
        groups=groups,
        tables={
            "tail_quality": _table((row for group in groups for row in _tail_quality(group, analysis)), schema.TAIL_QUALITY),
            "latency": _table((row for group in groups for row in _latency(group, analysis)), schema.LATENCY),
            "convergence": _table((row for record in records for row in convergence_rows(record)), schema.CONVERGENCE),
            "prediction": _table((row for group in groups for row in _prediction(group, analysis)), schema.PREDICTION),
            "deadline": _table((row for group in groups for row in deadline_rows(group.trials, group.flags, analysis)), schema.DEADLINE),
            "comparison": _table(comparison_rows(groups, analysis), schema.COMPARISON),
        },
    )


def _tail_quality(group: Group, analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    for data in group.trials:
        yield from tail_quality_rows(data, group.thresholds, group.flags[data.trial_id], analysis)


def _prediction(group: Group, analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    for data in group.trials:
        yield from prediction_rows(data, group.flags[data.trial_id], analysis)


def _latency(group: Group, analysis: AnalysisConfig) -> Iterator[dict[str, Any]]:
    for data in group.trials:
        yield from latency_rows(data, group.flags[data.trial_id], analysis)


def _table(rows: Iterable[dict[str, Any]], form: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=form)
