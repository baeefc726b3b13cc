"""Campaigns of different days or places read as one: their trials stand side by side, each known by its campaign."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from orchestrator.analysis.campaign_analysis import CampaignAnalysis, analyse
from orchestrator.configuration.analysis import AnalysisConfig
from orchestrator.contracts import InputError
from orchestrator.storage.layout import TrialFolder, trial_folder
from orchestrator.storage.reader import Campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord

NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.+-]+")
NOT_RECORDED = "not recorded"


class SeveralCampaigns(Campaign):
    """Campaigns as one, analysed like any other; it has no files of its own.

    A trial's id and match key begin with the label of its campaign, so that the same trial of another day is another trial and no
    repeat of it. A system's name ends with the label: systems stand for what differs between days. A task's name ends with a digest
    where campaigns measured different data under that name, which keeps them in tables of their own.

    labels
        one per campaign, in their order: the time it was created, after its name where names differ.
    different_data
        per task whose data differ, the labels of the campaigns by digest.
    """

    def __init__(self, campaigns: Sequence[Campaign]) -> None:
        self.campaigns = tuple(campaigns)
        self.labels = tuple(_labels([campaign.record for campaign in campaigns]))
        self.different_data = self._different_data()
        self._origins: dict[str, tuple[int, TrialRecord]] = {}
        for number, campaign in enumerate(campaigns):
            for record in campaign.trials():
                self._origins[f"{self.labels[number]}/{record.trial_id}"] = (number, record)
        self.record = self._combined_record()

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The words of the command lines that measured them, each once."""
        return tuple(dict.fromkeys(words for campaign in self.campaigns for words in campaign.commands))

    def trial(self, trial_id: str) -> TrialRecord:
        """Return what is known of a trial."""
        self.record.planned(trial_id)
        number, record = self._origins[trial_id]
        digests = {**record.digests, "data": self._digest(number, record)}
        return record.model_copy(update={**self._tags(number, record), "digests": digests})

    def origin(self, trial_id: str) -> tuple[str, TrialRecord]:
        """Return the label of a trial's campaign and its record as it was stored."""
        number, record = self._origins[trial_id]
        return self.labels[number], record

    def analysis(self, wanted: AnalysisConfig) -> AnalysisConfig:
        """Return analysis settings whose reference, a trial's own id or match key, is that trial in the first campaign that has it."""
        for trial_id, (_, record) in self._origins.items():
            if wanted.reference in (record.trial_id, record.match_key):
                return wanted.model_copy(update={"reference": trial_id})
        return wanted

    def _folder(self, trial_id: str) -> TrialFolder:
        self.record.planned(trial_id)
        number, record = self._origins[trial_id]
        return trial_folder(self.campaigns[number].directory, record.trial_id)

    def _digest(self, number: int, record: TrialRecord) -> str:
        """Return what identifies a trial's data; an unrecorded digest equals no other."""
        return str(record.digests.get("data") or f"{NOT_RECORDED} in {self.labels[number]}")

    def _different_data(self) -> dict[str, dict[str, list[str]]]:
        found: dict[str, dict[str, list[str]]] = {}
        for number, campaign in enumerate(self.campaigns):
            for record in campaign.trials():
                if _has_data(record):
                    labels = found.setdefault(record.trial.task.name, {}).setdefault(self._digest(number, record), [])
                    if self.labels[number] not in labels:
                        labels.append(self.labels[number])
        return {task: digests for task, digests in found.items() if len(digests) > 1}

    def _tags(self, number: int, record: TrialRecord) -> dict[str, Any]:
        """Return the fields of a trial that name its campaign."""
        label, system, task = self.labels[number], record.trial.system, record.trial.task
        if task.name in self.different_data and _has_data(record):
            task = task.model_copy(update={"name": f"{task.name} (data {short(self._digest(number, record))})"})
        system = system.model_copy(update={"name": f"{system.name} @ {label}"})
        return {
            "trial_id": f"{label}/{record.trial_id}",
            "match_key": f"{label}/{record.match_key}",
            "trial": record.trial.model_copy(update={"system": system, "task": task}),
        }

    def _combined_record(self) -> CampaignRecord:
        """Return what the report knows of all campaigns together, with the settings of the first."""
        records = [campaign.record for campaign in self.campaigns]
        trials = tuple(
            records[number].planned(record.trial_id).model_copy(update=self._tags(number, record))
            for number, record in self._origins.values()
        )
        return records[0].model_copy(
            update={
                "name": " and ".join(dict.fromkeys(record.name for record in records)),
                "created_at": min(record.created_at for record in records),
                "code_version": ", ".join(dict.fromkeys(record.code_version for record in records)),
                "command": (),
                "trials": trials,
                "left_out": tuple(dict.fromkeys(left for record in records for left in record.left_out)),
            }
        )


def _has_data(record: TrialRecord) -> bool:
    """Return whether a trial came far enough to have data: one that failed while it loaded has none to differ by."""
    return bool(record.digests.get("data") or record.rounds)


def short(digest: str) -> str:
    """Return the beginning of a digest, for a reader; it is safe in a title whatever a stranger's file holds there."""
    return NOT_RECORDED if digest.startswith(NOT_RECORDED) else NOT_PLAIN.sub("_", digest)[:8]


def _labels(records: Sequence[CampaignRecord]) -> Iterator[str]:
    """Yield what tells campaigns apart: no more of name and time than needed."""
    named = len({record.name for record in records}) > 1
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        times = [f"{record.created_at:{form}}" for record in records]
        labels = [f"{NOT_PLAIN.sub('_', record.name)[:40]} {at}" if named else at for record, at in zip(records, times, strict=True)]
        if len(set(labels)) == len(labels):
            break
    twice, seen = Counter(labels), Counter[str]()
    for label in labels:
        seen[label] += 1
        yield f"{label} ({seen[label]})" if twice[label] > 1 else label


def analyse_several(several: SeveralCampaigns, wanted: AnalysisConfig) -> CampaignAnalysis:
    """Compute every table of several campaigns, all read at the same thresholds.

    Raises
    ------
    InputError
        as `analyse`, and where trials of one task and data digest have other samples or another metric.
    """
    _check_comparable(several, wanted.metrics)
    return analyse(several, several.analysis(wanted), leave_out=True)


def _check_comparable(several: SeveralCampaigns, metrics: Sequence[str]) -> None:
    """Refuse trials that would share a table though what they measured is not the same, whatever their digests say."""
    firsts: dict[tuple[str, str], tuple[TrialRecord, list[str]]] = {}
    for record in several.trials():
        if record.started_at is None or not several.rounds(record.trial_id).num_rows:
            continue
        names = several.samples(record.trial_id).column("name").to_pylist()
        first, expected = firsts.setdefault((record.trial.task.name, record.digests["data"]), (record, names))
        if not metrics and record.metrics[:1] != first.metrics[:1]:
            one, other = (", ".join(of.metrics[:1]) or "nothing" for of in (first, record))
            difference = f"{first.trial_id} is judged by {one} and {record.trial_id} by {other}"
            raise InputError(f"{difference}, which cannot stand in one table: name one metric for all by analysis.metrics=[NAME]")
        if names != expected:
            raise InputError(
                f"{record.trial_id} has other samples than {first.trial_id} under one data digest, so that one of them is damaged: "
                "restore it from a copy, or report the campaigns apart"
            )


def stored_tables(results: CampaignAnalysis, campaign: SeveralCampaigns) -> Mapping[str, pa.Table]:
    """Return the result tables with a column ``campaign`` in front, and match keys, tasks and systems as they are in every campaign.

    Trial ids keep their campaign's label, so that ``trial``, ``baseline`` and ``threshold_reference`` still name one trial each.
    """
    return {name: _stored(table, campaign) for name, table in results.tables.items()}


def _stored(table: pa.Table, campaign: SeveralCampaigns) -> pa.Table:
    origins = [campaign.origin(trial) for trial in table.column("trial").to_pylist()]
    for name in ("match_key", "task", "system"):
        place = table.schema.get_field_index(name)
        values = pa.array([record.labels()[name] for _, record in origins], pa.string())
        table = table.set_column(place, table.schema.field(place), values)
    return table.add_column(0, pa.field("campaign", pa.string(), nullable=False), pa.array([label for label, _ in origins], pa.string()))
