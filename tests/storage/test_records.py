import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from refusals import refused

from orchestrator.contracts import Code
from orchestrator.storage import records
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


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"colour": "red"}, "damaged"), ({"schema_version": 0}, "damaged"), ({"created_at": "2030-01-01T00:00:00"}, "damaged"),
        ({"trials": [{}]}, "damaged"), ({"schema_version": 3, "from_the_future": 1}, "unsupported"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_file(tmp_path: Path, new_record: NewRecord, change: dict[str, Any], code: Code) -> None:
    path = tmp_path / "campaign.json"
    write_json(path, {**new_record().model_dump(mode="json"), **change})
    with refused(code, value=path):
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


def test_what_was_not_asked_is_not_stored(new_record: NewRecord) -> None:
    trial = new_record().trials[0].trial.model_dump(mode="json")
    for more in ({}, {"answers": 1, "max_seconds": 2.0, "minutes": 3.0}):
        asked = {"deadline": "8 ms", "keep": 0.9, "trials": [trial], **more}
        assert records.CapacityQuestion.model_validate_json(json.dumps(asked)).model_dump(mode="json") == asked


def of(model: type[BaseModel], name: str) -> Any:
    return Annotated[model.model_fields[name].annotation, model.model_fields[name]]


@pytest.mark.parametrize(
    ("kind", "fit", "beyond"),
    [
        (records.Count, [0, 2**63 - 1], [-1, 2**63]),
        (records.Time, [0, 0.5, 2**53 - 1], [-1, -0.5, 2**53, 2.0**53]),
        (records.Spread, [0, 0.5, 10**30], [-1, -0.5, 10**30 * 2, 1.1e30]),
        (records.Quality, [-1e30, 1e30], [-1.1e30, 1.1e30]),
        (records.Distance, [0, 0.5, math.sqrt(math.log(2))], [-0.1, 0.84]),
        (records.Version, [1, 2], [0, 3]),
        *((of(*place), [0, 2**31 - 1], [-1, 2**31]) for place in ((Process, "process"), (TrialError, "round"), (TrialError, "sample"))),
        *((of(*place), [0, 2**31 - 1], [-1, 2**31]) for place in ((records.Fault, "process"), (records.Fault, "round"), (TrialRecord, "rounds"))),
        (of(TrialRecord, "ideal"), [{"top1": 1.0}], [{"top1": -1e300}]),
        (records.ColdStart, [{"load_ns": 0, "warmup_rounds_ns": [5, 0]}], [{"load_ns": -1}, {"warmup_rounds_ns": [5, -1]}]),
        (records.Placement, [{"at_end": {"peak_memory_bytes": 0}}], [{"at_end": {"peak_memory_bytes": -1}}]),
        (records.Environment, [{"memory_bytes": 0}], [{"memory_bytes": -1}]),
        (of(TrialRecord, "looks"), [(), (0, 2**31 - 1)], [(-1,), (2**31,)]),
        (of(TrialRecord, "extension"), [None, 1, 2**31 - 1], [0, 2**31]),
        (of(Process, "pid"), [1], [0]),
        (of(Process, "created_s"), [None, 0, 253_402_300_799], [-1, 253_402_300_800]),
        (of(PlannedTrial, "part"), [0, 1], [-1]),
        (of(records.CapacityQuestion, "keep"), [0.001, 0.999], [0, 1]),
        *((of(records.CapacityQuestion, name), [None, 1], [0]) for name in ("answers", "max_seconds", "minutes")),
        (records.Check, [{"rounds": 1, "percentile": 0}, {"rounds": 2**31 - 1, "percentile": 100}], [{}, {"rounds": 0}, {"rounds": 2**31}]),
        (records.Check, [{"rounds": 1, "quality_mean": -1}], [{"rounds": 2, "rjsd_total": 1e300}, *({"rounds": 1, "percentile": value} for value in (-0.5, 100.5))]),
    ],
)  # fmt: skip
def test_a_figure_has_a_range(kind: Any, fit: list[Any], beyond: list[Any]) -> None:
    check = TypeAdapter(kind).validate_python
    for value in fit:
        assert check(value, strict=True) == value
    for value in beyond:
        with pytest.raises(ValidationError):
            check(value, strict=True)


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
