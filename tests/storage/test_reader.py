import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refusals import refused
from sample_tables import NewRound

from orchestrator.analysis.python_interface import Results
from orchestrator.storage import merge
from orchestrator.storage.files import write_parquet
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.writer import CampaignWriter


def rounds_of(directory: Path, trial_id: str) -> list[int]:
    campaign = open_campaign(directory)
    told = campaign.rounds(trial_id).column("round").to_pylist()
    assert campaign.timings(trial_id).column("round").unique().to_pylist() == told
    assert campaign.matrix(trial_id).rounds.tolist() == told
    return told


@pytest.fixture
def three_parts(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> Path:
    """Return the folder of a trial with rounds 0 to 5 in three parts."""
    writer = campaign.trial(trial_id)
    for number in range(6):
        writer.append(*new_round(number))
        if number % 2:
            writer.flush()
    return campaign.directory / "trials" / trial_id


@pytest.mark.parametrize(("part", "number"), [(1, 2), (3, 6)])
def test_a_copied_part_is_refused(
    campaign: CampaignWriter, three_parts: Path, trial_id: str, new_round: NewRound, part: int, number: int
) -> None:
    campaign.trial(trial_id).append(*new_round(6))
    campaign.trial(trial_id).flush()
    for twin in ("timings", "rounds"):
        shutil.copy(three_parts / twin / f"part-0000{part}.parquet", three_parts / twin / "part-00004.parquet")
    for read in (open_campaign(campaign.directory).timings, open_campaign(campaign.directory).rounds):
        with refused("damaged", value=three_parts) as caught:
            read(trial_id)
        assert f"holds round {number}" in str(caught.value)


def test_a_reader_writes_nothing(campaign: CampaignWriter, three_parts: Path, trial_id: str) -> None:
    (three_parts / "rounds" / "part-00002.parquet").unlink()
    (three_parts / ".timings.new").mkdir()
    before = sorted((path, path.stat().st_mtime_ns) for path in campaign.directory.rglob("*"))
    reader = open_campaign(campaign.directory)
    reader.trials(), reader.matrix(trial_id), reader.warmup(trial_id), reader.answers(trial_id, 0)
    assert sorted((path, path.stat().st_mtime_ns) for path in campaign.directory.rglob("*")) == before


def test_what_is_not_there_yet(campaign: CampaignWriter, trial_id: str) -> None:
    reader = open_campaign(campaign.directory)
    assert reader.timings(trial_id).num_rows == reader.rounds(trial_id).num_rows == reader.warmup(trial_id).num_rows == 0
    assert reader.trial(trial_id).placement == {}
    with refused("no_data"):
        reader.samples(trial_id)
    with refused("not_found"):
        Results(campaign.directory).tail_quality()
    for trial in ("net", "../../other"):
        with refused("unknown", value=trial):
            reader.timings(trial)


@pytest.mark.parametrize(("twin", "place"), [("timings", 0), ("timings", 2), ("rounds", 1)])
def test_a_merge_amid_reading_shows_no_gap(
    campaign: CampaignWriter,
    three_parts: Path,
    trial_id: str,
    new_round: NewRound,
    monkeypatch: pytest.MonkeyPatch,
    twin: str,
    place: int,
) -> None:
    writer = campaign.trial(trial_id)
    read = merge.read_table
    pending = [6, 7]

    def read_late(path: Path, form: pa.Schema) -> pa.Table:
        if path == three_parts / twin / f"part-{place:05d}.parquet" and len(pending) == 2:
            writer.finish()
            while pending:
                writer.append(*new_round(pending.pop(0), times={"arrival_ns": [7, 8, 9]}))
                writer.flush()
        return read(path, form)

    monkeypatch.setattr(merge, "read_table", read_late)
    timings = open_campaign(campaign.directory).timings(trial_id)
    seen = timings.column("round").unique().to_pylist()
    assert pending == []
    assert seen == list(range(len(seen)))
    assert len(seen) >= 6
    writer.finish()
    assert open_campaign(campaign.directory).timings(trial_id).column("arrival_ns").to_pylist()[-6:] == 2 * [7, 8, 9]


@pytest.mark.parametrize("name", ["timings/part-00001.parquet", "rounds/part-00001.parquet"])
@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_torn_part_is_named(campaign: CampaignWriter, three_parts: Path, trial_id: str, name: str, keep: int) -> None:
    path = three_parts / name
    path.write_bytes(path.read_bytes()[:keep])
    with refused("damaged", value=path):
        open_campaign(campaign.directory).matrix(trial_id)


def test_parquet_of_something_else_is_named(campaign: CampaignWriter, three_parts: Path, trial_id: str) -> None:
    path = three_parts / "timings" / "part-00001.parquet"
    whole = pq.read_table(path)
    pq.write_table(pa.table({"x": [1]}), path)
    with refused("damaged", value=path):
        open_campaign(campaign.directory).timings(trial_id)
    for table in (pa.table({"x": [1]}), whole.set_column(1, "sample", pa.array([-1] * len(whole), pa.int32()))):
        write_parquet(path, table)
        with refused("damaged", value=path):
            open_campaign(campaign.directory).timings(trial_id)
