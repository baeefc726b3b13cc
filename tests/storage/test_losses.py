"""Files of a trial are taken away: what no driver's death explains is named, and nothing more is lost on its account."""

import shutil
from pathlib import Path

import pytest
from refusals import refused
from sample_tables import NewRound, samples_of
from small_campaign import contents

from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.schema import State
from orchestrator.storage.writer import CampaignWriter

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


@pytest.mark.parametrize(
    ("state", "gone", "named"),
    [
        ("done", [f"timings/{MERGED}"], "timings"),
        ("done", [f"timings/{MERGED}", f"rounds/{MERGED}"], "rounds"),
        ("interrupted", [f"timings/{SECOND}"], "timings"),
        ("interrupted", [f"rounds/{SECOND}"], "rounds"),
        ("interrupted", [f"timings/{SECOND}", f"rounds/{SECOND}"], "rounds"),
        ("interrupted", [f"rounds/{FOURTH}"], "rounds"),
        ("running", [f"timings/{FOURTH}"], "timings"),
        ("running", [f"rounds/{FIRST}"], "rounds"),
        ("running", [f"rounds/{THIRD}", f"rounds/{FOURTH}"], "rounds"),
        ("running", ["rounds"], "rounds"),
        ("running", ["timings"], "timings"),
    ],
)
def test_a_part_that_was_taken_away_is_named(
    campaign: CampaignWriter, trial_id: str, new_round: NewRound, state: State, gone: list[str], named: str
) -> None:
    """Readers and a driver refuse rounds or timings, and none of them takes anything away."""
    folder = store(campaign, trial_id, new_round, state)
    for name in gone:
        (shutil.rmtree if (folder / name).is_dir() else Path.unlink)(folder / name)
    before, reader = contents(folder), open_campaign(campaign.directory)
    for look in (reader.rounds, reader.timings, reader.matrix):
        with refused("damaged", value=folder / named):
            look(trial_id)
    with CampaignWriter.reopen(campaign.directory) as writer, refused("damaged", value=folder / named):
        writer.trial(trial_id)
    assert contents(folder) == before


def test_what_a_death_left_is_no_loss(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    folder = store(campaign, trial_id, new_round, "running")
    (folder / "rounds" / FOURTH).unlink()
    assert open_campaign(campaign.directory).rounds(trial_id).num_rows == 6
    with CampaignWriter.reopen(campaign.directory) as later:
        assert later.trial(trial_id).rounds == 6
        assert not (folder / "timings" / FOURTH).exists()
        later.trial(trial_id).append(*new_round(6))
    assert open_campaign(campaign.directory).rounds(trial_id).num_rows == 7


@pytest.mark.parametrize("state", ["running", "done"])
def test_a_missing_record_of_a_trial_that_has_begun_is_named(
    campaign: CampaignWriter, trial_id: str, new_round: NewRound, state: State
) -> None:
    folder = store(campaign, trial_id, new_round, state)
    (folder / "trial.json").unlink()
    with refused("not_found", value=folder / "trial.json"):
        open_campaign(campaign.directory).trials()
    with CampaignWriter.reopen(campaign.directory) as later, refused("not_found"):
        later.read_trial(trial_id)


def test_samples_that_were_removed_later_are_no_trial_without_warm_up(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    folder = store(campaign, trial_id, new_round, "done")
    (folder / "predictions.parquet").unlink()
    with refused("not_found", value=folder / "predictions.parquet"):
        open_campaign(campaign.directory).samples(trial_id)
    with CampaignWriter.reopen(campaign.directory) as later, refused("not_found"):
        later.trial(trial_id).stored_samples()
