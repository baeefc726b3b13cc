import doctest
import importlib
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from program import orchestrator, rounds

import tail_quality as tq
from orchestrator.contracts import InputError
from orchestrator.measurement.failures import TrialFailed

pytestmark = pytest.mark.first

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
NUMBERS = list(range(12))
PARITY = [number % 2 for number in NUMBERS]


def parity(number: int) -> int:
    """Answer one wrongly and three late."""
    time.sleep(0.03 if number in (2, 6, 10) else 0)
    return 0 if number == 7 else number % 2


@pytest.fixture(scope="module")
def measured() -> tq.Result:
    return tq.measure(parity, NUMBERS, PARITY, deadline="20 ms", rounds=40, say=None)


@pytest.mark.parametrize("name", ["tail_quality.held", "tail_quality.results"])
def test_examples_in_the_documentation_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert (found.failed, found.attempted > 0) == (0, True)


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert sorted(tq.__all__) == tq.__all__
    with pytest.raises(AttributeError):
        tq.nothing  # noqa: B018


def test_saved_results_are_a_campaign_with_equal_numbers(measured: tq.Result, tmp_path: Path) -> None:
    saved = measured.save(tmp_path / "mine")
    done = orchestrator("report", saved, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = tq.open(saved)
    [row] = [
        row
        for row in again.table("tail_quality").to_pylist()
        if (row["threshold"], row["threshold_origin"], row["clock"]) == ("20 ms", "absolute", "total")
    ]
    assert again.quality("20 ms") == measured.quality("20 ms") == row["mean"] <= row["ideal"] == 11 / 12
    assert again.quality_interval("20 ms") == measured.quality_interval("20 ms") == (row["interval_low"], row["interval_high"])
    p99 = next(row for row in again.table("latency").to_pylist() if (row["clock"], row["percentile"]) == ("total", 99))
    assert measured.latency(99) == p99["value_ns"] / 1e6
    assert again.table("tail_quality").equals(measured.table("tail_quality"))
    assert repr(again) == repr(measured)
    with pytest.raises(InputError):
        measured.save(measured.directory / "inside")


def test_a_result_shows_as_a_table_and_as_a_page(measured: tq.Result) -> None:
    shown = repr(measured)
    assert "Kept within 20 ms" in shown
    assert f"{measured.quality('20 ms'):.3f}" in shown
    page = measured._repr_html_()
    assert "<pre>" in page
    assert "srcdoc=" in page
    assert "vegaEmbed" in page


def test_what_was_measured_says_that_nothing_kept_it_apart(measured: tq.Result) -> None:
    [trial] = measured.trials().to_pylist()
    assert (trial["model"], trial["task"], trial["state"]) == ("parity", "labelled", "done")
    assert measured.trial(trial["trial"])["placement"]["isolation"] == "none"
    assert "unpinned" in repr(measured)


def test_verdicts_need_enough_visits(measured: tq.Result) -> None:
    # Three of twelve are late in every round, and one is wrong.
    assert measured.verdict("20 ms", 0.99).outcome == "not met"
    few = tq.measure(abs, [1, -2], [1, 2], deadline="60 s", rounds=2, say=None, overrides=["measurement.pause=0"])
    verdict = few.verdict("10 s", 0.5)
    assert (verdict.outcome, few.quality("10 s")) == ("inconclusive", 1.0)
    assert verdict.more_rounds
    enough = tq.measure(abs, [1, -2], [1, 2], rounds=40, say=None)
    assert enough.verdict("10 s", 0.5).outcome == "met"
    wrong = tq.measure(abs, [1], [2], rounds=2, say=None, overrides=["measurement.pause=0"])
    assert wrong.verdict("10 s", 0.5).outcome == "not met"


def test_it_says_how_long_it_takes_before_the_first_visit(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []

    def told(number: int) -> int:
        said.append(capsys.readouterr().err)
        return number

    tq.measure(told, [1], [1], rounds=2)
    assert [line for text in said[2:3] for line in text.splitlines() if "2 rounds" in line]


class Estimator:
    """What scikit-learn's are known by."""

    def get_params(self) -> dict[str, Any]:
        return {}

    def predict(self, rows: Any) -> Any:
        return (np.asarray(rows).sum(axis=1) > 0).astype(int)


class Session:
    """What a session of ONNX Runtime is known by."""

    def get_inputs(self) -> list[Any]:
        return [type("Input", (), {"name": "x"})]

    def run(self, _: None, given: dict[str, Any]) -> list[Any]:
        return [given["x"]]


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize(
    ("fn", "labels"),
    [(Estimator(), [0, 1, 1, 0]), (Estimator().predict, [0, 1, 1, 0]), (Session(), [1, 1, 1, 0])],
    ids=["estimator", "method", "session"],
)
def test_what_takes_batches_is_recognised(fn: Any, labels: list[int], batch: int | None) -> None:
    rows = np.array([[-2.0, 1], [0, 1], [-1, 3], [4, -5]])
    found = tq.measure(fn, rows, labels, rounds=1, batch=batch, say=None, name="fn")
    assert found.quality("60 s") == 1


def test_a_module_of_pytorch_is_measured_without_gradients() -> None:
    torch = pytest.importorskip("torch")
    seen = []

    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, batch: Any) -> Any:
            seen.append((self.training, torch.is_inference_mode_enabled(), tuple(batch.shape)))
            return batch

    rows, module = torch.eye(3), Module().train()
    found = tq.measure(module, rows, torch.arange(3), rounds=1, metric="top1", say=None)
    assert module.training
    assert found.quality("60 s") == 1
    assert set(seen) == {(False, True, (1, 3))}


def test_stages_take_one_input_and_what_came_out_for_it() -> None:
    found = tq.measure(
        lambda batch: [2 * one for one in batch],
        ["1", "2", "3"],
        ["2", "4", "6"],
        preprocess=int,
        postprocess=str,
        batch=2,
        rounds=1,
        say=None,
    )
    assert (found.quality("60 s"), found.trials().column("model").to_pylist()) == (1, ["lambda"])


def test_mistakes_are_told_in_a_line() -> None:
    def fails(number: int) -> int:
        raise KeyError(number)

    with pytest.raises(InputError, match="2 inputs and 1 labels"):
        tq.measure(abs, [1, 2], [1], say=None)
    with pytest.raises(TrialFailed, match="KeyError"):
        tq.measure(fails, [1], [1], say=None)
    with pytest.raises(InputError):
        tq.measure(abs, [1], [1], metric="nothing", say=None)
    with pytest.raises(InputError):
        tq.compare({"one": abs, "two": abs}, [1], [1], metric="nothing", say=None)
    with pytest.raises(InputError):
        tq.compare({"one": abs, "a/b": abs}, [1], [1], say=None)
    with pytest.raises(InputError, match="two or more"):
        tq.compare({"one": abs}, [1], [1], say=None)


def test_answers_that_change_from_round_to_round_allow_no_verdict() -> None:
    asked = itertools.count()

    def turning(number: int) -> int:
        return number if next(asked) < 2 else -number

    found = tq.compare({"old": abs, "new": turning}, [1, 2], [1, 2], deadline="1 s", rounds=24, say=None)
    assert found.verdict("1 s", 0.5, "new").outcome == "inconclusive"
    assert found.changes[0].verdict == "inconclusive"
    assert "new: answers change" in repr(found)


def test_visits_of_a_comparison_alternate_and_show_what_is_slower() -> None:
    def slow(number: int) -> int:
        time.sleep(0.01)
        return number

    found = tq.compare({"old": abs, "new": slow}, [1, 2], [1, 2], deadline="5 ms", rounds=40, say=None)
    assert found.quality("5 ms", "new") == 0
    assert [(change.what.partition(" ")[0], change.verdict) for change in found.changes] == [("accuracy", "worse"), ("median", "worse")]
    assert "new against old" in repr(found)
    few = tq.compare({"old": abs, "new": slow}, [1], [1], rounds=4, say=None)
    assert [change.verdict for change in few.changes] == ["inconclusive"]
    with pytest.raises(InputError):
        found.quality("5 ms")
    with pytest.raises(InputError):
        found.quality("p95", "new")


def test_a_saved_comparison_has_its_changes(tmp_path: Path) -> None:
    found = tq.compare({"second": abs, "first": abs}, [1, 2], [1, 2], deadline="1 s", rounds=24, say=None)
    assert [(change.name, change.against, change.what) for change in found.changes] == [
        ("first", "second", "accuracy within 1000 ms"),
        ("first", "second", "median latency (log ratio)"),
    ]
    assert tq.open(found.save(tmp_path / "mine")).changes == found.changes


def test_a_function_is_called_in_the_thread_that_measures() -> None:
    found = tq.measure(lambda _: threading.get_ident(), [1], [threading.get_ident()], rounds=1, say=None)
    assert found.quality("60 s") == 1


def test_inputs_that_cannot_be_told_never_pass_for_the_same_data() -> None:
    def digest(inputs: list[Any]) -> str:
        found = tq.measure(lambda one: 1, inputs, [1], rounds=1, say=None)
        return str(found.trial(found.trials().column("trial")[0].as_py())["digests"]["data"])

    locked = [threading.Lock()]
    assert digest(locked) != digest(locked)
    assert digest([np.ones(3)]) == digest([np.ones(3)]) != digest([np.zeros(3)])


def test_frames_come_from_the_library_that_is_installed(measured: tq.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("polars")
    library.from_arrow = lambda table: table.column_names  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "polars", library)
    monkeypatch.setattr("tail_quality.results.find_spec", lambda name: name == "polars" or None)
    assert measured.frame()[:3] == ["trial", "round", "sample"]
    monkeypatch.setattr("tail_quality.results.find_spec", lambda name: None)
    with pytest.raises(InputError):
        measured.frame()


def test_what_a_call_measured_cannot_be_measured_again(measured: tq.Result, tmp_path: Path) -> None:
    saved = measured.save(tmp_path / "mine")
    done = orchestrator("extend", saved, "--rounds", "60", cwd=tmp_path)
    assert done.returncode == 2


def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(block, names)
    told = capsys.readouterr()
    assert "accuracy kept within 20 ms" in told.out
    assert "of each of 2" in told.err
    assert (tmp_path / "results" / "mine" / "campaign.json").exists()


ISOLATED = """
import os, sys
import tail_quality as tq
sys.path.insert(0, ".")
from beside import differs

here = os.getpid()
found = tq.measure(differs, [here, here], [True, True], rounds=2, isolate=True, say=None)
[trial] = found.trials().to_pylist()
assert found.quality("60 s") == 1
assert "isolation" not in found.trial(trial["trial"])["placement"]
"""


@pytest.mark.slow
def test_a_process_of_its_own_has_the_function_and_the_data(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("import os\n\ndef differs(pid):\n    return pid != os.getpid()\n")
    # By a program of its own, as Ray reads its environment when it is first imported.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(PAGE.parents[1]), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", ISOLATED], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_sweep_gives_the_results_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, null_targets: Path) -> None:
    words = (f"code=[{null_targets}]", "task=numbers", "model=faulty", "runtime=torch", *rounds(2))
    monkeypatch.chdir(tmp_path)
    [trial] = tq.load_config(*words, config_dirs=[null_targets.parent / "conf"])
    found = tq.run(*words, config_dirs=[null_targets.parent / "conf"], quiet=True)
    assert found.directory.parent == Path("results/single")
    assert [trial.model.name] == found.trials().column("model").to_pylist()
    assert found.tail_quality().num_rows
