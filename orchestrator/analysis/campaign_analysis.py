"""From a stored campaign to all result tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from orchestrator.analysis.groups import Group, check_names, grouped
from orchestrator.analysis.loading import judgeable, load_trials
from orchestrator.analysis.table import Context, all_rows, check_intervals, tables
from orchestrator.analysis.table import Row as Row
from orchestrator.analysis.threads import map_in_threads
from orchestrator.analysis.trial_data import TrialData
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord
from orchestrator.storage.stored_form import table_of


@dataclass(frozen=True)
class CampaignAnalysis:
    """Everything reported about a campaign.

    tables
        name of the file (without ``.parquet``) -> table, as they are stored.
    commands
        the words of each command line that measured it.
    unjudged
        by trial id why a user's own metric has judged it in part or not at all.
    """

    campaign: CampaignRecord
    records: tuple[TrialRecord, ...]
    analysis: AnalysisConfig
    groups: tuple[Group, ...]
    tables: Mapping[str, pa.Table]
    commands: tuple[tuple[str, ...], ...] = ()
    unjudged: Mapping[str, str] = field(default_factory=dict)
    _rows: dict[str, tuple[pa.Table, Sequence[Row]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def rows(self, name: str) -> Sequence[Row]:
        """Return the rows of a table, which are made once and shared."""
        table = self.tables[name]
        known = self._rows.get(name)
        if known is None or known[0] is not table:
            known = self._rows[name] = table, table.to_pylist()
        return known[1]


def rows_of(results: CampaignAnalysis, name: str, group: Group) -> list[Row]:
    """Return the rows of a result table that belong to trials of the group."""
    members = {data.trial_id for data in group.trials}
    return [row for row in results.rows(name) if row["trial"] in members]


def analyse(
    campaign: Campaign, analysis: AnalysisConfig, leave_out: bool = False
) -> CampaignAnalysis:
    """Compute every table of a campaign. Equal files, settings and seed give equal bytes.

    With ``leave_out``, trials that a user's own metric cannot judge stand in no table.

    Raises
    ------
    InputError
        for an analysis key that names nothing, unreadable files, and a broken metric.
    BrokenInterval
        for an interval that excludes its own figure.
    """
    trials = load_trials(campaign, analysis.metrics)
    check_names(trials, analysis)
    trials, unjudged = judgeable(trials) if leave_out else (trials, {})
    context = Context(
        analysis, campaign.record, tuple(campaign.trials()), grouped(trials, analysis)
    )
    of_trials = [one for one in tables().values() if one.per == "trial"]

    def of_trial(one: tuple[Group, TrialData]) -> list[list[Row]]:
        return [list(each.rows(context, *one)) for each in of_trials]

    pairs = [(group, data) for group in context.groups for data in group.trials]
    found = map_in_threads(of_trial, pairs)  # trials share the cores
    for number, each in enumerate(of_trials):
        context.rows[each.name] = [row for rows in found for row in rows[number]]
    for name, one in tables().items():
        if name not in context.rows:
            context.rows[name] = all_rows(one, context)
        check_intervals(name, one.columns, context.rows[name])
    return CampaignAnalysis(
        campaign=campaign.record,
        records=context.records,
        analysis=analysis,
        groups=context.groups,
        tables={name: table_of(context.rows[name], one.schema) for name, one in tables().items()},
        commands=campaign.commands,
        unjudged=unjudged,
    )
