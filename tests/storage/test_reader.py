from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_tables import samples_of

from orchestrator.analysis.python_interface import Results
from orchestrator.contracts import InputError
from orchestrator.storage import merge, schema
from orchestrator.storage.files import write_parquet
from orchestrator.storage.layout import trial_folder
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.stored_form import conform
from orchestrator.storage.writer import CampaignWriter

NewRound = Callable[..., tuple[pa.RecordBatch, pa.RecordBatch]]


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


def test_a_round_exists_if_both_twins_hold_it(campaign: CampaignWriter, three_parts: Path, trial_id: str) -> None:
    (three_parts / "rounds" / "part-00002.parquet").unlink()
    assert rounds_of(campaign.directory, trial_id) == [0, 1, 2, 3]


def test_order_is_by_round_and_sample_whatever_the_parts(campaign: CampaignWriter, three_parts: Path, trial_id: str) -> None:
    before = open_campaign(campaign.directory).timings(trial_id)
    for twin in ("timings", "rounds"):
        first, last, aside = (three_parts / twin / name for name in ("part-00000.parquet", "part-00002.parquet", "aside"))
        first.rename(aside), last.rename(first), aside.rename(last)
    assert open_campaign(campaign.directory).timings(trial_id).equals(before)
    assert rounds_of(campaign.directory, trial_id) == list(range(6))


@pytest.mark.parametrize(("twin", "name"), [("timings", "round"), ("rounds", "duration_ns")])
def test_two_columns_of_one_name_are_refused(campaign: CampaignWriter, three_parts: Path, trial_id: str, twin: str, name: str) -> None:
    path = three_parts / twin / "part-00001.parquet"
    table = pq.read_table(path)
    write_parquet(path, table.append_column(table.schema.field(name), table.column(name)))
    for read in (open_campaign(campaign.directory).timings, open_campaign(campaign.directory).rounds):
        with pytest.raises(InputError, match=rf"{twin}/part-00001\.parquet .*column '{name}' occurs twice"):
            read(trial_id)


def test_a_copied_part_is_refused(campaign: CampaignWriter, three_parts: Path, trial_id: str) -> None:
    for twin in ("timings", "rounds"):
        shutil.copy(three_parts / twin / "part-00001.parquet", three_parts / twin / "part-00003.parquet")
    for read in (open_campaign(campaign.directory).timings, open_campaign(campaign.directory).rounds):
        with pytest.raises(InputError, match=rf"{trial_id} holds round 2.* twice"):
            read(trial_id)


def test_other_files_in_the_folders_are_left_alone(campaign: CampaignWriter, three_parts: Path, trial_id: str) -> None:
    for name in ("part-00003.parquet.bak", ".part-00003.parquet.17.tmp", "notes.txt", ".DS_Store"):
        (three_parts / "timings" / name).write_text("not Parquet")
    assert rounds_of(campaign.directory, trial_id) == list(range(6))


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
    with pytest.raises(InputError, match=r"predictions\.parquet is missing: the trial ended before its warm-up"):
        reader.samples(trial_id)
    with pytest.raises(InputError, match=r"tail_quality\.parquet is missing: write it with .* report"):
        Results(campaign.directory).tail_quality()
    with pytest.raises(InputError, match=r"'secrets' is unknown: choose one of .*tail_quality"):
        Results(campaign.directory).table("secrets")


def test_no_campaign_and_no_trial(tmp_path: Path, campaign: CampaignWriter) -> None:
    with pytest.raises(InputError, match="is not in this campaign"):
        open_campaign(campaign.directory).timings("../../other")
    with pytest.raises(InputError, match=r"trial id '\.\./x'"):
        trial_folder(tmp_path, "../x")


def test_folders_named_like_partitions_add_no_columns(tmp_path: Path, new_record: Callable[..., object]) -> None:
    directory = tmp_path / "round=7" / "year=2030"
    with CampaignWriter.create(directory, new_record()) as writer:  # type: ignore[arg-type]
        samples = samples_of(1)
        trial_id = writer.record.trials[0].trial_id
        writer.trial(trial_id).write_samples(samples)
        assert open_campaign(directory).samples(trial_id).equals(samples)


def test_reading_while_a_driver_appends_and_merges(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> None:
    writer = campaign.trial(trial_id)
    failure: list[BaseException] = []

    def drive() -> None:
        try:
            for number in range(60):
                writer.append(*new_round(number, samples=2))
                writer.flush()
                if number % 3 == 2:
                    writer.finish()
        except BaseException as error:
            failure.append(error)

    driver = threading.Thread(target=drive)
    driver.start()
    seen = 0
    while driver.is_alive():
        table = open_campaign(campaign.directory).timings(trial_id)
        assert table.column("round").to_pylist() == [number for number in range(table.num_rows // 2) for _ in range(2)]
        assert table.num_rows >= seen
        seen = table.num_rows
    driver.join()
    assert failure == []
    assert rounds_of(campaign.directory, trial_id) == list(range(60))


@pytest.mark.parametrize("twin", ["timings", "rounds"])
@pytest.mark.parametrize("place", [0, 1, 2])
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
                writer.append(*new_round(pending.pop(0)))
                writer.flush()
        return read(path, form)

    monkeypatch.setattr(merge, "read_table", read_late)
    timings = open_campaign(campaign.directory).timings(trial_id)
    seen = timings.column("round").unique().to_pylist()
    assert pending == []
    assert seen == list(range(len(seen)))
    assert len(seen) >= 6


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["timings/part-00001.parquet", "rounds/part-00001.parquet"])
@pytest.mark.parametrize("keep", [0, 3, 100, -1, -9])
def test_a_torn_part_is_named(campaign: CampaignWriter, three_parts: Path, trial_id: str, name: str, keep: int) -> None:
    path = three_parts / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=rf"{name} is not a whole Parquet file .*: restore it from a copy, or measure the campaign again"):
        open_campaign(campaign.directory).matrix(trial_id)


def test_no_flipped_bit_changes_a_time(campaign: CampaignWriter, three_parts: Path, trial_id: str) -> None:
    path = three_parts / "timings" / "part-00001.parquet"
    whole = path.read_bytes()
    before = open_campaign(campaign.directory).timings(trial_id)
    refused = 0
    for place in range(0, len(whole), 13):
        flip(path, place)
        try:
            assert open_campaign(campaign.directory).timings(trial_id).equals(before), place
        except InputError:
            refused += 1
        path.write_bytes(whole)
    assert refused > 10


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("inference_ns", 0, "inference_ns is 0, and must be from 1 to 9007199254740991"),
        ("preprocess_ns", -1, "preprocess_ns is -1, and must be from 0"),
        ("postprocess_ns", 2**53, "postprocess_ns is 9007199254740992, and must be from 0"),
        ("start_gap_ns", -1, "start_gap_ns is -1"),
        ("arrival_ns", -1, "arrival_ns is -1"),
        ("sample", -1, "sample is -1"),
        ("token_gaps_ns", [5, -1], "token_gaps_ns is -1"),
        ("token_gaps_ns", [5, None], "token_gaps_ns holds a null"),
    ],
)
def test_what_lies_out_of_a_columns_range_is_named(
    campaign: CampaignWriter, three_parts: Path, trial_id: str, name: str, value: object, told: str
) -> None:
    path = three_parts / "timings" / "part-00001.parquet"
    table = conform(pq.read_table(path), schema.TIMINGS)
    form = schema.TIMINGS.field(name)
    values = pa.array([value] * table.num_rows, form.type)
    write_parquet(path, table.set_column(table.column_names.index(name), form, values))
    with pytest.raises(InputError, match=rf"timings/part-00001\.parquet .*its {told}"):
        open_campaign(campaign.directory).timings(trial_id)


def test_parquet_of_something_else_is_named(campaign: CampaignWriter, three_parts: Path, trial_id: str) -> None:
    path = three_parts / "timings" / "part-00001.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(InputError, match=r"timings/part-00001\.parquet .*it has no seal of this program"):
        open_campaign(campaign.directory).timings(trial_id)
    write_parquet(path, pa.table({"x": [1]}))
    with pytest.raises(InputError, match=r"timings/part-00001\.parquet .* 'round' is missing"):
        open_campaign(campaign.directory).timings(trial_id)


def test_a_damaged_result_table_says_how_to_write_it_again(campaign: CampaignWriter) -> None:
    (campaign.directory / "tail_quality.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(InputError, match=r"tail_quality\.parquet is not a whole Parquet file .*report"):
        Results(campaign.directory).tail_quality()


def test_the_record_of_another_trial_is_refused(campaign: CampaignWriter, trial_id: str) -> None:
    other = trial_id.replace("-r0", "-r1")
    campaign.trial(other).write_record(TrialRecord.from_plan(campaign.record.planned(other)))
    campaign.trial(trial_id)
    shutil.copy(campaign.directory / "trials" / other / "trial.json", campaign.directory / "trials" / trial_id / "trial.json")
    with pytest.raises(InputError, match=rf"trial\.json is the record of {other}"):
        open_campaign(campaign.directory).trial(trial_id)
