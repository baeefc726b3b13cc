import json
from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import program
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

SHORT = ["measurement.rule=rounds", "measurement.min_rounds=25", "measurement.max_rounds=25"]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of two systems in the driver's process."""
    folder = tmp_path_factory.mktemp("campaign")
    words = ["system=cpu_1core,cpu_all", "model.sleep_ms=1", "analysis.primary=60000ms", f"results_dir={folder / 'r'}"]
    done = program.orchestrator("-m", *program.ECHO, *SHORT, "cluster=inline", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


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


def test_a_failed_trial_gives_exit_code_1_and_the_others_their_result(tmp_path: Path) -> None:
    words = [*program.ECHO, *SHORT, "cluster=inline", "model.fails_to_load=false,true", f"results_dir={tmp_path / 'r'}"]
    done = program.orchestrator("-m", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "weights are gone" in done.stdout
    assert "Traceback" not in done.stderr
    states = [trial["state"] for trial in json.loads((tmp_path / "r" / "campaign.json").read_text())["trials"]]
    assert sorted(states) == ["done", "failed"]
