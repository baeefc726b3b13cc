"""A process that Ray cannot do without is killed in the midst of a campaign."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from orchestrator.execution.signals import WENT_ON

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

SUPPORT = Path(__file__).parents[1] / "support"
ROUNDS = 30
WORDS = [
    "--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "-m", "model=echo", "model.sleep_ms=5,6",
    "measurement.rule=rounds", f"measurement.min_rounds={ROUNDS}", f"measurement.max_rounds={ROUNDS}", "results_dir=r",
]  # fmt: skip
ENDLESS_S = 600
"""Keeps a test that hangs from hanging for ever."""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for the campaign's temporary files alone, with a name that is short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="tq") as folder:
        yield Path(folder)


def wait_until(true: Callable[[], object]) -> None:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < ENDLESS_S
        time.sleep(0.02)


def started(folder: Path, temporary: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the campaign and return its driver once a round is stored."""
    driver = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *WORDS], cwd=folder, env={**os.environ, "TMPDIR": str(temporary), **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: list(folder.glob("r/trials/*/rounds/part-*")))
    return driver


def kill(driver: subprocess.Popen[str], name: str) -> None:
    (victim,) = [child for child in psutil.Process(driver.pid).children() if child.name() == name]
    victim.kill()


def stored(folder: Path) -> dict[tuple[str, int], int]:
    """Every stored round and when it began."""
    found = [(path.parent.name, row) for path in folder.glob("r/trials/*/rounds") for row in pq.read_table(path).to_pylist()]
    assert len({(trial, row["round"]) for trial, row in found}) == len(found)
    return {(trial, row["round"]): row["started_monotonic_ns"] for trial, row in found}


def test_the_campaign_goes_on_once_in_a_fresh_ray(tmp_path: Path, temporary: Path) -> None:
    with started(tmp_path, temporary) as driver:
        before = {
            (path.parents[1].name, row["round"])
            for path in tmp_path.glob("r/trials/*/rounds/part-*")
            for row in pq.read_table(path).to_pylist()
        }
        kill(driver, "raylet")
        _, told = driver.communicate(timeout=ENDLESS_S)
    assert driver.returncode == 0, told
    (line,) = [line for line in told.splitlines() if "raylet" in line]
    assert line == "the embedded Ray has lost its process raylet (signal 9); what was stored is whole: going on in a fresh Ray"
    trials = json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["done", "done"]
    after = stored(tmp_path)
    assert set(after) == {(trial["trial_id"], number) for trial in trials for number in range(ROUNDS)}
    assert before <= set(after)
    assert before, "Ray was killed before a round was stored"
    for trial in {trial for trial, _ in before}:
        record = json.loads((tmp_path / "r" / "trials" / trial / "trial.json").read_text())
        assert [fault["name"] for fault in record["faults"]] == ["ray lost"]
        rounds = pq.read_table(tmp_path / "r" / "trials" / trial / "rounds").to_pylist()
        assert not any(row["incomplete"] for row in rounds)
        assert {row["process"] for row in rounds if (trial, row["round"]) in before} == {0}
    assert "ray lost" in (tmp_path / "r" / "report.md").read_text()
    assert list(temporary.iterdir()) == []


def test_a_second_death_ends_the_program_and_says_how_to_go_on(tmp_path: Path, temporary: Path) -> None:
    with started(tmp_path, temporary, **{WENT_ON: "1"}) as driver:
        kill(driver, "gcs_server")
        _, told = driver.communicate(timeout=ENDLESS_S)
    assert driver.returncode == 1, told
    lost, how = told.splitlines()[-1].split("; ")
    assert lost == "error: the embedded Ray has lost its process gcs_server (signal 9)"
    assert how == "go on with: python -m orchestrator resume r"
    states = {trial["state"] for trial in json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]}
    assert states == {"interrupted"}  # both were loaded
    assert stored(tmp_path)
    wait_until(lambda: not any(str(temporary) in " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])))
    assert list(temporary.iterdir()) == []
