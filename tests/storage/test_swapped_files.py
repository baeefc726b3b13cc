"""Whole files of this program in the place of others of their kind."""

import shutil

import pyarrow as pa
import pytest
from refusals import refused
from sample_tables import NewRound, samples_of

import orchestrator
from orchestrator.analysis.table import tables
from orchestrator.storage.files import write_parquet
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.writer import CampaignWriter


@pytest.mark.parametrize("name", ["timings/part-00000.parquet", "rounds/part-00000.parquet", "predictions.parquet", "warmup.parquet"])
def test_the_file_of_another_trial_with_equal_ones_is_refused(campaign: CampaignWriter, new_round: NewRound, name: str) -> None:
    one, other = (planned.trial_id for planned in campaign.record.trials)
    for trial in map(campaign.trial, (one, other)):
        trial.write_samples(samples_of(3))
        trial.write_warmup(new_round(0)[0])
        for number in range(2):
            trial.append(*new_round(number))
            trial.flush()
    folder = campaign.directory / "trials"
    shutil.copy(folder / one / name, folder / other / name)
    reader = open_campaign(campaign.directory)
    with refused("damaged", value=folder / other / name):
        reader.matrix(other), reader.samples(other)
    reader.matrix(one), reader.samples(one), reader.warmup(one)


def test_a_result_table_has_the_columns_of_its_name(campaign: CampaignWriter) -> None:
    path = campaign.directory / "deadline.parquet"
    write_parquet(path, tables()["latency"].schema.empty_table())
    with refused("damaged", value=path):
        orchestrator.open(campaign.directory).deadline()
    more = tables()["deadline"].schema.empty_table().append_column("later", pa.array([], pa.int8()))
    write_parquet(path, more)
    assert orchestrator.open(campaign.directory).deadline().equals(more)
