from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import program
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

SUPPORT = Path(__file__).parents[1] / "support"
NULL = ["--config-dir", str(SUPPORT / "conf"), f"code=[{SUPPORT / 'code'}]", "task=numbers", "model=echo"]
SHORT = ["measurement.rule=rounds", "measurement.min_rounds=25", "measurement.max_rounds=25"]


def orchestrator(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "orchestrator", *words], cwd=cwd, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of two systems under the embedded Ray, and what was printed."""
    folder = tmp_path_factory.mktemp("campaign")
    words = ["system=cpu_1core,cpu_all", "model.sleep_ms=1", "analysis.primary=60000ms", f"results_dir={folder / 'r'}"]
    done = orchestrator("-m", *NULL, *SHORT, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "out").write_text(done.stdout)
    (folder / "err").write_text(done.stderr)
    return folder


@pytest.mark.slow
def test_every_tail_quality_follows_from_the_stored_columns(campaign: Path) -> None:
    """Recompute every figure from timings, predictions and the threshold alone."""
    table = pq.read_table(campaign / "r" / "tail_quality.parquet").to_pylist()
    assert {row["threshold_origin"] for row in table} == {"own", "reference", "absolute"}
    assert {row["clock"] for row in table} == {"inference", "total"}
    for row in table:
        trial = campaign / "r" / "trials" / row["trial"]
        timings = pq.read_table(trial / "timings").filter(pc.field("round") >= row["first_round"])
        stages = ["inference_ns"] if row["clock"] == "inference" else ["preprocess_ns", "inference_ns", "postprocess_ns"]
        times = sum(timings.column(stage).to_numpy() for stage in stages)
        scores = pq.read_table(trial / "predictions.parquet").column(f"score_{row['metric']}").to_numpy()
        on_time = times <= row["threshold_ns"]
        quality = (on_time * scores[timings.column("sample").to_numpy()]).reshape(-1, len(scores)).sum(axis=1) / len(scores)
        assert row["rounds"] == len(quality)
        np.testing.assert_allclose([row["mean"], row["worst"], row["ideal"]], [quality.mean(), quality.min(), scores.mean()], atol=1e-12)
        assert row["interval_low"] - 1e-12 <= row["mean"] <= row["interval_high"] + 1e-12


@pytest.mark.slow
def test_trials_took_turns_on_the_machine_in_visits(campaign: Path) -> None:
    rounds = sorted(
        (row["started_monotonic_ns"], row["duration_ns"], row["visit"], path.name)
        for path in (campaign / "r" / "trials").iterdir()
        for row in pq.read_table(path / "rounds").to_pylist()
    )
    assert all(began + took < then for (began, took, *_), (then, *_) in pairwise(rounds))
    of_rounds = [(visit, trial) for *_, visit, trial in rounds]
    visits = [of for of, _ in groupby(of_rounds)]
    assert [visit for visit, _ in visits] == [number // 2 for number in range(26)]
    assert Counter(of_rounds) == {of: 2 if of[0] < 12 else 1 for of in visits}


@pytest.mark.slow
def test_report_recomputes_from_the_files_alone(campaign: Path) -> None:
    before = {path.name: path.read_bytes() for path in (campaign / "r").iterdir() if path.suffix in (".parquet", ".md", ".html")}
    assert {"tail_quality.parquet", "report.md", "report.html"} < set(before)
    same = program.orchestrator("report", campaign / "r", cwd=campaign)
    assert same.returncode == 0, same.stderr
    assert {name: (campaign / "r" / name).read_bytes() for name in before} == before

    other = program.orchestrator("report", campaign / "r", "analysis.thresholds_ms=[1.5]", cwd=campaign)
    assert other.returncode == 0, other.stderr
    labels = set(pq.read_table(campaign / "r" / "tail_quality.parquet").column("threshold").to_pylist())
    assert "1.5 ms" in labels
    program.orchestrator("report", campaign / "r", cwd=campaign)


@pytest.mark.slow
def test_ctrl_c_finishes_the_round_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = [
        "cluster=inline",
        "model.sleep_ms=20",
        "measurement.max_rounds=100000",
        "measurement.rule=rounds",
        f"results_dir={tmp_path / 'r'}",
    ]
    command = [sys.executable, "-m", "orchestrator", *NULL, *words]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            until = time.monotonic() + 600
            while not list(tmp_path.glob("r/trials/*/rounds/part-*.parquet")) and time.monotonic() < until:
                time.sleep(0.2)
            started.send_signal(signal.SIGINT)
            out, err = started.communicate(timeout=600)
        finally:
            started.kill()
    assert started.returncode == 130, err
    assert "SIGINT: finishing the round" in err
    assert f"go on with: python -m orchestrator resume {tmp_path / 'r'}" in err
    state = json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"][0]
    assert state["state"] == "interrupted"
    assert "Report:" in out


@pytest.mark.slow
def test_a_failed_trial_gives_exit_code_1_and_the_others_their_result(tmp_path: Path) -> None:
    words = [*NULL, *SHORT, "cluster=inline", "model.fails_to_load=false,true", f"results_dir={tmp_path / 'r'}"]
    done = program.orchestrator("-m", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "weights are gone" in done.stdout
    assert "Traceback" not in done.stderr
    states = [trial["state"] for trial in json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]]
    assert sorted(states) == ["done", "failed"]
