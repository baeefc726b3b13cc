"""Going on with a campaign: further looks with ``extend``, changes found by ``resume``, and what ``status`` tells of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from orchestrator.storage.writer import CampaignWriter

SUPPORT = Path(__file__).parents[1] / "support"


def orchestrator(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "orchestrator", *words], cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """A folder with code of its own and a finished campaign of two trials of 12 rounds, run in the driver's process."""
    shutil.copytree(SUPPORT / "code", tmp_path / "code")
    words = ["--config-dir", str(SUPPORT / "conf"), "code=[code]", "task=numbers", "model=echo", "-m", "model.sleep_ms=0.1,0.2"]
    rule = ["measurement.rule=rounds", "measurement.min_rounds=12", "measurement.max_rounds=12"]
    done = orchestrator("--quiet", *words, *rule, "cluster=inline", "results_dir=r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


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


def test_extend_adds_rounds_as_a_further_look(campaign: Path) -> None:
    for more, until in ((5, 17), (3, 20)):
        done = orchestrator("extend", "r", "--rounds", str(more), cwd=campaign)
        assert done.returncode == 0, done.stderr
        assert [len(of_trial) for of_trial in rounds(campaign)] == [until, until]
    assert rounds(campaign) == [[(number, 0 if number < 12 else 1 if number < 17 else 2) for number in range(20)]] * 2
    assert [record["looks"] for record in records(campaign)] == [[17, 20]] * 2
    assert {record["state"] for record in records(campaign)} == {"done"}
    # None of the looks has the 29 rounds that a deadline needs, and the table says how many more it takes.
    table = pq.read_table(campaign / "r" / "deadline.parquet").to_pylist()
    assert {row["rounds"] for row in table} == {20}
    assert {row["more_rounds"] for row in table} == {9}
    status = orchestrator("status", "r", cwd=campaign)
    assert status.returncode == 0
    assert status.stdout.splitlines()[-1] == "2 trials: 2 done"
    assert sum(" 20 " in line for line in status.stdout.splitlines()) == 2


def test_extend_says_what_it_needs(campaign: Path) -> None:
    for words in (["extend", "r"], ["extend", "r", "--rounds", "0"], ["extend", "--rounds", "5"], ["extend", "missing", "--rounds", "5"]):
        done = orchestrator(*words, cwd=campaign)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr
    assert [len(of_trial) for of_trial in rounds(campaign)] == [12, 12]


def test_changed_code_stops_a_resume_unless_accepted(campaign: Path) -> None:
    trial_id = interrupt(campaign)
    status = orchestrator("status", "r", cwd=campaign)
    assert status.stdout.splitlines()[-1] == "2 trials: 1 interrupted, 1 done"
    with (campaign / "code" / "null_targets.py").open("a") as file:
        file.write("\n# changed\n")
    before = records(campaign)
    done = orchestrator("resume", "r", cwd=campaign)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "the code has changed since the campaign was begun" in line
    assert "--accept-changes" in line
    assert records(campaign) == before
    done = orchestrator("resume", "r", "--accept-changes", cwd=campaign)
    assert done.returncode == 0, done.stderr
    changes = {record["trial_id"]: record["changes"] for record in records(campaign)}
    (accepted,) = changes.pop(trial_id)
    assert "the code has changed since the campaign was begun" in accepted
    assert list(changes.values()) == [[]]
    assert [len(of_trial) for of_trial in rounds(campaign)] == [12, 12]
    assert f"| {trial_id} | {accepted} |" in (campaign / "r" / "report.md").read_text()


def test_nothing_to_go_on_with_is_one_line(campaign: Path) -> None:
    done = orchestrator("resume", "r", cwd=campaign)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "has nothing to go on with" in line
