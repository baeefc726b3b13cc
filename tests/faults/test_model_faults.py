"""What a model does to its own process: each fault is named, what was measured is kept, and the other trials go on.

Under load, too, what dies keeps what it has measured, and every arrival that a stream has had has exactly one fate.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import program
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from faulty_campaigns import LOAD, NULL, ROUNDS, SHORT, faulty
from processes import wait_until

from orchestrator.configuration.config import Trial
from orchestrator.storage import schema
from orchestrator.subject.schedule import schedule_of

pytestmark = [pytest.mark.slow, pytest.mark.first]

Campaign = tuple[Path, program.Done]
"""The results, and what the program said."""
SAMPLES = 20
FAULTS = {"kill": ("process killed", "error"), "hang": ("hang", "timeout")}
"""How a fault is called, and how the inference that it ended."""


def trial(folder: Path, **options: Any) -> dict[str, Any]:
    for path in folder.glob("trials/*/trial.json"):
        record: dict[str, Any] = json.loads(path.read_text())
        found = record["trial"]["model"]["options"]
        if "load" not in record["trial"] and all(found.get(name) == value for name, value in options.items()):
            return record
    raise LookupError(options)


@pytest.fixture(scope="module")
def faulted(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A campaign under Ray with faults that end or block a process of its own, in round 7: each without load, and under load."""
    folder = tmp_path_factory.mktemp("faulted")
    load = {name: ["closed" if name == "load" else "null"] * 2 + [value] * 2 for name, value in LOAD.items()}
    return folder / "r", program.orchestrator(*faulty(folder, {"model.fault": ["hang", "kill"] * 2, **load}), cwd=folder)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Faults that a model tells as exceptions, which pass through the same code in the driver's process. -1 is while it loads."""
    folder = tmp_path_factory.mktemp("told")
    faults = {"gpu": 7, "memory": 7, "exit": 7, "raise": -1}
    words = faulty(folder, {"model.fault": list(faults), "model.at_round": list(faults.values())})
    return folder / "r", program.orchestrator(*words, "cluster=inline", cwd=folder)


@pytest.mark.parametrize(
    ("where", "fault", "name"),
    [
        ("faulted", "hang", "hang"),
        ("faulted", "kill", "process killed"),
        ("told", "gpu", "gpu error"),
        ("told", "memory", "out of memory"),
        ("told", "exit", "too many errors"),
        ("told", "raise", "load failed"),
    ],
)
def test_a_fault_is_named_and_forgiven_once(request: pytest.FixtureRequest, where: str, fault: str, name: str) -> None:
    folder, done = request.getfixturevalue(where)
    assert done.returncode == 0, done.stderr
    record = trial(folder, fault=fault)
    assert record["state"] == "done"
    assert [(one["name"], one["round"]) for one in record["faults"]] == [(name, None if fault == "raise" else 7)]
    assert [one["process"] for one in record["processes"]] == [0, 1]
    assert "Traceback" not in done.stderr
    assert "raylet" not in done.stderr
    if fault == "kill":
        assert ") at inference 4 of 20 of round 7: " in record["faults"][0]["message"]
    report = (folder / "report.md").read_text()
    assert f"| {record['trial_id']} | {name} | 0 |" in report


@pytest.mark.parametrize(("fault", "outcome"), [("hang", "timeout"), ("kill", "error")])
def test_the_attempt_is_an_incomplete_round(faulted: Campaign, fault: str, outcome: str) -> None:
    folder, _ = faulted
    record = trial(folder, fault=fault)
    place = folder / "trials" / record["trial_id"]
    rounds = pq.read_table(place / "rounds").sort_by("round").to_pylist()
    assert [(row["round"], row["incomplete"], row["process"]) for row in rounds] == [(of, of == 7, int(of > 7)) for of in range(ROUNDS)]
    seventh = pq.read_table(place / "timings").filter(pc.field("round") == 7).sort_by("sample").to_pylist()
    assert [row["outcome"] for row in seventh] == ["ok"] * 3 + [outcome] + ["lost"] * 16
    assert all((row["inference_ns"] is not None) == (row["outcome"] == "ok") for row in seventh)


def test_a_sample_that_hangs_stands_in_every_figure(faulted: Campaign) -> None:
    """It is late at any threshold: worst tail quality is that of three samples, no deadline holds, and the report names it."""
    folder, _ = faulted
    record = trial(folder, fault="hang")
    figures = [row for row in pq.read_table(folder / "tail_quality.parquet").to_pylist() if row["trial"] == record["trial_id"]]
    assert max(row["worst"] for row in figures if row["slice"] == "all" and row["metric"] == "top1") <= 3 / 20
    assert all("1 incomplete round" in row["flags"] for row in figures)
    deadlines = [row for row in pq.read_table(folder / "deadline.parquet").to_pylist() if row["trial"] == record["trial_id"]]
    assert {(row["certified"], "1 incomplete round" in row["reason"]) for row in deadlines} == {(False, True)}
    report = (folder / "report.md").read_text()
    assert f"| {record['trial_id']} | number-3 | 0 | 1 | 0 |" in report
    assert "two readings" in report


def test_a_model_that_raises_in_every_process_has_failed(tmp_path: Path) -> None:
    done = program.orchestrator(*NULL, "model=echo", "model.raises_on=[5]", *SHORT, "cluster=inline", "results_dir=r", cwd=tmp_path)
    assert done.returncode == 1
    (record,) = [json.loads(path.read_text()) for path in (tmp_path / "r").glob("trials/*/trial.json")]
    assert record["state"] == "failed"
    assert [fault["name"] for fault in record["faults"]] == ["too many errors", "too many errors"]
    again = program.orchestrator("resume", "r", cwd=tmp_path)
    assert (again.returncode, again.stderr.endswith("[no_data]\n")) == (2, True)


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


@pytest.mark.parametrize("fault", FAULTS)
def test_a_process_that_dies_leaves_its_stream_as_far_as_it_came(faulted: Campaign, fault: str) -> None:
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


def test_a_driver_that_is_killed_under_load_loses_and_repeats_nothing(tmp_path: Path) -> None:
    load = (f"{name}={value}" for name, value in LOAD.items())
    words = ["cluster=inline", "model=echo", "model.sleep_ms=2", *SHORT, *load, "measurement.min_rounds=40", "measurement.max_rounds=40"]
    kill_after_part(0, *NULL, *words, f"results_dir={tmp_path / 'r'}", cwd=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("r/trials/*/rounds/part-*")}
    kill_after_part(1, "resume", "r", cwd=tmp_path)
    for path in tmp_path.glob("r/trials/*/rounds/part-*"):
        assert before.get(path.name) in (None, path.read_bytes())
    done = program.orchestrator("resume", "r", cwd=tmp_path)
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
