"""Where the user's own code raised: found among frames of ours, of Python's and of frameworks, and kept as text."""

from __future__ import annotations

import json
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from orchestrator.contracts import InputError
from orchestrator.measurement.failures import TrialFailed, fault_of, tracebacks_kept
from orchestrator.storage.layout import TrialFolder
from orchestrator.storage.trial_writer import MOST_BYTES, RULE, TrialWriter, with_traceback
from orchestrator.subject.targets import MOST_CHARACTERS, is_users, kept_traceback, place_of, resolve, traceback_of, traceback_text

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


def test_the_innermost_frame_of_the_user_s_code_is_told(model: Any) -> None:
    assert place_of(caught(lambda: model.preprocess("{"))) == " (model.py, line 7, in preprocess)"
    assert place_of(caught(lambda: model.infer(None))) == " (model.py, line 10, in infer)"
    assert place_of(caught(lambda: model.postprocess([]))) == " (model.py, line 16, in postprocess)"


def test_a_cause_tells_where_it_was_if_the_exception_itself_does_not(model: Any) -> None:
    def wrapped() -> None:
        try:
            model.preprocess("{")
        except ValueError as error:
            failed = TrialFailed("cannot go on", "process failed")
            failed.__cause__ = error
            failures.append(failed)

    failures: list[TrialFailed] = []
    wrapped()
    assert place_of(failures[0]) == " (model.py, line 7, in preprocess)"


@pytest.mark.parametrize("kind", [RuntimeError, InputError])
def test_what_leaves_a_timed_process_can_be_sent(kind: type[Exception]) -> None:
    """Ray encodes what Python prints of an exception, with all its causes."""

    def raising() -> None:
        with tracebacks_kept():
            try:
                raise RuntimeError("no letter: \ud800")
            except RuntimeError as error:
                if kind is RuntimeError:
                    raise
                raise InputError("cannot go on") from error

    error = caught(raising)
    assert "".join(traceback.format_exception(error)).encode()
    assert r"no letter: \ud800" in traceback_of(error)


def test_ours_python_s_and_frameworks_are_no_user_s_code() -> None:
    import orchestrator.measurement.worker
    import tasks.coco

    assert not is_users(str(orchestrator.measurement.worker.__file__))
    assert not is_users(json.__file__)
    assert not is_users(np.__file__)
    assert not is_users("<frozen importlib._bootstrap>")
    assert not is_users("error.pxi")  # compiled: pyarrow's frames name the file that they were made of
    assert not is_users("/home/me/.venv/lib/python3.12/site-packages/torch/nn.py")
    assert is_users(str(tasks.coco.__file__))
    assert is_users("/home/me/my_models/model.py")


def test_a_syntax_error_says_itself_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_model.py").write_text("class Model:\n    def (self)\n")
    monkeypatch.syspath_prepend(tmp_path)
    error = caught(lambda: resolve("model", "broken_model:Model", {}))
    assert str(error).count("broken_model.py, line 2") == 1


def test_a_module_that_raises_when_imported_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raising_model.py").write_text("import json\nLABELS = json.loads('[')\n")
    monkeypatch.syspath_prepend(tmp_path)
    error = caught(lambda: resolve("model", "raising_model:Model", {}))
    assert "(raising_model.py, line 2, in <module>); check its options" in str(error)


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
    assert "\x1b" not in text
    assert "\\x1b]0;owned\\x07\\u202e" in text
    assert len(text) < MOST_CHARACTERS + 100
    assert text.startswith("Traceback (most recent call last):\n")


def test_the_file_keeps_the_newest_each_once() -> None:
    known = ""
    for number in range(200):
        known = with_traceback(known, f"round {number}", f"Traceback {number}\n" + "x" * 1000)
        assert with_traceback(known, "again", f"Traceback {number}\n" + "x" * 1000) == known
    assert len(known.encode()) <= MOST_BYTES
    assert "round 199\n" in known
    assert "round 0\n" not in known
    assert known.startswith(f"{RULE} round ")


def test_a_pipe_in_the_place_of_the_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "traceback.txt")
    TrialWriter(TrialFolder(tmp_path)).write_traceback("round 1", "Traceback")
    assert (tmp_path / "traceback.txt").read_text() == f"{RULE} round 1\nTraceback\n"
