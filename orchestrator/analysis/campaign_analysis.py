"""From a stored campaign to all result tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import pyarrow as pa

from orchestrator.analysis.capacity_rows import CapacityRow, capacity_rows
from orchestrator.analysis.comparison import ComparisonRow, comparison_rows, contests_of
from orchestrator.analysis.convergence import CONVERGENCE_ROW, convergence_rows
from orchestrator.analysis.deadline import DeadlineRow, deadline_rows, kept_from, lowest_ideal
from orchestrator.analysis.explain import ExplainRow, explain_rows
from orchestrator.analysis.from_the_best import rows_from_the_best
from orchestrator.analysis.groups import Group, check_names, grouped
from orchestrator.analysis.latency import LatencyRow, latency_rows
from orchestrator.analysis.law import check_intervals
from orchestrator.analysis.load import LoadRow, load_rows
from orchestrator.analysis.prediction import PredictionRow, prediction_rows
from orchestrator.analysis.processes import ProcessRow, process_rows
from orchestrator.analysis.resources import ResourcesRow, resources_rows
from orchestrator.analysis.server_cost import ServerCostRow, server_cost_rows
from orchestrator.analysis.slices import SliceRow, slice_rows
from orchestrator.analysis.tail_quality import TailQualityRow, tail_quality_rows
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.token_gaps import TokenGapsRow, token_gaps_rows
from orchestrator.analysis.tolerance import ToleranceRow, tolerance_rows
from orchestrator.analysis.trial_data import TrialData, judgeable, load_trials
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord
from orchestrator.storage.stored_form import table_of
from orchestrator.storage.typed_rows import form_of

Row: TypeAlias = Mapping[str, Any]
ROWS: dict[str, Any] = {
    "tail_quality": TailQualityRow,
    "latency": LatencyRow,
    "convergence": CONVERGENCE_ROW,
    "prediction": PredictionRow,
    "deadline": DeadlineRow,
    "comparison": ComparisonRow,
    "explain": ExplainRow,
    "processes": ProcessRow,
    "tolerance": ToleranceRow,
    "load": LoadRow,
    "capacity": CapacityRow,
    "slices": SliceRow,
    "resources": ResourcesRow,
    "server_cost": ServerCostRow,
    "token_gaps": TokenGapsRow,
}
"""The rows of every result table, by the name of its file."""
FORMS = {name: form_of(row) for name, row in ROWS.items()}
TABLES_OF_TRIALS = ("tail_quality", "latency", "prediction", "deadline", "explain", "load", "slices")


@dataclass(frozen=True)
class CampaignAnalysis:
    """Everything reported about a campaign.

    tables
        name of the file (without ``.parquet``) -> table, as they are stored.
    commands
        the words of each command line that measured it.
    unjudged
        by trial id why a user's own metric has judged it in part or not at all; what is judged stands in tables.
    """

    campaign: CampaignRecord
    records: tuple[TrialRecord, ...]
    analysis: AnalysisConfig
    groups: tuple[Group, ...]
    tables: Mapping[str, pa.Table]
    commands: tuple[tuple[str, ...], ...] = ()
    unjudged: Mapping[str, str] = field(default_factory=dict)
    _rows: dict[str, tuple[pa.Table, Sequence[Row]]] = field(default_factory=dict, repr=False, compare=False)

    def rows(self, name: str) -> Sequence[Row]:
        """Return the rows of a table, which are made once and shared: a report asks for them some dozen times."""
        table = self.tables[name]
        known = self._rows.get(name)
        if known is None or known[0] is not table:
            known = self._rows[name] = table, table.to_pylist()
        return known[1]


def rows_of(results: CampaignAnalysis, name: str, group: Group) -> list[Row]:
    """Return the rows of a result table that belong to trials of the group."""
    members = {data.trial_id for data in group.trials}
    return [row for row in results.rows(name) if row["trial"] in members]


def analyse(campaign: Campaign, analysis: AnalysisConfig, leave_out: bool = False) -> CampaignAnalysis:
    """Compute every table of a campaign. Equal files, settings and seed give equal bytes.

    With ``leave_out``, trials that a user's own metric cannot judge stand in no table, as long as there are others.

    Raises
    ------
    InputError
        for an analysis key that names no trial, metric, slice or threshold, for files that cannot be read, and for a metric that is broken.
    BrokenInterval
        for an interval that excludes its own figure.
    """
    trials = load_trials(campaign, analysis.metrics)
    check_names(trials, analysis)
    trials, unjudged = judgeable(trials) if leave_out else (trials, {})
    groups = grouped(trials, analysis)
    records = tuple(campaign.trials())
    of_trials = [
        tables
        for group in groups
        for tables in map_in_threads(partial(_tables_of_trial, group, lowest_ideal(group.trials), analysis), group.trials)
    ]
    rows = {name: [row for tables in of_trials for row in tables[name]] for name in TABLES_OF_TRIALS}
    rows["convergence"] = [row for record in records for row in convergence_rows(record)]
    contests = [contests_of(group) for group in groups]
    rows["comparison"] = [
        *comparison_rows([contest for of_group in contests for contest in of_group]),
        *(
            row
            for group, of_group in zip(groups, contests, strict=True)
            for row in rows_from_the_best(of_group, kept_from(rows["deadline"], group.clock))
        ),
    ]
    rows["processes"] = list(process_rows(groups))
    rows["tolerance"] = list(tolerance_rows(groups, analysis))
    rows["capacity"] = list(capacity_rows(groups, campaign.record.capacity, rows["load"]))
    rows["resources"] = [row for group in groups for row in resources_rows(group)]
    rows["server_cost"] = list(server_cost_rows(groups))
    rows["token_gaps"] = [row for group in groups for row in token_gaps_rows(group)]
    for name, of_table in rows.items():
        check_intervals(name, of_table)
    return CampaignAnalysis(
        campaign=campaign.record,
        records=records,
        analysis=analysis,
        groups=groups,
        tables={name: table_of(rows[name], form) for name, form in FORMS.items()},
        commands=campaign.commands,
        unjudged=unjudged,
    )


def _tables_of_trial(group: Group, common: float, analysis: AnalysisConfig, data: TrialData) -> dict[str, list[Row]]:
    """Return the rows of one trial in every table that needs no other trial but the reference.

    ``common`` is the quality that every model of the group can keep.
    """
    flags = group.flags[data.trial_id]
    return {
        "tail_quality": list(tail_quality_rows(data, group.thresholds, flags, analysis)),
        "latency": list(latency_rows(data, flags, analysis)),
        "prediction": list(prediction_rows(data, flags)),
        "deadline": list(deadline_rows(data, common, flags, analysis)),
        "explain": list(explain_rows(data, group.thresholds.primary, flags)),
        "load": list(load_rows(data, flags)),
        "slices": list(slice_rows(data, group.thresholds, flags, analysis)),
    }
