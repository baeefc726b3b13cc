"""What a model does to its own process: each fault is named, what was measured is kept, and the other trials go on."""

import json
from pathlib import Path
from typing import Any

import program
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from faulty_campaigns import NULL, ROUNDS, SHORT, faulty

pytestmark = [pytest.mark.slow, pytest.mark.first]

Campaign = tuple[Path, program.Done]
"""The results, and what the program said."""


def trial(folder: Path, **options: Any) -> dict[str, Any]:
    for path in folder.glob("trials/*/trial.json"):
        record: dict[str, Any] = json.loads(path.read_text())
        found = record["trial"]["model"]["options"]
        if "load" not in record["trial"] and all(found.get(name) == value for name, value in options.items()):
            return record
    raise LookupError(options)


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
