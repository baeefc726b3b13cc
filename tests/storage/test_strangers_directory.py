"""A results directory that somebody else has prepared: links that lead out of it, and files that keep a reader waiting."""

import os
from pathlib import Path

import pytest
from refusals import refused
from sample_tables import NewRound, samples_of

from orchestrator.analysis.python_interface import Results
from orchestrator.analysis.table import tables
from orchestrator.storage.files import draft_of, write_parquet, write_results
from orchestrator.storage.layout import inside
from orchestrator.storage.reader import open_campaign
from orchestrator.storage.records import TrialRecord
from orchestrator.storage.writer import CampaignWriter

OF_A_TRIAL = ("trial.json", "predictions.parquet", "rounds", "timings/part-00000.parquet")


@pytest.fixture
def measured(campaign: CampaignWriter, trial_id: str, new_round: NewRound) -> Path:
    """Return the directory of a closed campaign with one trial of one round and a result table."""
    trial = campaign.trial(trial_id)
    trial.append(*new_round(0))
    trial.flush()
    trial.write_samples(samples_of(3))
    trial.write_warmup(new_round(0)[0])
    trial.write_record(TrialRecord.from_plan(campaign.record.planned(trial_id)))
    campaign.set_state(trial_id, "done")
    write_parquet(campaign.directory / "latency.parquet", tables()["latency"].schema.empty_table())
    campaign.close()
    read_all(campaign.directory, trial_id)
    return campaign.directory


def read_all(directory: Path, trial_id: str) -> None:
    reader = open_campaign(directory)
    reader.matrix(trial_id), reader.samples(trial_id), reader.warmup(trial_id), Results(directory).latency()


def go_on(directory: Path, trial_id: str) -> None:
    with CampaignWriter.reopen(directory) as writer:
        trial = writer.trial(trial_id)
        trial.stored_samples(), trial.stored_rounds()
        trial.write_warmup(open_campaign(directory).warmup(trial_id).combine_chunks().to_batches()[0])


def link_out(path: Path, elsewhere: Path) -> Path:
    """Put a link in place of a file or folder, to where that is now."""
    elsewhere.mkdir(exist_ok=True)
    target = path.rename(elsewhere / path.name)
    path.symlink_to(target)
    return target


@pytest.mark.parametrize("name", ["trials", "T", *(f"T/{name}" for name in OF_A_TRIAL)])
def test_a_link_out_of_the_directory_is_refused(measured: Path, trial_id: str, tmp_path: Path, name: str) -> None:
    path = measured / (name if name == "trials" else f"trials/{name.replace('T', trial_id, 1)}")
    link_out(path, tmp_path / "elsewhere")
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "elsewhere").rglob("*"))
    for act in (read_all, go_on):
        with refused("unsafe"):
            act(measured, trial_id)
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "elsewhere").rglob("*")) == before


@pytest.mark.parametrize("name", ["campaign.json", "latency.parquet"])
def test_a_link_in_place_of_a_file_of_the_campaign_is_refused(measured: Path, trial_id: str, tmp_path: Path, name: str) -> None:
    link_out(measured / name, tmp_path / "elsewhere")
    with refused("unsafe", value=measured / name):
        read_all(measured, trial_id)


def test_a_directory_may_be_reached_through_links_and_hold_some_of_its_own(measured: Path, trial_id: str, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(measured)
    (measured / "trials").rename(measured / "all")
    (measured / "trials").symlink_to("all")
    read_all(tmp_path / "latest", trial_id)
    assert inside(measured, measured / "figures" / "not_there_yet.svg") == measured / "figures" / "not_there_yet.svg"


def test_a_dangling_link_makes_no_file_elsewhere(measured: Path, tmp_path: Path) -> None:
    (measured / "figures").symlink_to(tmp_path / "not_there")
    for path in (measured / "figures", measured / "figures" / "a.svg"):
        with refused("unsafe", value=path):
            inside(measured, path)


def test_writing_replaces_links_and_leaves_their_targets(measured: Path, tmp_path: Path) -> None:
    mine = tmp_path / "thesis.tex"
    mine.write_text("years of work")
    for name in ("latency.parquet", "report.md", draft_of(measured / "report.md").name):
        (measured / name).unlink(missing_ok=True)
        (measured / name).symlink_to(mine)
    write_results(measured, {"latency": tables()["latency"].schema.empty_table()}, {"report.md": "# report"})
    assert mine.read_text() == "years of work"
    assert (measured / "report.md").read_text() == "# report"
    assert not (measured / "latency.parquet").is_symlink()


def test_the_lock_is_no_link(measured: Path, tmp_path: Path) -> None:
    mine = tmp_path / "thesis.tex"
    mine.write_text("years of work")
    (measured / ".lock").unlink()
    (measured / ".lock").symlink_to(mine)
    with refused("unsafe", value=measured / ".lock"):
        CampaignWriter.reopen(measured)
    assert mine.read_text() == "years of work"


@pytest.mark.parametrize("name", [*(f"T/{name}" for name in OF_A_TRIAL if "." in name), "latency.parquet"])
def test_a_pipe_keeps_nobody_waiting(measured: Path, trial_id: str, name: str) -> None:
    path = measured / (f"trials/{name.replace('T', trial_id, 1)}" if "/" in name else name)
    path.unlink()
    os.mkfifo(path)
    with refused("unsafe" if name.endswith(".json") else "damaged", value=path):
        read_all(measured, trial_id)
