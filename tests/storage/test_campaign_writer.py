from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from orchestrator.contracts import InputError
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord
from orchestrator.storage.writer import CampaignWriter, overrides_yaml

NewRecord = Callable[..., CampaignRecord]


def test_create_writes_the_plan_before_anything_else(directory: Path, new_record: NewRecord) -> None:
    record = new_record(trials=3)
    with CampaignWriter.create(directory, record):
        assert sorted(path.name for path in directory.iterdir()) == [".lock", "campaign.json", "overrides.yaml"]
        assert open_campaign(directory).record == record


def test_latest_points_at_the_newest(directory: Path, new_record: NewRecord) -> None:
    latest = directory.parent.parent / "latest"
    CampaignWriter.create(directory, new_record(), latest=True).close()
    second = directory.with_name("20300102T040000Z")
    CampaignWriter.create(second, new_record(), latest=True).close()
    assert latest.resolve() == second
    assert not latest.readlink().is_absolute()


def test_a_folder_of_something_else_is_refused(directory: Path, new_record: NewRecord) -> None:
    directory.mkdir(parents=True)
    (directory / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"is not empty \(it holds thesis\.tex\): choose a new directory"):
        CampaignWriter.create(directory, new_record())
    assert [path.name for path in directory.iterdir()] == ["thesis.tex"]


def test_a_campaign_is_never_overwritten(directory: Path, new_record: NewRecord) -> None:
    CampaignWriter.create(directory, new_record()).close()
    before = (directory / "campaign.json").read_bytes()
    with pytest.raises(InputError, match="holds a campaign already: go on with it"):
        CampaignWriter.create(directory, new_record(trials=2))
    assert (directory / "campaign.json").read_bytes() == before


def test_what_a_killed_start_left_is_no_hindrance(directory: Path, new_record: NewRecord) -> None:
    directory.mkdir(parents=True)
    (directory / ".lock").write_text("")
    (directory / ".campaign.json.17.tmp").write_text("{")
    (directory / "overrides.yaml").write_text("command: []\n")
    CampaignWriter.create(directory, new_record()).close()
    assert open_campaign(directory).record.name == "vision"


def test_a_path_that_cannot_be_a_directory_is_refused(tmp_path: Path, new_record: NewRecord) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be made .*results_dir="):
        CampaignWriter.create(tmp_path / "file" / "x", new_record())
    with pytest.raises(InputError, match=r"cannot be made .*results_dir="):
        CampaignWriter.create(tmp_path / "file", new_record())


def test_reopen_wants_a_campaign(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no campaign\.json"):
        CampaignWriter.reopen(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_states_are_stored_at_once_in_both_files(campaign: CampaignWriter, trial_id: str) -> None:
    campaign.set_state(trial_id, "running")
    assert open_campaign(campaign.directory).trial(trial_id).state == "running"
    campaign.trial(trial_id).write_record(TrialRecord.from_plan(campaign.record.planned(trial_id)))
    campaign.set_state(trial_id, "failed", "out of memory")
    record = json.loads((campaign.directory / "trials" / trial_id / "trial.json").read_text())
    assert (record["state"], record["reason"]) == ("failed", "out of memory")
    assert [(trial.state, trial.reason) for trial in open_campaign(campaign.directory).trials()] == [
        ("failed", "out of memory"),
        ("planned", None),
    ]
    campaign.close()
    with CampaignWriter.reopen(campaign.directory) as later:
        assert later.record.planned(trial_id).state == "failed"


def test_the_campaigns_state_counts_where_a_kill_came_between_the_files(campaign: CampaignWriter, trial_id: str) -> None:
    record = TrialRecord.from_plan(campaign.record.planned(trial_id)).model_copy(update={"state": "done"})
    campaign.set_state(trial_id, "running")
    campaign.trial(trial_id).write_record(record)
    assert open_campaign(campaign.directory).trial(trial_id).state == "running"


def test_threads_share_a_campaign(directory: Path, new_record: NewRecord) -> None:
    with CampaignWriter.create(directory, new_record(trials=8)) as writer:
        ids = [planned.trial_id for planned in writer.record.trials]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda trial_id: writer.set_state(trial_id, "running"), ids))
            list(pool.map(lambda trial_id: writer.set_state(trial_id, "done", trial_id), ids))
    assert [(trial.state, trial.reason) for trial in open_campaign(directory).trials()] == [("done", name) for name in ids]


def test_one_writer_per_trial_and_none_for_strangers(campaign: CampaignWriter, trial_id: str) -> None:
    assert campaign.trial(trial_id) is campaign.trial(trial_id)
    for stranger in ("../../etc", "net"):
        with pytest.raises(InputError, match="not in this campaign"):
            campaign.trial(stranger)
        with pytest.raises(InputError, match="not in this campaign"):
            campaign.set_state(stranger, "done")


def test_close_lets_go_and_flushes_all_even_if_one_trial_cannot(
    campaign: CampaignWriter, trial_id: str, new_round: Callable[..., tuple[object, object]]
) -> None:
    other = trial_id.replace("-r0", "-r1")
    for name in (trial_id, other):
        campaign.trial(name).append(*new_round(0))  # type: ignore[arg-type]
    (campaign.directory / "trials" / other / "timings").rmdir()
    with pytest.raises(FileNotFoundError):
        campaign.close()
    assert open_campaign(campaign.directory).rounds(trial_id).num_rows == 1
    CampaignWriter.reopen(campaign.directory).close()


COMMANDS = [
    (),
    ("+sweep=vision", "model=a,b"),
    ("task.root='C: \\dir'", 'x="q" # no comment', "- y"),
    ("é\u2028\x7f\x85\x9f\ufffe🙂", "\n\t"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_overrides_are_yaml(new_record: NewRecord, command: tuple[str, ...]) -> None:
    sweep = {"axes": {"model": "a,b"}, "set": ["measurement.repeat=3"], "exclude": [{"model": "a"}]}
    record = new_record().model_copy(update={"command": command, "sweep": sweep})
    assert yaml.safe_load(overrides_yaml(record)) == {"command": list(command), "sweep": sweep}
