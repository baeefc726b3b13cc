import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from refusals import refused

from orchestrator.storage.files import write_json
from orchestrator.storage.layout import TrialFolder
from orchestrator.storage.load import read_json, read_trial
from orchestrator.storage.records import CLOCK_SET_BACK, CampaignRecord, PlannedTrial, Process, Stopping, TrialError, TrialRecord

NewRecord = Callable[..., CampaignRecord]


def full_trial(planned: PlannedTrial) -> TrialRecord:
    return TrialRecord(
        **dict(planned),
        placement={"cores": [0], "masks": {"17": [0]}},
        stack={"torch": "2.9.0"},
        digests={"samples": "ab", "weights": "cd"},
        cold_start={"load_ns": 12},
        facts={"threads": {"torch": 1}},
        metrics=("top1",),
        ideal={"top1": 0.9},
        stopping=Stopping(rule="settled", reason="settled", checks=({"rounds": 30, "rjsd": 0.04}, {"rounds": 35, "rjsd": None})),
        errors=(TrialError(message="out of memory", round=3, sample=7),),
        started_at=datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        processes=(Process(process=0, pid=17, host="a", started_at=datetime(2030, 1, 1, tzinfo=UTC), boot_id="b"),),
        flags=("trend",),
    )


def test_trial_round_trip_keeps_time_in_utc(tmp_path: Path, new_record: NewRecord) -> None:
    record = full_trial(new_record().trials[0])
    write_json(tmp_path / "trial.json", record.model_dump(mode="json"))
    assert read_json(tmp_path / "trial.json", TrialRecord) == record
    assert json.loads((tmp_path / "trial.json").read_text())["started_at"] == "2030-01-01T10:00:00Z"


def test_a_newer_file_is_refused_by_its_number(tmp_path: Path, new_record: NewRecord) -> None:
    path = tmp_path / "campaign.json"
    document = {**new_record().model_dump(mode="json"), "schema_version": 3, "from_the_future": 1}
    write_json(path, document)
    with refused("unsupported", value=path):
        read_json(path, CampaignRecord)


@pytest.mark.parametrize(
    "change", [{"colour": "red"}, {"schema_version": 0}, {"created_at": "2030-01-01T00:00:00"}, {"trials": [{}]}], ids=str
)
def test_what_does_not_fit_is_named_with_its_file(tmp_path: Path, new_record: NewRecord, change: dict[str, Any]) -> None:
    path = tmp_path / "campaign.json"
    write_json(path, {**new_record().model_dump(mode="json"), **change})
    with refused("damaged", value=path):
        read_json(path, CampaignRecord)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2", b"\x00", b"[" * 100_000, b'{"a": "\xff"}', b"null"])
def test_a_torn_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trial.json"
    path.write_bytes(content)
    with refused("damaged", value=path):
        read_json(path, TrialRecord)


@pytest.mark.parametrize("name", ["../x", "/etc", "", "x" * 300, "a\n", "C:x"])
def test_ids_never_lead_elsewhere(new_record: NewRecord, name: str) -> None:
    trial = new_record().trials[0].trial
    with pytest.raises(ValidationError):
        PlannedTrial(trial_id=f"{name}-r0", match_key="x", trial=trial)


@pytest.mark.parametrize(
    "change",
    [
        {"cold_start": {"load_ns": -1}},
        {"cold_start": {"warmup_rounds_ns": [5, -1]}},
        {"placement": {"at_end": {"peak_memory_bytes": -1}}},
        {"environment": {"memory_bytes": -1}},
        {"stopping": {"rule": "x", "checks": [{"rounds": 2, "rjsd_total": 1e300}]}},
        {"ideal": {"top1": -1e300}},
        {"rounds": 2**31},
        {"processes": [{"process": 0, "pid": 1, "host": "a", "started_at": "2030-01-01T00:00:00Z", "created_s": -1}]},
    ],
    ids=str,
)
def test_times_sizes_and_figures_that_cannot_be_are_refused(tmp_path: Path, new_record: NewRecord, change: dict[str, Any]) -> None:
    write_json(tmp_path / "trial.json", {**full_trial(new_record().trials[0]).model_dump(mode="json"), **change})
    with refused("damaged", value=tmp_path / "trial.json"):
        read_json(tmp_path / "trial.json", TrialRecord)


def test_a_clock_that_was_set_back_is_a_flag_about_the_machine(new_record: NewRecord) -> None:
    began = datetime(2030, 1, 1, tzinfo=UTC)
    record = TrialRecord(**dict(new_record().trials[0]), started_at=began, ended_at=began - timedelta(seconds=1), flags=("trend",))
    assert record.flags == TrialRecord.model_validate(record.model_dump()).flags == ("trend", CLOCK_SET_BACK)
    assert record.flags_of_figures == ("trend",)


def test_a_trial_is_the_one_that_was_planned(tmp_path: Path, new_record: NewRecord) -> None:
    planned = new_record().trials[0]
    other = planned.trial.model_copy(update={"system": planned.trial.system.model_copy(update={"name": "gpu"})})
    folder = TrialFolder(tmp_path)
    write_json(folder.record, full_trial(planned).model_copy(update={"trial": other}).model_dump(mode="json"))
    with refused("damaged", value=folder.record):
        read_trial(folder, planned)
