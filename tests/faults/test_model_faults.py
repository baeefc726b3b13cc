"""What a model does to its own process: each fault is named, what was measured is kept, and the other trials go on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import program
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

SUPPORT = Path(__file__).parents[1] / "support"
NULL = ["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "system=cpu_1core"]
ROUNDS = 12
SHORT = ["measurement.rule=rounds", f"measurement.min_rounds={ROUNDS}", f"measurement.max_rounds={ROUNDS}", "measurement.round_timeout_s=6"]


def orchestrator(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "orchestrator", *words], cwd=cwd, capture_output=True, text=True, timeout=600, check=False)


def trial(folder: Path, **options: Any) -> dict[str, Any]:
    for path in folder.glob("trials/*/trial.json"):
        record: dict[str, Any] = json.loads(path.read_text())
        if all(record["trial"]["model"]["options"].get(name) == value for name, value in options.items()):
            return record
    raise LookupError(options)


def bad_words(folder: Path, rows: dict[str, int]) -> list[str]:
    """Return the words of a campaign with one trial per fault and the round in which it comes, -1 while it loads."""
    (folder / "conf" / "sweep").mkdir(parents=True)
    (folder / "conf" / "sweep" / "bad.yaml").write_text(
        "axes:\n"
        f"  model.fault: {','.join(rows)}\n"
        f"  model.at_round: {','.join(map(str, rows.values()))}\n"
        f"  model.once: {','.join(f'{folder}/{fault}' for fault in rows)}\n"
        "pair: [[model.fault, model.at_round, model.once]]\n"
    )
    return ["--config-dir", str(folder / "conf"), *NULL, "+sweep=bad", "model=faulty", *SHORT, "results_dir=r"]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Two faults that end or block a process of its own, and one that is told as an exception of it."""
    folder = tmp_path_factory.mktemp("faults")
    return folder / "r", orchestrator(*bad_words(folder, {"hang": 7, "kill": 7, "gpu": 7}), cwd=folder)


@pytest.fixture(scope="module")
def campaign_inline(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, program.Done]:
    """Further faults that a model tells as exceptions, which pass through the same code in the driver's process."""
    folder = tmp_path_factory.mktemp("inline")
    return folder / "r", program.orchestrator(*bad_words(folder, {"memory": 7, "raise": -1}), "cluster=inline", cwd=folder)


@pytest.mark.parametrize(
    ("where", "fault", "name"),
    [
        ("campaign", "hang", "hang"),
        ("campaign", "kill", "process killed"),
        ("campaign", "gpu", "gpu error"),
        ("campaign_inline", "memory", "out of memory"),
        ("campaign_inline", "raise", "load failed"),
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
    report = (folder / "report.md").read_text()
    assert f"| {record['trial_id']} | {name} | 0 |" in report


@pytest.mark.parametrize(("fault", "outcome"), [("hang", "timeout"), ("kill", "error")])
def test_the_attempt_is_an_incomplete_round(campaign: tuple[Path, subprocess.CompletedProcess[str]], fault: str, outcome: str) -> None:
    folder, _ = campaign
    record = trial(folder, fault=fault)
    place = folder / "trials" / record["trial_id"]
    rounds = pq.read_table(place / "rounds").sort_by("round").to_pylist()
    assert [row["round"] for row in rounds] == list(range(ROUNDS))
    assert [row["round"] for row in rounds if row["incomplete"]] == [7]
    assert [row["process"] for row in rounds] == [0] * 8 + [1] * 4
    seventh = pq.read_table(place / "timings").filter(pc.field("round") == 7).sort_by("sample").to_pylist()
    assert [row["outcome"] for row in seventh] == ["ok"] * 3 + [outcome] + ["lost"] * 16
    assert all((row["inference_ns"] is not None) == (row["outcome"] == "ok") for row in seventh)


def test_a_sample_that_hangs_stands_in_every_figure(campaign: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """It is late at any threshold: worst tail quality is that of three samples, no deadline holds, and the report names it."""
    folder, _ = campaign
    record = trial(folder, fault="hang")
    figures = [row for row in pq.read_table(folder / "tail_quality.parquet").to_pylist() if row["trial"] == record["trial_id"]]
    assert max(row["worst"] for row in figures if row["slice"] == "all" and row["metric"] == "top1") <= 3 / 20
    assert all("1 incomplete round" in row["flags"] for row in figures)
    deadlines = [row for row in pq.read_table(folder / "deadline.parquet").to_pylist() if row["trial"] == record["trial_id"]]
    assert deadlines
    assert not any(row["certified"] for row in deadlines)
    assert all("1 incomplete round" in row["reason"] for row in deadlines)
    report = (folder / "report.md").read_text()
    assert f"| {record['trial_id']} | number-3 | 0 | 1 | 0 |" in report
    assert "two readings" in report


def test_a_model_that_raises_in_every_process_has_failed(tmp_path: Path) -> None:
    done = program.orchestrator(*NULL, "model=echo", "model.raises_on=[5]", *SHORT, "cluster=inline", "results_dir=r", cwd=tmp_path)
    assert done.returncode == 1
    (record,) = [json.loads(path.read_text()) for path in (tmp_path / "r").glob("trials/*/trial.json")]
    assert record["state"] == "failed"
    assert [fault["name"] for fault in record["faults"]] == ["too many errors", "too many errors"]
    assert record["reason"].startswith("model echo raised on 1 of 20 samples of the warm-up")
    again = program.orchestrator("resume", "r", cwd=tmp_path)
    assert again.returncode == 2
    assert "1 trials failed: add --retry-failed" in again.stderr
