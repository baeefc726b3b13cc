"""The driver is killed at random moments and the campaign gone on with, until it is done."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fake_clock_campaign
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from effort import EFFORT

PROGRAM = Path(fake_clock_campaign.__file__)
TABLES = ("tail_quality", "latency", "convergence", "prediction", "deadline", "comparison")
ROUNDS = 40


def run(directory: Path, kill_after_s: float | None = None) -> bool:
    """Run the program; return whether it came to its end. It is killed after so many seconds."""
    program = subprocess.Popen([sys.executable, PROGRAM, directory], stderr=subprocess.PIPE, text=True)
    try:
        _, complaint = program.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGKILL)
        program.communicate()
        return False
    assert program.returncode == 0, complaint
    return True


def without(folder: Path, name: str) -> pa.Table:
    """A table without flags, which rounds of several processes may earn, and without what rests on visits that trials have in common."""
    dropped = ["flags", *(["difference", "interval_low", "interval_high", "parameters"] if name == "comparison" else [])]
    table = pq.read_table(folder / f"{name}.parquet")
    return table.drop_columns([column for column in dropped if column in table.column_names])


def die_at(directory: Path, number: int) -> None:
    """Begin a campaign and kill it when it is about to measure a round."""
    with subprocess.Popen([sys.executable, PROGRAM, directory, str(number)], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == "held\n"
        program.kill()


def check_whole(directory: Path, undisturbed: Path, rounds: int) -> None:
    """Nothing lost, nothing twice, nothing left over, and the tables are those of a driver that lived."""
    record = json.loads((directory / "campaign.json").read_text())
    assert {trial["state"] for trial in record["trials"]} == {"done"}
    for trial in record["trials"]:
        told = pq.read_table(directory / "trials" / trial["trial_id"] / "rounds").sort_by("round")
        assert told.column("round").to_pylist() == list(range(rounds))
        processes = told.column("process").to_pylist()
        assert processes == sorted(processes)
        assert json.loads((directory / "trials" / trial["trial_id"] / "trial.json").read_text())["faults"] == []
        timings = pq.read_table(directory / "trials" / trial["trial_id"] / "timings")
        assert timings.group_by(["round", "sample"]).aggregate([([], "count_all")]).num_rows == timings.num_rows == rounds * 20
    expected, found = ([name for name in TABLES if (folder / f"{name}.parquet").exists()] for folder in (undisturbed, directory))
    assert found == expected  # a table without rows is not written
    assert {"tail_quality", "latency", "comparison"} <= set(found)
    for name in found:
        assert without(directory, name).equals(without(undisturbed, name)), name
    assert not list(directory.rglob("*.tmp"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(EFFORT))
def test_nothing_is_lost_and_nothing_measured_twice(seed: int, finished: Path, tmp_path: Path) -> None:
    moments = random.Random(seed)
    directory = tmp_path / "results"
    die_at(directory, moments.randrange(1, ROUNDS))
    for after_s in (moments.uniform(0.9, 2.4), None):
        run(directory, kill_after_s=after_s)
    check_whole(directory, finished, ROUNDS)


@pytest.mark.slow
def test_a_driver_may_die_before_any_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a driver leaves that dies then is what lies there at that moment: copied, and gone on with by another driver."""
    monkeypatch.setattr(fake_clock_campaign, "ROUNDS", 3)
    undisturbed, left = tmp_path / "undisturbed", list[Path]()
    undisturbed.mkdir()

    def leaving_it(give_name: Callable[..., None]) -> Callable[..., None]:
        def named(*paths: Path, **options: Any) -> None:
            left.append(Path(shutil.copytree(undisturbed, tmp_path / str(len(left)), symlinks=True)))
            give_name(*paths, **options)

        return named

    with monkeypatch.context() as patch:
        for how in ("replace", "rename"):
            patch.setattr(os, how, leaving_it(getattr(os, how)))
        fake_clock_campaign.main(undisturbed / "results")
    assert len(left) > 20
    for folder in left[::3]:
        with ThreadPoolExecutor(1) as driver:  # drafts have the number of a thread in their names: another driver has another
            driver.submit(fake_clock_campaign.main, folder / "results").result()
        check_whole(folder / "results", undisturbed / "results", rounds=3)
