import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from refusals import refused

from orchestrator.storage.files import write_json
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import CampaignRecord, TrialRecord
from orchestrator.storage.writer import CampaignWriter

NewRecord = Callable[..., CampaignRecord]


def test_only_a_new_or_empty_folder_is_taken(directory: Path, new_record: NewRecord) -> None:
    directory.mkdir(parents=True)
    (directory / ".lock").write_text("")  # as a killed start leaves it
    (directory / ".campaign.json.17.tmp").write_text("{")
    record = new_record(trials=3)
    with CampaignWriter.create(directory, record):
        assert open_campaign(directory).record == record
        assert [path.name for path in directory.parents[1].iterdir()] == [directory.parent.name]
    before = (directory / "campaign.json").read_bytes()
    strange = directory.with_name("thesis")
    strange.mkdir()
    (strange / "thesis.tex").write_text("years of work")
    for taken in (directory, strange):
        with refused("exists", "results_dir", taken):
            CampaignWriter.create(taken, new_record())
    with refused("exists"):
        CampaignWriter.create(directory / "a", new_record())
    with refused("unreadable", "results_dir"):
        CampaignWriter.create(strange / "thesis.tex" / "x", new_record())
    with refused("not_found", value=strange):
        CampaignWriter.reopen(strange)
    assert (directory / "campaign.json").read_bytes() == before
    assert [path.name for path in strange.iterdir()] == ["thesis.tex"]


def begin(campaign: CampaignWriter, trial_id: str) -> None:
    campaign.trial(trial_id).write_record(TrialRecord.from_plan(campaign.record.planned(trial_id)))


def states_in_the_file(directory: Path) -> list[str]:
    return [trial["state"] for trial in json.loads((directory / "campaign.json").read_text())["trials"]]


def test_a_state_is_stored_at_once(campaign: CampaignWriter, trial_id: str) -> None:
    begin(campaign, trial_id)
    campaign.set_state(trial_id, "running")
    campaign.note(trial_id, ["system.cores"], extension=9)
    noted = open_campaign(campaign.directory).trial(trial_id)
    assert (noted.state, noted.changes, noted.extension) == ("running", ("system.cores",), 9)
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


def test_the_trials_own_state_counts_where_a_driver_was_killed(campaign: CampaignWriter, trial_id: str, tmp_path: Path) -> None:
    begin(campaign, trial_id)
    for state in ("running", "interrupted", "running", "done"):
        campaign.set_state(trial_id, state)
    assert states_in_the_file(campaign.directory) == ["running", "planned"]
    left = shutil.copytree(campaign.directory, tmp_path / "left")
    assert [planned.state for planned in open_campaign(left).record.trials] == ["done", "planned"]
    assert [record.state for record in open_campaign(left).trials()] == ["done", "planned"]
    with CampaignWriter.reopen(left) as later:
        assert [planned.state for planned in later.record.trials] == ["done", "planned"]
    assert states_in_the_file(left) == ["done", "planned"]
    assert not open_campaign(left).record.under_way
    write_json(left / "trials" / trial_id / "trial.json", TrialRecord.from_plan(campaign.record.planned(trial_id)).model_dump(mode="json"))
    assert [record.state for record in open_campaign(left).trials()] == ["done", "planned"]


def test_a_directory_that_was_exchanged_is_no_place_to_go_on(
    campaign: CampaignWriter, trial_id: str, directory: Path, new_round: Callable[..., tuple[object, object]]
) -> None:
    trial = campaign.trial(trial_id)
    trial.append(*new_round(0))  # type: ignore[arg-type]
    trial.flush()
    campaign.look_after()
    away = directory.rename(directory.with_name("away"))
    directory.mkdir()
    trial.append(*new_round(1))  # type: ignore[arg-type]
    trial.flush()
    assert open_campaign(away).rounds(trial_id).column("round").to_pylist() == [0, 1]
    for act in (trial.finish, campaign.look_after, lambda: campaign.set_state(trial_id, "interrupted")):
        with pytest.raises(OSError, match="was removed, moved or replaced"):
            act()
    assert f"{directory} was removed, moved or replaced while measuring" in str(campaign.gone())
    assert not [*directory.iterdir()]
    directory.rmdir()
    away.rename(directory)
    campaign.look_after()
    assert campaign.gone() is None


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("+sweep=vision", "model=a,b"),
        ("task.root='C: \\dir'", 'x="q" # no comment', "- y"),
        ("é\u2028\x7f\x85\x9f\ufffe🙂", "\n\t"),
    ],
)
def test_overrides_are_yaml(directory: Path, new_record: NewRecord, command: tuple[str, ...]) -> None:
    sweep = {"axes": {"model": "a,b"}, "set": ["measurement.repeat=3"], "exclude": [{"model": "a"}]}
    record = new_record().model_copy(update={"command": command, "sweep": sweep})
    CampaignWriter.create(directory, record).close()
    assert yaml.safe_load((directory / "overrides.yaml").read_text("utf-8")) == {"command": list(command), "sweep": sweep}


def test_further_trials_are_on_disk_at_once_and_never_twice(directory: Path, new_record: NewRecord) -> None:
    first, second, third = new_record(trials=3).trials
    with CampaignWriter.create(directory, new_record(trials=1)) as writer:
        writer.set_state(first.trial_id, "infeasible", "too small")
        writer.add([second, third])
        added = open_campaign(directory).record
        assert (added.under_way, [planned.trial_id for planned in added.trials]) == (
            True,
            [first.trial_id, second.trial_id, third.trial_id],
        )
        with pytest.raises(ValueError, match=f"{second.trial_id} occurs twice"):
            writer.add([second])
        writer.set_state(third.trial_id, "infeasible", None)
    stored = open_campaign(directory).record
    assert [planned.state for planned in stored.trials] == ["infeasible", "planned", "infeasible"]
    assert not stored.under_way
