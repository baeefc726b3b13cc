import numpy as np
import pyarrow as pa
import pytest
from refusals import refused
from sample_tables import NewRound

from orchestrator.stats.times import Clock
from orchestrator.storage import matrix, schema
from orchestrator.storage.matrix import round_matrix
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.writer import CampaignWriter


def tables(*rounds: tuple[pa.RecordBatch, pa.RecordBatch]) -> tuple[pa.Table, pa.Table]:
    timings, told = zip(*rounds, strict=True)
    return pa.Table.from_batches(timings).unify_dictionaries(), pa.Table.from_batches(told)


def test_times_are_those_stored_and_inf_elsewhere(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    writer = campaign.trial(trial_id)
    writer.append(*new_round(0))
    writer.append(*new_round(1, outcomes=["ok", "error", "lost"], process=1, incomplete=True))
    writer.append(*new_round(2, process=1))
    writer.flush()
    matrix = open_campaign(campaign.directory).matrix(trial_id)
    base = np.array([[1_000_000, 1_000_001, 1_000_002], [1_001_000, np.inf, np.inf], [1_002_000, 1_002_001, 1_002_002]])
    np.testing.assert_array_equal(matrix.times[Clock.INFERENCE], 3 * base)
    np.testing.assert_array_equal(matrix.times[Clock.TOTAL], 6 * base)
    np.testing.assert_array_equal(matrix.stages["preprocess_ns"], 2 * base)
    np.testing.assert_array_equal(matrix.stages["postprocess_ns"], base)
    assert [[schema.OUTCOMES[code] for code in row] for row in matrix.outcome] == [
        ["ok"] * 3,
        ["ok", "error", "lost"],
        ["ok"] * 3,
    ]
    assert (matrix.rounds.tolist(), matrix.samples.tolist(), matrix.incomplete.tolist()) == ([0, 1, 2], [0, 1, 2], [False, True, False])


def test_a_round_without_rows_of_a_sample_is_incomplete(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    writer = campaign.trial(trial_id)
    writer.append(*new_round(0, samples=3))
    writer.append(*new_round(1, samples=2))
    writer.flush()
    matrix = open_campaign(campaign.directory).matrix(trial_id)
    assert matrix.incomplete.tolist() == [False, True]
    assert schema.OUTCOMES[matrix.outcome[1, 2]] == "lost"
    assert matrix.times[Clock.TOTAL][1, 2] == np.inf


def test_every_nanosecond_survives(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    largest = 2**53 - 1
    times = {"inference_ns": [largest - 2, largest - 3, 1], "preprocess_ns": [1, 1, 0], "postprocess_ns": [1, 0, 0]}
    campaign.trial(trial_id).append(*new_round(0, times=times))
    campaign.trial(trial_id).flush()
    matrix = open_campaign(campaign.directory).matrix(trial_id)
    assert [int(value) for value in matrix.times[Clock.INFERENCE][0]] == [largest - 2, largest - 3, 1]
    assert [int(value) for value in matrix.times[Clock.TOTAL][0]] == [largest, largest - 2, 1]


def test_rows_out_of_proportion_to_their_matrix_are_refused(new_round: NewRound, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = pa.table({"round": range(2**12)})
    with refused("damaged"):
        round_matrix(tables(new_round(0, 2**12 + 1))[0], rounds)
    monkeypatch.setattr(matrix, "FEW_PLACES", 0)
    assert round_matrix(*tables(new_round(0, 40))).samples.tolist() == list(range(40))


def test_an_ok_sample_without_a_time_is_refused(new_round: NewRound) -> None:
    timings, rounds = tables(new_round(0))
    holes = timings.set_column(5, schema.TIMINGS.field("inference_ns"), pa.array([1, None, 1], pa.int64()))
    with refused("damaged"):
        round_matrix(holes, rounds)
