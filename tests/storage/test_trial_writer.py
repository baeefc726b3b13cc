import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_tables import NewRound, samples_of

from orchestrator.storage import schema
from orchestrator.storage.layout import TrialFolder
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.trial_writer import TrialWriter, check_rounds
from orchestrator.storage.writer import CampaignWriter


def parts(directory: Path, trial_id: str, twin: str) -> list[str]:
    return sorted(path.name for path in (directory / "trials" / trial_id / twin).iterdir())


def test_the_first_part_is_written_soon_and_others_far_apart(
    campaign: CampaignWriter, trial_id: str, clock: Any, new_round: NewRound
) -> None:
    writer = campaign.trial(trial_id)
    for number in range(70):
        clock.now += 0.25
        writer.append(*new_round(number))
    assert parts(campaign.directory, trial_id, "timings") == [f"part-{part:05d}.parquet" for part in range(2)]
    assert parts(campaign.directory, trial_id, "rounds") == parts(campaign.directory, trial_id, "timings")
    assert open_campaign(campaign.directory).rounds(trial_id).column("round").to_pylist() == list(range(64))
    writer.write_record(TrialRecord.from_plan(campaign.record.planned(trial_id)))
    assert open_campaign(campaign.directory).trial(trial_id).rounds == 64
    writer.flush()
    assert open_campaign(campaign.directory).rounds(trial_id).column("round").to_pylist() == list(range(70))


@pytest.mark.parametrize("cut", [0, 3000, -20])
def test_rounds_that_wait_outlive_a_killed_driver(
    campaign: CampaignWriter, trial_id: str, clock: Any, new_round: NewRound, tmp_path: Path, cut: int
) -> None:
    writer, folder = campaign.trial(trial_id), campaign.directory / "trials" / trial_id
    writer.write_samples(samples_of(3))
    writer.append(*new_round(0))
    writer.flush()
    for number in (1, 2, 3):
        writer.write_answers(number, pa.table({"sample": [0], "prediction": [[1]]}))
        writer.append(*new_round(number))
    killed = tmp_path / "killed" / trial_id
    shutil.copytree(folder, killed)
    with (killed / ".waiting.arrow").open("r+b") as file:
        file.truncate(file.seek(0, 2) - cut)
        file.seek(0)
        left = file.read()
    expected = list(range(4 if cut <= 0 else 3))
    for _ in range(2):
        (killed / ".waiting.arrow").write_bytes(left)  # also where another kill came after its rounds were stored
        later = TrialWriter(TrialFolder(killed), clock, 1)
        stored = later.stored_rounds()
        assert stored is not None
        assert stored.numbers == expected
        assert sorted(path.name for path in TrialFolder(killed).answers.iterdir()) == [f"round-{number}.parquet" for number in expected[1:]]
        assert not (killed / ".waiting.arrow").exists()


def test_a_later_driver_goes_on_where_the_first_stopped(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    campaign.trial(trial_id).append(*new_round(0))
    campaign.close()
    with CampaignWriter.reopen(campaign.directory) as later:
        assert later.trial(trial_id).rounds == 1
        with pytest.raises(ValueError, match=r"round 0 .* is stored already"):
            later.trial(trial_id).append(*new_round(0))
        later.trial(trial_id).append(*new_round(1, process=1))
    assert open_campaign(campaign.directory).rounds(trial_id).column("process").to_pylist() == [0, 1]


@pytest.mark.parametrize(
    ("times", "complaint"),
    [
        ({"sample": [0, 0, 1]}, "counted upward"),
        ({"sample": [-1, 0, 1]}, "counted upward"),
        ({"sample": [1, 0, 2]}, "counted upward"),
        ({"round": [5, 5, 6]}, "timings of another round"),
    ],
)
def test_a_round_that_makes_no_sense_is_refused(
    campaign: CampaignWriter, trial_id: str, new_round: NewRound, times: dict[str, list[int]], complaint: str
) -> None:
    timings, row = new_round(5)
    changed = [pa.array(times[field.name], field.type) if field.name in times else timings.column(field.name) for field in schema.TIMINGS]
    campaign.trial(trial_id).append(pa.RecordBatch.from_arrays(changed, schema=schema.TIMINGS), row)
    with pytest.raises(ValueError, match=complaint):
        campaign.trial(trial_id).flush()
    assert campaign.trial(trial_id).rounds == 0


@pytest.mark.parametrize("numbers", [(1, 1), (2, 1), (0, 2, 2)])
def test_rounds_are_counted_upward(new_round: NewRound, numbers: tuple[int, ...]) -> None:
    timings, rows = (pa.Table.from_batches(batches) for batches in zip(*map(new_round, numbers), strict=True))
    with pytest.raises(ValueError, match=r"rounds .* must be counted upward"):
        check_rounds(timings, rows)


def test_durations_are_null_exactly_where_the_outcome_is_not_ok(new_round: NewRound) -> None:
    timings, row = new_round(0, outcomes=["ok", "error", "ok"])
    wrong = timings.set_column(2, schema.TIMINGS.field("outcome"), new_round(0, outcomes=["ok", "ok", "error"])[0].column("outcome"))
    with pytest.raises(ValueError, match="must be null exactly where"):
        check_rounds(pa.Table.from_batches([wrong]), pa.Table.from_batches([row]))


def test_warmups_of_a_later_process_follow(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    def two(samples: int) -> pa.RecordBatch:
        return pa.Table.from_batches([new_round(number, samples)[0] for number in (0, 1)]).combine_chunks().to_batches()[0]

    assert open_campaign(campaign.directory).warmup(trial_id).num_rows == 0
    campaign.trial(trial_id).write_warmup(two(2))
    campaign.trial(trial_id).write_warmup(two(2))
    warmup = open_campaign(campaign.directory).warmup(trial_id)
    assert warmup.schema.equals(schema.TIMINGS)
    assert warmup.column("round").to_pylist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert warmup.column("inference_ns").to_pylist()[:4] == warmup.column("inference_ns").to_pylist()[4:]


def test_ramps_of_later_streams_follow_and_one_left_by_a_kill_is_replaced(
    campaign: CampaignWriter, trial_id: str, new_round: NewRound
) -> None:
    for stream, samples in ((0, 3), (1, 2), (1, 3)):
        timings = new_round(0, samples=samples)[0]
        campaign.trial(trial_id).write_ramp(timings.append_column("stream", pa.array([stream] * samples, pa.int32())))
    assert pq.read_table(campaign.directory / "trials" / trial_id / "ramp.parquet").column("stream").to_pylist() == [0] * 3 + [1] * 3


def test_samples_and_answers(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    writer = campaign.trial(trial_id)
    samples = samples_of(3, prediction=[[1, 2], [], None], input_size=[9, 9, 9])
    writer.write_samples(samples)
    answers = pa.table({"sample": pa.array([1], pa.int32()), "prediction": [[7]]})
    writer.write_answers(0, answers)
    campaign_now = open_campaign(campaign.directory)
    assert campaign_now.samples(trial_id).equals(samples)
    assert campaign_now.answers(trial_id, 0) is None  # the round is not stored yet
    writer.append(*new_round(0))
    writer.flush()
    assert open_campaign(campaign.directory).answers(trial_id, 0).equals(answers)
    assert (campaign.directory / "trials" / trial_id / "predictions" / "round-0.parquet").is_file()


def test_many_rounds_at_once_are_stored_as_one_by_one(tmp_path: Path, new_round: NewRound, new_record: Callable[..., Any]) -> None:
    rounds = [new_round(number, 4) for number in range(5)]
    record = new_record(2)
    with CampaignWriter.create(tmp_path / "campaign", record) as writer:
        one_by_one, at_once = (writer.trial(planned.trial_id) for planned in record.trials)
        for timings, row in rounds:
            one_by_one.append(timings, row)
        one_by_one.finish()
        for some in (rounds[:2], rounds[2:]):
            at_once.append(*(pa.Table.from_batches(batches) for batches in zip(*some, strict=True)))
        at_once.finish()
        assert at_once.rounds == 5
        stored = [of_trial.stored_rounds() for of_trial in (one_by_one, at_once)]
        assert stored[0] == stored[1]
