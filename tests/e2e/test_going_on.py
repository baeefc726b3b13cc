"""Going on with a campaign: more rounds with ``extend``, changes found by ``resume``, and what ``status`` tells of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from program import SUPPORT, orchestrator

from orchestrator.storage.writer import CampaignWriter

pytestmark = pytest.mark.slow


def measured(folder: Path, *model: str) -> Path:
    """Give a folder code of its own and a finished campaign of 12 rounds a trial, run in the driver's process."""
    shutil.copytree(SUPPORT / "code", folder / "code")
    words = ["--config-dir", str(SUPPORT / "conf"), "code=[code]", "task=numbers", "-m", *model]
    rule = ["measurement.rule=rounds", "measurement.min_rounds=12", "measurement.max_rounds=12", "measurement.certify_rounds=12"]
    done = orchestrator("--quiet", *words, *rule, "cluster=inline", "results_dir=r", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished campaign of two trials as it was measured."""
    folder = measured(tmp_path_factory.mktemp("going") / "campaign", "model=echo", "model.sleep_ms=0.1,0.2")
    return Path(shutil.copytree(folder, folder.with_name("kept"), symlinks=True))


@pytest.fixture
def campaign(kept: Path) -> Path:
    """The same again in the folder where it was measured, whose code it names."""
    folder = kept.with_name("campaign")
    shutil.rmtree(folder)
    return Path(shutil.copytree(kept, folder, symlinks=True))


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "r" / "trials").glob("*/trial.json"))]


def rounds(folder: Path) -> list[list[tuple[int, int]]]:
    tables = [pq.read_table(path / "rounds").sort_by("round").to_pylist() for path in sorted((folder / "r" / "trials").iterdir())]
    return [[(row["round"], row["process"]) for row in table] for table in tables]


def interrupt(folder: Path) -> str:
    """Leave the first trial as a driver leaves it that was interrupted, and return its id."""
    with CampaignWriter.reopen(folder / "r") as writer:
        trial_id = writer.record.trials[0].trial_id
        writer.set_state(trial_id, "interrupted", "by the test")
    return trial_id


def test_extend_adds_rounds_and_a_certificate_rests_on_the_first_alone(campaign: Path) -> None:
    for more, until in ((5, 17), (3, 20)):
        done = orchestrator("extend", "r", "--rounds", str(more), cwd=campaign)
        assert done.returncode == 0, done.stderr
        assert [len(of_trial) for of_trial in rounds(campaign)] == [until, until]
    assert rounds(campaign) == [[(number, 0 if number < 12 else 1 if number < 17 else 2) for number in range(20)]] * 2
    assert [record["looks"] for record in records(campaign)] == [[17, 20]] * 2
    assert {record["state"] for record in records(campaign)} == {"done"}
    table = pq.read_table(campaign / "r" / "deadline.parquet").to_pylist()
    assert {(row["certified"], row["rounds"], row["later_rounds"]) for row in table} == {(False, 12, 8)}


def test_an_extension_that_was_interrupted_is_finished_by_resume(tmp_path: Path) -> None:
    """One trial's model sends its process the signal of Ctrl-C in round 35 of a process: no process before has as many."""
    marker = tmp_path / "interrupted"
    words = ["model.fault=interrupt", "model.at_round=35", "model.sample=3,99", f"model.once={marker}"]
    campaign = measured(tmp_path, "model=faulty", *words)
    # In a process of its own, which receives signals as the program does.
    command = [sys.executable, "-m", "orchestrator", "extend", "r", "--rounds", "60"]
    done = subprocess.run(command, cwd=campaign, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 130, done.stderr
    assert "SIGINT: finishing the round" in done.stderr
    behind, ahead = sorted(len(of_trial) for of_trial in rounds(campaign))
    assert 12 < behind <= ahead < 72
    assert ahead - behind <= 5  # a visit
    assert [record["extension"] for record in records(campaign)] == [72, 72]
    marker.unlink()  # a new file would be a change of the data
    done = orchestrator("resume", "r", cwd=campaign)
    assert done.returncode == 0, done.stderr
    assert [[number for number, _ in of_trial] for of_trial in rounds(campaign)] == [list(range(72))] * 2
    assert [(record["looks"], record["extension"], record["faults"]) for record in records(campaign)] == [([72], None, [])] * 2


def test_changed_code_stops_a_resume_unless_accepted(campaign: Path) -> None:
    trial_id = interrupt(campaign)
    assert orchestrator("status", "r", cwd=campaign).stdout.splitlines()[-1] == "python -m orchestrator resume r"
    with (campaign / "code" / "null_targets.py").open("a") as file:
        file.write("\n# changed\n")
    before = records(campaign)
    done = orchestrator("resume", "r", cwd=campaign)
    assert (done.returncode, done.stderr.endswith("[incomparable]\n")) == (2, True)
    assert records(campaign) == before
    done = orchestrator("resume", "r", "--accept-changes", cwd=campaign)
    assert done.returncode == 0, done.stderr
    changes = {record["trial_id"]: record["changes"] for record in records(campaign)}
    assert len(changes.pop(trial_id)) == 1
    assert list(changes.values()) == [[]]
    assert [len(of_trial) for of_trial in rounds(campaign)] == [12, 12]
