"""From a stored campaign, or several as one, to all result tables."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa

from orchestrator.analysis.groups import Group, check_names, grouped
from orchestrator.analysis.loading import judgeable, load_trials
from orchestrator.analysis.table import Context, all_rows, check_intervals, tables
from orchestrator.analysis.table import Row as Row
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.storage.layout import TrialFolder, trial_folder
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord
from orchestrator.storage.stored_form import table_of

NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.+-]+")
NOT_RECORDED = "not recorded"
CAMPAIGN = pa.field("campaign", pa.string(), nullable=False)


@dataclass(frozen=True, eq=False)
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

    Raises InputError for an analysis key that names nothing, unreadable files, and a broken metric,
    and BrokenInterval for an interval that excludes its own figure.
    """
    trials = load_trials(campaign, analysis.metrics)
    check_names(trials, analysis)
    trials, unjudged = judgeable(trials) if leave_out else (trials, {})
    context = Context(
        analysis, campaign.record, tuple(campaign.trials()), grouped(trials, analysis)
    )
    for name, one in tables().items():
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


class SeveralCampaigns(Campaign):
    """Campaigns as one, analysed like any other; it has no files of its own.

    A trial's id and match key begin with the label of its campaign, so that the same trial of
    another day is no repeat of it. A system's name ends with the label. A task's name ends with a
    digest where campaigns measured different data under that name: these have tables of their own,
    and ``different_data`` has the labels of their campaigns by task and digest.
    """

    def __init__(self, campaigns: Sequence[Campaign]) -> None:
        self.campaigns = tuple(campaigns)
        self.labels = tuple(_labels([campaign.record for campaign in campaigns]))
        self._origins: dict[str, tuple[str, Campaign, TrialRecord]] = {
            f"{label}/{record.trial_id}": (label, campaign, record)
            for label, campaign in zip(self.labels, campaigns, strict=True)
            for record in campaign.trials()
        }
        found: dict[str, dict[str, dict[str, None]]] = {}
        for label, _, record in self._origins.values():
            if _has_data(record):
                digests = found.setdefault(record.trial.task.name, {})
                digests.setdefault(_digest(label, record), {})[label] = None
        self.different_data = {
            task: {digest: list(labels) for digest, labels in digests.items()}
            for task, digests in found.items()
            if len(digests) > 1
        }
        records = [campaign.record for campaign in self.campaigns]
        self.record = records[0].model_copy(
            update={
                "name": " and ".join(dict.fromkeys(record.name for record in records)),
                "created_at": min(record.created_at for record in records),
                "code_version": ", ".join(dict.fromkeys(one.code_version for one in records)),
                "command": (),
                "trials": tuple(
                    campaign.record.planned(record.trial_id).model_copy(
                        update=self._tags(label, record)
                    )
                    for label, campaign, record in self._origins.values()
                ),
                "left_out": tuple(dict.fromkeys(chain(*(one.left_out for one in records)))),
            }
        )

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The words of the command lines that measured them, each once."""
        return tuple(dict.fromkeys(chain(*(campaign.commands for campaign in self.campaigns))))

    def trial(self, trial_id: str) -> TrialRecord:
        self.record.planned(trial_id)
        label, _, record = self._origins[trial_id]
        digests = {**record.digests, "data": _digest(label, record)}
        return record.model_copy(update={**self._tags(label, record), "digests": digests})

    def origin(self, trial_id: str) -> tuple[str, TrialRecord]:
        """Return the label of a trial's campaign and its record as it was stored."""
        label, _, record = self._origins[trial_id]
        return label, record

    def analysis(self, wanted: AnalysisConfig) -> AnalysisConfig:
        """Return settings whose reference is that trial in the first campaign that has it."""
        for trial_id, (_, _, record) in self._origins.items():
            if wanted.reference in (record.trial_id, record.match_key):
                return wanted.model_copy(update={"reference": trial_id})
        return wanted

    def _folder(self, trial_id: str) -> TrialFolder:
        self.record.planned(trial_id)
        _, campaign, record = self._origins[trial_id]
        return trial_folder(campaign.directory, record.trial_id)

    def _tags(self, label: str, record: TrialRecord) -> dict[str, Any]:
        system, task = record.trial.system, record.trial.task
        if task.name in self.different_data and _has_data(record):
            name = f"{task.name} (data {short(_digest(label, record))})"
            task = task.model_copy(update={"name": name})
        system = system.model_copy(update={"name": f"{system.name} @ {label}"})
        return {
            "trial_id": f"{label}/{record.trial_id}",
            "match_key": f"{label}/{record.match_key}",
            "trial": record.trial.model_copy(update={"system": system, "task": task}),
        }


def _digest(label: str, record: TrialRecord) -> str:
    """Return what identifies a trial's data; an unrecorded digest equals no other."""
    return str(record.digests.get("data") or f"{NOT_RECORDED} in {label}")


def _has_data(record: TrialRecord) -> bool:
    return bool(record.digests.get("data") or record.rounds)


def short(digest: str) -> str:
    """Return the beginning of a digest; it is safe in a title whatever a stranger's file holds."""
    return NOT_RECORDED if digest.startswith(NOT_RECORDED) else NOT_PLAIN.sub("_", digest)[:8]


def _labels(records: Sequence[CampaignRecord]) -> Iterator[str]:
    """Yield what tells campaigns apart: no more of name and time than needed."""
    named = len({record.name for record in records}) > 1
    names = [f"{NOT_PLAIN.sub('_', record.name)[:40]} " if named else "" for record in records]
    labels: list[str] = []
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        if len(set(labels)) < len(records):
            pairs = zip(names, records, strict=True)
            labels = [f"{name}{record.created_at:{form}}" for name, record in pairs]
    for place, label in enumerate(labels, 1):
        yield f"{label} ({labels[:place].count(label)})" if labels.count(label) > 1 else label


def analyse_several(several: SeveralCampaigns, wanted: AnalysisConfig) -> CampaignAnalysis:
    """Compute every table of several campaigns, all read at the same thresholds.

    Raises InputError as `analyse`, and where trials of one task and data digest have other samples
    or metrics.
    """
    firsts: dict[tuple[str, str], tuple[TrialRecord, list[str]]] = {}
    for record in several.trials():
        if record.started_at is None or not several.rounds(record.trial_id).num_rows:
            continue
        names = several.samples(record.trial_id).column("name").to_pylist()
        data = record.trial.task.name, record.digests["data"]
        first, expected = firsts.setdefault(data, (record, names))
        if not wanted.metrics and record.metrics[:1] != first.metrics[:1]:
            one, other = (", ".join(of.metrics[:1]) or "nothing" for of in (first, record))
            raise InputError(
                f"{first.trial_id} is judged by {one} and {record.trial_id} by {other}, which "
                "cannot stand in one table: name one metric for all by analysis.metrics=[NAME]",
                "incomparable",
            )
        if names != expected:
            raise InputError(
                f"{record.trial_id} has other samples than {first.trial_id} under one data digest, "
                "so that one of them is damaged: restore it from a copy, or report the campaigns "
                "apart",
                "damaged",
            )
    return analyse(several, several.analysis(wanted), leave_out=True)


def stored_tables(results: CampaignAnalysis, campaign: SeveralCampaigns) -> Mapping[str, pa.Table]:
    """Return the result tables with a column ``campaign`` in front.

    Match keys, tasks and systems are as in every campaign. Trial ids keep their campaign's label,
    so that ``trial``, ``baseline`` and ``threshold_reference`` still name one trial each.
    """
    found = {}
    for name, table in results.tables.items():
        origins = [campaign.origin(trial) for trial in table.column("trial").to_pylist()]
        for column in ("match_key", "task", "system"):
            place = table.schema.get_field_index(column)
            values = pa.array([record.labels()[column] for _, record in origins], pa.string())
            table = table.set_column(place, table.schema.field(place), values)
        found[name] = table.add_column(
            0, CAMPAIGN, pa.array([label for label, _ in origins], pa.string())
        )
    return found
