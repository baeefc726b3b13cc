"""Under load, too: what dies keeps what it has measured, and every arrival that a stream has had has exactly one fate."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from faulty_campaigns import LOAD, NULL, SHORT
from processes import wait_until
from program import Done, orchestrator

from orchestrator.configuration.config import Trial
from orchestrator.storage import schema
from orchestrator.subject.schedule import schedule_of

pytestmark = pytest.mark.slow

SAMPLES = 20
FAULTS = {"kill": ("process killed", "error"), "hang": ("hang", "timeout")}
"""How a fault is called, and how the inference that it ended."""


def check_conserved(place: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Every stored arrival of a trial has one outcome and stands where the schedule has it; return the record and the rounds."""
    record = json.loads((place / "trial.json").read_text())
    rounds = pq.read_table(place / "rounds").sort_by("round").to_pylist()
    timings, ramp = pq.read_table(place / "timings"), pq.read_table(place / "ramp.parquet")
    assert [row["round"] for row in rounds] == list(range(len(rounds)))
    assert timings.num_rows == SAMPLES * len(rounds)
    assert set(timings.column("outcome").to_pylist()) <= set(schema.OUTCOMES)
    trial = Trial.model_validate(record["trial"])
    streams = sorted({row["stream"] for row in rounds})
    assert sorted(set(ramp.column("stream").to_pylist())) == streams
    for stream in streams:
        schedule = schedule_of(trial, SAMPLES, stream)
        assert ramp.filter(pc.field("stream") == stream).column("arrival_ns").to_pylist() == schedule.moments_ns[: schedule.ramp].tolist()
        mine = [row["round"] for row in rounds if row["stream"] == stream]
        assert mine == list(range(mine[0], mine[0] + len(mine)))
        for counted, number in enumerate(mine):
            part = schedule.of_round(counted)
            rows = timings.filter(pc.field("round") == number).sort_by("sample")
            assert rows.column("sample").to_pylist() == list(range(SAMPLES))
            order = np.argsort(schedule.samples[part])
            assert rows.column("arrival_ns").to_pylist() == schedule.moments_ns[part][order].tolist()
            assert all((row["queue_ns"] is not None) == (row["outcome"] == "ok") for row in rows.to_pylist())
    return record, rounds


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_process_that_dies_leaves_its_stream_as_far_as_it_came(faulted: tuple[Path, Done], fault: str) -> None:
    folder, done = faulted
    assert done.returncode == 0, done.stderr
    name, outcome = FAULTS[fault]
    trials = {path.parent: json.loads(path.read_text())["trial"] for path in folder.glob("trials/*/trial.json")}
    (place,) = (path for path, trial in trials.items() if "load" in trial and trial["model"]["options"]["fault"] == fault)
    record, rounds = check_conserved(place)
    assert [one["name"] for one in record["faults"]] == [name]
    assert [row["round"] for row in rounds if row["incomplete"]] == [6]  # the third of the second stream: of 4, one is not begun
    assert {row["process"] for row in rounds} == {0, 1}
    every = [*pq.read_table(place / "timings")["outcome"].to_pylist(), *pq.read_table(place / "ramp.parquet")["outcome"].to_pylist()]
    assert (every.count(outcome), every.count("dropped"), "lost" in every) == (1, 0, True)
    cut = next(row["stream"] for row in rounds if row["incomplete"])
    assert all(row["stream"] > cut for row in rounds if row["process"] == 1)


def test_a_driver_that_is_killed_loses_and_repeats_nothing(tmp_path: Path) -> None:
    load = (f"{name}={value}" for name, value in LOAD.items())
    words = ["cluster=inline", "model=echo", "model.sleep_ms=2", *SHORT, *load, "measurement.min_rounds=40", "measurement.max_rounds=40"]
    kill_after_part(0, *NULL, *words, f"results_dir={tmp_path / 'r'}", cwd=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("r/trials/*/rounds/part-*")}
    kill_after_part(1, "resume", "r", cwd=tmp_path)
    for path in tmp_path.glob("r/trials/*/rounds/part-*"):
        assert before.get(path.name) in (None, path.read_bytes())
    done = orchestrator("resume", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (place,) = tmp_path.glob("r/trials/*")
    record, rounds = check_conserved(place)
    assert (record["state"], len(record["processes"]), record["faults"]) == ("done", 3, [])
    assert len(rounds) >= 40


def kill_after_part(part: int, *words: str, cwd: Path) -> None:
    """Run the program and kill it once a part of this number is stored."""
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as it:
        wait_until(lambda: list(cwd.glob(f"r/trials/*/rounds/part-{part:05d}.parquet")) or it.poll() is not None)
        it.kill()
