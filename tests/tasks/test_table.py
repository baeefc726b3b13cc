from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lazily import Lazily
from pictures import save_picture
from program import orchestrator, rounds
from refusals import refused

from tasks.imagenet import ImageNet
from tasks.models.estimator import Estimator
from tasks.table import Table

tree = Lazily("sklearn.tree")

ROWS = "length,width,species,site\n1,2,a,north\n4,5,b,south\n7,8,b,north\n"
MODULE = """
import numpy as np

class Rule:
    def predict(self, rows):
        return np.where(rows[:, 0].astype(float) > 3, "b", "a")

def fitted():
    return Rule()
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "flowers.csv"
    path.write_text(ROWS)
    return path


def test_rows_are_samples_and_columns_features(table: Path, tmp_path: Path) -> None:
    pq.write_table(pa.csv.read_csv(table), tmp_path / "flowers.parquet")
    for path in (table, tmp_path / "flowers.parquet"):
        task = Table(str(path), "species", "accuracy", group="site")
        task.check()
        first, *_, last = task.samples()
        assert (first.reference, first.slices, task.decode(first.read())) == ("a", {"site": "north"}, {"length": 1, "width": 2})
        assert (last.name, last.reference) == ("row-000003", "b")


@pytest.mark.parametrize(
    ("text", "label", "code"),
    [(ROWS, "specie", "unknown"), ("length,species\n1,\n", "species", "invalid"), (None, "species", "unreadable")],
)
def test_a_table_is_refused_with_what_it_lacks(tmp_path: Path, text: str | None, label: str, code: Any) -> None:
    path = tmp_path / "flowers.csv"
    if text is not None:
        path.write_text(text)
    with refused(code):
        Table(str(path), label, "accuracy").check()
    with refused("missing", "task.path"):
        Table(None, label, "accuracy").check()


def test_an_estimator_is_measured_without_code_of_its_own(table: Path, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "own_rule.py").write_text(MODULE)
    words = (
        "code=[code]",
        "task=table",
        f"task.path={table}",
        "task.label=species",
        "task.group=site",
        "model=estimator",
        "runtime=python",
    )
    done = orchestrator(*words, "model.function=own_rule:fitted", "results_dir=out", *rounds(2), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.md").read_text().count("accuracy")


def test_an_estimator_comes_from_a_file_of_skops(tmp_path: Path, make_context: Any) -> None:
    dump = pytest.importorskip("skops.io", reason="skops is missing: pip install '.[test]'").dump
    path = tmp_path / "tree.skops"
    dump(tree.DecisionTreeClassifier(random_state=0).fit([[1, 0], [2, 0], [8, 0], [9, 0]], ["low", "low", "high", "high"]), path)
    with refused("unsafe", "model.trusted"):
        Estimator(str(path), None, []).load(make_context("python"))
    model = Estimator(str(path), None, ["sklearn.tree._tree.Tree"])
    model.check()
    loaded = model.load(make_context("python"))
    inputs = loaded.preprocess([{"x": 1, "y": 0}, {"x": 9, "y": 0}])
    assert (list(model.files()), loaded.postprocess(loaded.infer(inputs))) == ([path], ["low", "high"])


@pytest.mark.parametrize(
    ("path", "function", "code"), [(None, None, "missing"), ("nowhere.skops", None, "not_found"), (__file__, None, "not_installed")]
)
def test_an_estimator_is_refused_that_cannot_be_read(path: Any, function: Any, code: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.models.estimator.find_spec", lambda name: None)
    with refused(code):
        Estimator(path, function, []).check()


def test_pictures_have_as_many_classes_as_folders(tmp_path: Path) -> None:
    save_picture(tmp_path / "cat" / "a.png")
    save_picture(tmp_path / "dog" / "b.png")
    assert [sample.reference for sample in ImageNet(str(tmp_path), None).samples()] == [0, 1]
    for old, new in (("cat", "281"), ("dog", "207")):
        (tmp_path / old).rename(tmp_path / new)
    assert {sample.name: sample.reference for sample in ImageNet(str(tmp_path), None).samples()} == {"207/b.png": 207, "281/a.png": 281}
    (tmp_path / "labels.csv").write_text("file,class_index\n207/b.png,5\n")
    assert [sample.reference for sample in ImageNet(str(tmp_path), None).samples()] == [5]
