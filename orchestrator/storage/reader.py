"""Read a campaign's directory. A reader writes nothing, and may read while a driver writes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from orchestrator.contracts import InputError
from orchestrator.storage import schema, twins
from orchestrator.storage.layout import CAMPAIGN, TrialFolder, refuse_no_campaign, trial_folder
from orchestrator.storage.load import read_json, read_table
from orchestrator.storage.matrix import RoundMatrix, round_matrix
from orchestrator.storage.records import CampaignRecord, TrialRecord


class Campaign:
    """A stored campaign. Every method reads from the disk and raises InputError for a damaged file or an unknown trial."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.record = read_json(directory / CAMPAIGN, CampaignRecord)

    def trial(self, trial_id: str) -> TrialRecord:
        """Return what is known of a trial. Its state is the one in ``campaign.json``."""
        planned = self.record.planned(trial_id)
        path = self._folder(trial_id).record
        if not path.exists():
            return TrialRecord.from_plan(planned)
        record = read_json(path, TrialRecord)
        if record.trial_id != trial_id:
            raise InputError(f"{path} is the record of {record.trial_id}: restore it from a copy")
        return record.model_copy(update={"state": planned.state, "reason": planned.reason})

    def trials(self) -> list[TrialRecord]:
        """Return all trials in the order of the plan."""
        return [self.trial(planned.trial_id) for planned in self.record.trials]

    def timings(self, trial_id: str) -> pa.Table:
        """Return the timings of all stored rounds, sorted by round and sample; columns of ``schema.TIMINGS``."""
        return twins.timings(self._folder(trial_id))

    def rounds(self, trial_id: str) -> pa.Table:
        """Return one row per stored round, sorted by round; columns of ``schema.ROUNDS``."""
        return twins.rounds(self._folder(trial_id))

    def matrix(self, trial_id: str) -> RoundMatrix:
        """Return the times of all stored rounds as matrices over rounds and samples."""
        return round_matrix(*twins.both(self._folder(trial_id)))

    def samples(self, trial_id: str) -> pa.Table:
        """Return one row per sample: its reference, first prediction, sizes, scores and slices."""
        remedy = "the trial ended before its warm-up; measure it again"
        return _existing(self._folder(trial_id).samples, remedy)

    def warmup(self, trial_id: str) -> pa.Table:
        """Return the timings of the warm-up rounds; no rows where there are none yet."""
        path = self._folder(trial_id).warmup
        return read_table(path, schema.TIMINGS) if path.exists() else schema.TIMINGS.empty_table()

    def answers(self, trial_id: str, number: int) -> pa.Table | None:
        """Return the answers of a round that differ from the first round's, or None where none do."""
        path = self._folder(trial_id).answers_of(number)
        stored = path.exists() and number in self.rounds(trial_id).column("round").to_pylist()
        return read_table(path) if stored else None

    def table(self, name: str) -> pa.Table:
        """Return a result table by its name, one of ``schema.RESULT_TABLES``."""
        if name not in schema.RESULT_TABLES:
            raise InputError(f"result table {name!r} is unknown: choose one of {', '.join(schema.RESULT_TABLES)}")
        remedy = f"write it with `python -m orchestrator report {self.directory}`"
        return _existing(self.directory / f"{name}.parquet", remedy)

    def _folder(self, trial_id: str) -> TrialFolder:
        return trial_folder(self.directory, self.record.planned(trial_id).trial_id)


def _existing(path: Path, remedy: str) -> pa.Table:
    if not path.exists():
        raise InputError(f"{path} is missing: {remedy}")
    return read_table(path, remedy=remedy)


def open_campaign(directory: Path | str) -> Campaign:
    """Open a campaign's directory for reading.

    Raises
    ------
    InputError
        for a directory that holds no campaign, one that a newer program wrote, or a damaged ``campaign.json``.
    """
    path = Path(directory)
    refuse_no_campaign(path)
    return Campaign(path)
