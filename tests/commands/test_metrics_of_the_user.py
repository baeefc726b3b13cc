"""A metric is one file: in a folder of the user's, and computed from stored answers."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from program import SUPPORT, Call, orchestrator, rounds

WORDS = [
    *("--quiet", "--config-dir", str(SUPPORT / "conf"), "model=echo", "model.wrong=[3,4,5]", "task=numbers", *rounds(4)),
    "measurement.warmup_rounds=1",
]
TASK = """
from null_targets import Numbers

class Judged(Numbers):
    metrics = ("distance",)
"""
METRICS = """
import numpy as np

class Distance:
    name = "distance"
    late = 10

    def score(self, answers):
        return np.array([abs(given[0] - right) for given, right in zip(answers.predictions, answers.references)], dtype=float)

class RootMeanSquare:
    name = "rms"
    late = 10

    def judge(self, answers):
        return Judged(Distance().score(answers))

class Judged:
    def __init__(self, errors):
        self.errors = errors

    def ideal(self):
        return float(np.sqrt((self.errors ** 2).mean()))

    def curve(self, times, thresholds):
        on_time = np.asarray(times)[None] <= np.asarray(thresholds)[:, None, None]
        return np.sqrt((np.where(on_time, self.errors, 10) ** 2).mean(axis=2))
"""


def rows(name: str) -> list[dict[str, Any]]:
    return pq.read_table(Path("r") / f"{name}.parquet").to_pylist()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    shutil.copytree(SUPPORT / "code", folder / "code")
    (folder / "code" / "distance_task.py").write_text(TASK)
    (folder / "code" / "distances_of_mine.py").write_text(METRICS)
    done = orchestrator(*WORDS, "task.target=distance_task:Judged", "code=[code]", "results_dir=r", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def measured(template: Path, tmp_path: Path) -> Path:
    """A campaign whose task is judged by a metric in the user's own folder."""
    return Path(shutil.copytree(template, tmp_path, dirs_exist_ok=True, symlinks=True))


def test_the_metric_judges_and_its_scores_are_stored(measured: Path, call: Call) -> None:
    record = json.loads(next(measured.glob("r/trials/*/trial.json")).read_text())
    assert (record["metrics"], record["ideal"], record["late"]) == (["distance"], {"distance": 3 / 20}, {"distance": 10})
    assert "distances_of_mine.py" in json.loads((measured / "r" / "campaign.json").read_text())["code_files"]
    before = rows("tail_quality")
    assert {(row["metric"], row["ideal"]) for row in before} == {("distance", 3 / 20)}

    # Nothing of the campaign's folder is looked into by report: the stored scores do.
    assert call("report", "r")[0] == 0
    assert rows("tail_quality") == before


def test_a_metric_is_computed_from_stored_answers(measured: Path, call: Call) -> None:
    assert call("report", "r", "analysis.metrics=[top1]")[0] == 0
    assert {(row["metric"], row["ideal"]) for row in rows("tail_quality")} == {("top1", 17 / 20)}
    assert call("report", "r", "analysis.metrics=[rms]").returncode == 2
    for name in ("rms", "distances_of_mine:RootMeanSquare"):
        code, _, complaint = call("report", "r", f"analysis.metrics=[{name}]", "code=[code]")
        assert code == 0, complaint
        assert {(row["metric"], row["ideal"]) for row in rows("tail_quality")} == {(name, (3 / 20) ** 0.5)}
    assert call("report", "r", "analysis.metrics=[accuracy]").returncode == 2


@pytest.mark.parametrize(
    ("name", "score"),
    [("distance", "..."), ("top1", "..."), ("short", "return 3.0"), ("short", "return [-1] * 20"), ("short", "1 / 0")],
)
def test_what_cannot_be_a_metric_is_one_line(measured: Path, call: Call, name: str, score: str) -> None:
    (measured / "more").mkdir()
    (measured / "more" / "mine.py").write_text(f"class Mine:\n    name = '{name}'\n    def score(self, answers): {score}\n")
    done = call("report", "r", f"analysis.metrics=[{name}]", "code=[code,more]")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
