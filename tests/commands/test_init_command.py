"""``init`` writes the files of a model and a task of one's own, and they run as they are."""

import shlex
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from program import Done, rounds
from refusals import refused

import tail_quality as tq
from orchestrator.commands import line
from orchestrator.commands.init import MODELS, TASKS

Call = Callable[..., Done]


def written(call: Call, model: str, task: str) -> list[str]:
    """Write the files, and return the words of the command in their README."""
    assert call("init", "mine", "--model", model, "--task", task).returncode == 0
    readme = Path("mine", "README.md").read_text("utf-8").splitlines()
    assert len(readme) == 5
    return shlex.split(readme[-1])[3:]


@pytest.mark.parametrize(("model", "task"), [*product(MODELS, TASKS)])
def test_every_pair_can_be_planned(model: str, task: str, call: Call) -> None:
    done = call("plan", *written(call, model, task), "cluster=inline")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 trial, 0 infeasible" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("model", "task"), [("torch", "images"), ("onnx", "texts"), ("sklearn", "table"), ("server", "texts")])
def test_a_pair_is_measured_as_it_is(model: str, task: str, call: Call) -> None:
    done = call(*written(call, model, task), *rounds(3), "results_dir=found", "--quiet")
    assert done.returncode == 0, done.stderr
    assert tq.open("found").quality("600 s") > 0.8


@pytest.mark.parametrize("name", ["", ".", "..", "../mine", "a/b", "/mine", "a b", "a=b", "mine\n", "1mine", "~mine", "müne"])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with refused("invalid", "NAME", name):
        line.run(["init", name, "--model", "torch", "--task", "table"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_is_not_overwritten(make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("mine"))
    with refused("exists", "NAME", "mine"):
        line.run(["init", "mine", "--model", "torch", "--task", "table"])
    assert len(list(tmp_path.rglob("*"))) == 1
