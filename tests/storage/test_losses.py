"""Files of a trial are taken away: what no driver's death explains is named, and nothing more is lost on its account."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from sample_tables import samples_of

from orchestrator.contracts import InputError
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.schema import State
from orchestrator.storage.writer import CampaignWriter

NewRound = Callable[..., tuple[pa.RecordBatch, pa.RecordBatch]]
FIRST, SECOND, THIRD, FOURTH = (f"part-0000{number}.parquet" for number in range(4))
MERGED = "part-00000-00003.parquet"


def store(campaign: CampaignWriter, trial_id: str, new_round: NewRound, state: State) -> Path:
    """Store rounds 0 to 7 in four parts, or in one where the trial is done, and return the trial's folder."""
    trial = campaign.trial(trial_id)
    record = TrialRecord.from_plan(campaign.record.planned(trial_id))
    trial.write_record(record)
    trial.write_samples(samples_of(3))
    for number in range(8):
        trial.append(*new_round(number))
        if number % 2:
            trial.flush()
    if state == "done":
        trial.finish()
    if state != "running":
        trial.write_record(record)
    campaign.set_state(trial_id, state)
    campaign.close()
    return campaign.directory / "trials" / trial_id


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def complaints(directory: Path, trial_id: str) -> set[str]:
    """What readers and a driver say, none of whom may take anything away."""
    told = []
    before = files(directory / "trials")
    reader = open_campaign(directory)
    for look in (reader.rounds, reader.timings, reader.matrix, open_writer(directory)):
        with pytest.raises(InputError) as complaint:
            look(trial_id)
        told.append(str(complaint.value))
    assert files(directory / "trials") == before
    assert all(len(line.splitlines()) == 1 for line in told)
    return set(told)


def open_writer(directory: Path) -> Callable[[str], object]:
    def look(trial_id: str) -> object:
        with CampaignWriter.reopen(directory) as writer:
            return writer.trial(trial_id)

    return look


@pytest.mark.parametrize(
    ("state", "gone", "named"),
    [
        ("done", [f"timings/{MERGED}"], "timings lacks round 0, which rounds/ has"),
        ("done", [f"rounds/{MERGED}"], "rounds has 0 rounds and trial.json counts 8"),
        ("done", [f"timings/{MERGED}", f"rounds/{MERGED}"], "rounds has 0 rounds and trial.json counts 8"),
        ("interrupted", [f"timings/{SECOND}"], "timings lacks round 2"),
        ("interrupted", [f"rounds/{SECOND}"], "rounds lacks round 2 and has later ones"),
        ("interrupted", [f"timings/{SECOND}", f"rounds/{SECOND}"], "rounds lacks round 2 and has later ones"),
        ("interrupted", [f"timings/{FOURTH}"], "timings lacks round 6"),
        ("interrupted", [f"rounds/{FOURTH}"], "rounds has 6 rounds and trial.json counts 8"),
        ("running", [f"timings/{FOURTH}"], "timings lacks round 6"),
        ("running", [f"rounds/{FIRST}"], "rounds lacks round 0"),
        ("running", [f"rounds/{THIRD}", f"rounds/{FOURTH}"], "rounds lacks parts that timings/ has"),
        ("running", ["rounds"], "rounds lacks parts that timings/ has"),
        ("running", ["timings"], "timings lacks round 0"),
    ],
)
def test_a_part_that_was_taken_away_is_named(
    campaign: CampaignWriter, trial_id: str, new_round: NewRound, state: State, gone: list[str], named: str
) -> None:
    folder = store(campaign, trial_id, new_round, state)
    for name in gone:
        (shutil.rmtree if (folder / name).is_dir() else Path.unlink)(folder / name)
    assert all(named in told for told in complaints(campaign.directory, trial_id))


def test_what_a_death_left_is_no_loss(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    folder = store(campaign, trial_id, new_round, "running")
    (folder / "rounds" / FOURTH).unlink()
    assert open_campaign(campaign.directory).rounds(trial_id).num_rows == 6
    with CampaignWriter.reopen(campaign.directory) as later:
        assert later.trial(trial_id).rounds == 6
        assert not (folder / "timings" / FOURTH).exists()
        later.trial(trial_id).append(*new_round(6))
    assert open_campaign(campaign.directory).rounds(trial_id).num_rows == 7


def test_a_gap_in_the_numbers_of_rounds_is_refused(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    for number in (0, 2):
        campaign.trial(trial_id).append(*new_round(number))
    campaign.close()
    assert all("rounds lacks round 1 and has later ones" in told for told in complaints(campaign.directory, trial_id))


@pytest.mark.parametrize("state", ["running", "done", "failed", "interrupted"])
def test_a_missing_record_of_a_trial_that_has_begun_is_named(
    campaign: CampaignWriter, trial_id: str, new_round: NewRound, state: State
) -> None:
    folder = store(campaign, trial_id, new_round, state)
    (folder / "trial.json").unlink()
    told = rf"{trial_id}/trial\.json is missing \(the trial is {state} by campaign\.json\): restore it"
    with pytest.raises(InputError, match=told):
        open_campaign(campaign.directory).trials()
    with CampaignWriter.reopen(campaign.directory) as later, pytest.raises(InputError, match=told):
        later.read_trial(trial_id)
    shutil.rmtree(campaign.directory / "trials")
    with pytest.raises(InputError, match=told):
        open_campaign(campaign.directory).trials()


def test_a_missing_record_is_named_where_the_driver_was_killed(
    campaign: CampaignWriter, trial_id: str, new_round: NewRound, tmp_path: Path
) -> None:
    campaign.trial(trial_id).write_record(TrialRecord.from_plan(campaign.record.planned(trial_id)))
    campaign.set_state(trial_id, "running")
    left = shutil.copytree(campaign.directory, tmp_path / "left")
    (left / "trials" / trial_id / "trial.json").unlink()
    for look in (open_campaign, CampaignWriter.reopen):
        with pytest.raises(InputError, match=r"trial\.json is missing"):
            look(left)


def test_missing_samples_are_named_when_a_trial_goes_on(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    folder = store(campaign, trial_id, new_round, "interrupted")
    (folder / "predictions.parquet").unlink()
    with CampaignWriter.reopen(campaign.directory) as later:
        trial = later.trial(trial_id)
        with pytest.raises(InputError, match=r"predictions\.parquet is missing \(8 rounds are stored\)"):
            trial.stored_samples()


def test_missing_answers_are_named(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    trial = campaign.trial(trial_id)
    timings, row = new_round(0)
    place = row.schema.get_field_index("different_answers")
    trial.write_answers(0, pa.table({"sample": pa.array([1], pa.int32()), "prediction": [[7]]}))
    trial.append(timings, row.set_column(place, row.schema.field(place), pa.array([1], pa.int32())))
    trial.flush()
    reader = open_campaign(campaign.directory)
    assert reader.answers(trial_id, 0) is not None
    (campaign.directory / "trials" / trial_id / "predictions" / "round-0.parquet").unlink()
    with pytest.raises(InputError, match=r"predictions/round-0\.parquet is missing"):
        reader.answers(trial_id, 0)


def test_rounds_whose_second_twin_could_not_be_written_are_written_again(
    campaign: CampaignWriter, trial_id: str, new_round: NewRound
) -> None:
    trial = campaign.trial(trial_id)
    folder = campaign.directory / "trials" / trial_id
    trial.append(*new_round(0))
    (folder / "rounds").rmdir()
    with pytest.raises(FileNotFoundError):
        trial.flush()
    (folder / "rounds").mkdir()
    trial.append(*new_round(1))
    trial.flush()
    assert open_campaign(campaign.directory).timings(trial_id).column("round").to_pylist() == [0, 0, 0, 1, 1, 1]
    assert [path.name for path in (folder / "timings").iterdir()] == [FIRST]


def test_samples_that_were_removed_later_are_no_trial_without_warm_up(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    folder = store(campaign, trial_id, new_round, "done")
    (folder / "predictions.parquet").unlink()
    with pytest.raises(InputError, match=r"predictions\.parquet is missing \(8 rounds are stored\): restore it from a copy"):
        open_campaign(campaign.directory).samples(trial_id)


def test_a_record_tells_of_stored_rounds_alone(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    trial = campaign.trial(trial_id)
    record = TrialRecord.from_plan(campaign.record.planned(trial_id))
    trial.append(*new_round(0))
    trial.write_record(record)
    assert open_campaign(campaign.directory).trial(trial_id).rounds == 0
    trial.flush()
    trial.write_record(record)
    assert open_campaign(campaign.directory).trial(trial_id).rounds == 1
    campaign.set_state(trial_id, "interrupted")
    assert open_campaign(campaign.directory).trial(trial_id).rounds == 1
