"""The user's own code: how it is found, and where it raised, among frames of ours, of Python's and of frameworks."""

import json
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from refusals import refused

from orchestrator.contracts import InputError
from orchestrator.measurement import failures
from orchestrator.measurement.failures import TrialFailed, fault_of, tracebacks_kept
from orchestrator.subject.targets import (
    MOST_CHARACTERS,
    add_code_folders,
    check_packages,
    faults_of,
    is_users,
    kept_traceback,
    place_of,
    resolve,
    traceback_text,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def test_a_class_is_constructed_with_the_options(null_targets: Path) -> None:
    task = resolve("task", "null_targets:Numbers", {"count": 3})
    assert [sample.name for sample in task.samples()] == ["number-0", "number-1", "number-2"]


def test_what_is_not_there_is_refused(folder: Path, null_targets: Path) -> None:
    add_code_folders([str(folder)])
    (folder / "needs_more.py").write_text("import a_framework_that_is_not_there\n")
    (folder / "bad_syntax.py").write_text("def :\n")
    for target, options, code, value in (
        ("nope.deep:Model", {}, "not_found", "nope"),
        ("null_targets:Nope", {}, "unknown", "Nope"),
        ("needs_more:X", {}, "not_found", "a_framework_that_is_not_there"),
        ("bad_syntax:X", {}, "invalid", None),
        ("null_targets:Numbers", {}, "invalid", None),
        ("null_targets:Numbers", {"count": 3, "cuont": 4}, "invalid", None),
    ):
        with refused(code, value=value):
            resolve("model", target, options)


def test_what_a_class_raises_is_in_one_line_that_says_where() -> None:
    with refused("invalid") as caught, faults_of("here"):
        raise TypeError("first\nsecond")
    assert re.match(r"here: raised TypeError: first \(test_users_code.py, line \d+, in test_\w+\)", str(caught.value))
    with refused("unreadable", value="/no/such"), faults_of("here"):
        Path("/no/such").read_bytes()
    with refused("in_use"), faults_of("here"):
        raise InputError("as it is", "in_use")


def test_a_missing_code_folder_is_named(folder: Path) -> None:
    with refused("not_found", "code"):
        add_code_folders(["nope"])


def test_code_folders_come_after_everything_else_and_once(folder: Path) -> None:
    before = list(sys.path)
    add_code_folders([str(folder), str(folder)])
    assert sys.path == [*before, str(folder)]


def test_a_stray_module_that_hides_a_package_is_refused(tmp_path: Path) -> None:
    check_packages()
    with refused("conflict", value="orchestrator"):
        check_packages(home=tmp_path)


MODEL = """\
import json
import numpy as np


class Model:
    def preprocess(self, text):
        return json.loads(text)

    def infer(self, inputs):
        return np.ones(3) @ np.ones(4)

    def postprocess(self, outputs):
        try:
            return outputs[0]
        except IndexError:
            raise RuntimeError("no output") from None
"""


def caught(call: Callable[[], object]) -> Exception:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.fixture
def model(tmp_path: Path) -> Any:
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    module = ModuleType("model")
    exec(compile(MODEL, str(path), "exec"), module.__dict__)
    return module.Model()


def test_the_innermost_frame_of_the_user_s_code_is_named(model: Any) -> None:
    assert place_of(caught(lambda: model.preprocess("{"))) == " (model.py, line 7, in preprocess)"
    assert place_of(caught(lambda: model.infer(None))) == " (model.py, line 10, in infer)"
    assert place_of(caught(lambda: model.postprocess([]))) == " (model.py, line 16, in postprocess)"


def test_a_cause_says_where_it_was_if_the_exception_itself_does_not(model: Any) -> None:
    failed = TrialFailed("cannot go on", "process failed")
    failed.__cause__ = caught(lambda: model.preprocess("{"))
    assert place_of(failed) == " (model.py, line 7, in preprocess)"


def test_ours_python_s_and_frameworks_are_no_user_s_code() -> None:
    for file in (
        failures.__file__,
        json.__file__,
        np.__file__,
        "<frozen importlib._bootstrap>",
        "error.pxi",
        "/v/site-packages/torch/nn.py",
    ):
        assert not is_users(str(file))
    assert is_users("/home/me/my_models/model.py")


def test_the_name_of_a_file_is_no_cause() -> None:
    assert fault_of("KeyError: 'x' (cuda.py, line 3, in load)", "load failed") == "load failed"
    assert fault_of("RuntimeError: CUDA error (model.py, line 3, in load)", "load failed") == "gpu error"


@pytest.mark.parametrize("error", [KeyError("x"), InputError("wrong"), TrialFailed("no", "hang"), OSError(5, "Input/output error")])
def test_a_traceback_travels_between_processes(error: Exception) -> None:
    def raising() -> None:
        raise error

    with pytest.raises((InputError, TrialFailed)) as found, tracebacks_kept():
        raising()
    there = pickle.loads(pickle.dumps(found.value))
    assert "in raising" in (kept_traceback(there) or "")
    assert type(error).__name__ in (kept_traceback(there) or "")


def test_a_traceback_is_harmless_and_bounded() -> None:
    error = caught(lambda: (_ for _ in ()).throw(ValueError("\x1b]0;owned\x07\u202e" + "x" * 10 * MOST_CHARACTERS)))
    text = traceback_text(error)
    assert "\\x1b]0;owned\\x07\\u202e" in text
    assert len(text) < MOST_CHARACTERS + 100
