from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.contracts import InputError
from orchestrator.storage.files import write_json
from orchestrator.storage.layout import TrialFolder
from orchestrator.storage.load import read_json, read_trial
from orchestrator.storage.records import CLOCK_SET_BACK, CampaignRecord, LeftOut, PlannedTrial, Process, Stopping, TrialError, TrialRecord

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


def test_campaign_round_trip(tmp_path: Path, new_record: NewRecord) -> None:
    plain = new_record(trials=3)
    record = plain.model_copy(update={"left_out": (LeftOut(pair=("net", "mmlu"), reason="image is not text"),), "sweep": {"a": [1]}})
    write_json(tmp_path / "campaign.json", record.model_dump(mode="json"))
    assert read_json(tmp_path / "campaign.json", CampaignRecord) == record


def test_trial_round_trip_keeps_time_in_utc(tmp_path: Path, new_record: NewRecord) -> None:
    record = full_trial(new_record().trials[0])
    write_json(tmp_path / "trial.json", record.model_dump(mode="json"))
    assert read_json(tmp_path / "trial.json", TrialRecord) == record
    assert json.loads((tmp_path / "trial.json").read_text())["started_at"] == "2030-01-01T10:00:00Z"


def test_a_newer_file_is_refused_by_its_number(tmp_path: Path, new_record: NewRecord) -> None:
    path = tmp_path / "campaign.json"
    document = {**new_record().model_dump(mode="json"), "schema_version": 3, "from_the_future": 1}
    write_json(path, document)
    with pytest.raises(InputError, match=r"campaign\.json has schema version 3 .* up to 2: upgrade"):
        read_json(path, CampaignRecord)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"colour": "red"}, "colour: no such key"),
        ({"schema_version": 0}, "schema_version=0"),
        ({"created_at": "2030-01-01T00:00:00"}, "created_at"),
        ({"trials": [{}]}, r"trials\.0\.trial_id"),
    ],
)
def test_what_does_not_fit_is_named_with_its_file(tmp_path: Path, new_record: NewRecord, change: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "campaign.json"
    write_json(path, {**new_record().model_dump(mode="json"), **change})
    with pytest.raises(InputError, match=rf"campaign\.json is not what this program writes: {complaint}"):
        read_json(path, CampaignRecord)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2", b"\x00", b"[" * 100_000, b'{"a": "\xff"}'])
def test_a_torn_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trial.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"trial\.json is not what this program writes"):
        read_json(path, TrialRecord)


@pytest.mark.parametrize("text", ["[]", "null", "3"])
def test_json_of_another_kind_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trial.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"trial\.json is not what this program writes: it has no checksum"):
        read_json(path, TrialRecord)


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc", ".x", "a..b", "", "x" * 300, "a\\b", "a\n", "a b", "C:x"])
def test_ids_never_lead_elsewhere(new_record: NewRecord, name: str) -> None:
    trial = new_record().trials[0].trial
    with pytest.raises(ValidationError, match="must be 1 to 240 of the characters"):
        PlannedTrial(trial_id=f"{name}-r0", match_key="x", trial=trial)


def test_the_id_is_the_match_key_and_the_repeat(new_record: NewRecord) -> None:
    trial = new_record().trials[0].trial
    with pytest.raises(ValidationError, match="match_key a with -r0 after it"):
        PlannedTrial(trial_id="a-r1", match_key="a", trial=trial)


def test_ids_are_unique_also_where_case_is_ignored(new_record: NewRecord) -> None:
    record = new_record()
    first = record.trials[0]
    other = PlannedTrial(trial_id=first.trial_id.upper().replace("-R0", "-r0"), match_key=first.match_key.upper(), trial=first.trial)
    with pytest.raises(ValidationError, match="occurs twice"):
        CampaignRecord(code_version="1", name="x", trials=(first, other))


def test_states(new_record: NewRecord) -> None:
    planned = new_record().trials[0]
    failed = planned.with_state("failed", "out of memory")
    assert (failed.state, failed.reason, failed.trial_id) == ("failed", "out of memory", planned.trial_id)
    assert (planned.state, planned.reason) == ("planned", None)


def test_a_trial_is_found_in_a_record_and_in_changed_copies_of_it(new_record: NewRecord) -> None:
    record = new_record(trials=3)
    assert [record.planned(planned.trial_id) for planned in record.trials] == list(record.trials)
    turned = record.model_copy(update={"trials": record.trials[:0:-1]})
    assert [turned.planned(planned.trial_id) for planned in turned.trials] == [record.trials[2], record.trials[1]]
    with pytest.raises(InputError, match="choose one of its 2 trials"):
        turned.planned(record.trials[0].trial_id)
    assert record == new_record(trials=3).model_copy(update={"created_at": record.created_at})


def test_an_unknown_trial_is_answered_with_the_nearest(new_record: NewRecord) -> None:
    record = new_record(trials=2)
    with pytest.raises(InputError, match=r"'net-digits-r1' is not in this campaign: choose one of its 2 trials; there is net-.*-r1"):
        record.planned("net-digits-r1")


def test_labels(new_record: NewRecord) -> None:
    assert new_record(trials=2).trials[1].labels() == {
        "trial": "net-digits-cpu_1core-torch-0a1b2c3d-r1",
        "match_key": "net-digits-cpu_1core-torch-0a1b2c3d",
        "model": "net",
        "task": "digits",
        "system": "cpu_1core",
        "runtime": "torch",
        "server": "none",
        "batch": 2,
        "repeat": 1,
    }


def test_text_that_no_utf_8_can_hold_comes_back_with_escapes(tmp_path: Path, new_record: NewRecord) -> None:
    path = tmp_path / "trial.json"
    message = "no such file: caf\udce9 \U0001f642"
    record = full_trial(new_record().trials[0]).model_copy(update={"reason": message, "facts": {"path": [message]}, "flags": (message,)})
    write_json(path, record.model_dump(mode="json"))
    shown = "no such file: caf\\udce9 \U0001f642"
    read = read_json(path, TrialRecord)
    assert (read.reason, read.facts, read.flags) == (shown, {"path": [shown]}, (shown,))


def test_a_seal_is_put_in_once(tmp_path: Path, new_record: NewRecord) -> None:
    path = tmp_path / "campaign.json"
    record = new_record().model_copy(update={"code_digest": "0" * 64})
    write_json(path, record.model_dump(mode="json"))
    assert read_json(path, CampaignRecord) == record


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cold_start": {"load_ns": -1}}, "cold_start: load_ns=-1: must be at least 0"),
        ({"cold_start": {"first_total_ns": 2**53}}, "first_total_ns=9007199254740992: must be below"),
        ({"cold_start": {"warmup_rounds_ns": [5, -1]}}, "warmup_rounds_ns.1=-1: must be at least 0"),
        ({"cold_start": {"earlier": [{"peak_memory_bytes": -1}]}}, "earlier.0: peak_memory_bytes=-1: must be at least 0"),
        ({"placement": {"at_end": {"peak_memory_bytes": -1}}}, "at_end: peak_memory_bytes=-1: must be at least 0"),
        ({"environment": {"memory_bytes": -1}}, "memory_bytes=-1: must be at least 0"),
        ({"stopping": {"rule": "x", "checks": [{"rounds": 2, "rjsd_total": 1e300}]}}, "rjsd_total=1e[+]300: must be at most"),
        ({"stopping": {"rule": "x", "checks": [{"rounds": 0}]}}, "rounds=0: must be at least 1"),
        ({"ideal": {"top1": -1e300}}, r"ideal.top1=-1e\+300: must be at least"),
        ({"rounds": 2**31}, "rounds=2147483648"),
        ({"processes": [{"process": 0, "pid": 1, "host": "a", "started_at": "2030-01-01T00:00:00Z", "created_s": -1}]}, "created_s=-1"),
    ],
)
def test_times_sizes_and_figures_that_cannot_be_are_named(tmp_path: Path, new_record: NewRecord, change: dict[str, Any], told: str) -> None:
    write_json(tmp_path / "trial.json", {**full_trial(new_record().trials[0]).model_dump(mode="json"), **change})
    with pytest.raises(InputError, match=rf"trial\.json is not what this program writes: .*{told}"):
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
    with pytest.raises(InputError, match=rf"trial\.json is the record of {planned.trial_id}, but not of what campaign\.json plans there"):
        read_trial(folder, planned)
