from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.contracts import InputError
from orchestrator.subject.targets import add_code_folders, check_packages, faults_of, resolve


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def told(target: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        resolve("model", target, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_class_is_constructed_with_the_options(null_targets: Path) -> None:
    task = resolve("task", "null_targets:Numbers", {"count": 3})
    assert [sample.name for sample in task.samples()] == ["number-0", "number-1", "number-2"]


def test_what_is_not_there_is_named(folder: Path, null_targets: Path) -> None:
    assert told("nope.deep:Model").startswith("model.target=nope.deep:Model: there is no module nope; correct the YAML")
    assert "module null_targets has no Nope" in told("null_targets:Nope")
    add_code_folders([str(folder)])
    (folder / "needs_more.py").write_text("import a_framework_that_is_not_there\n")
    assert "there is no module a_framework_that_is_not_there; it is imported by needs_more: install it" in told("needs_more:X")
    (folder / "bad_syntax.py").write_text("def :\n")
    assert "raised SyntaxError" in told("bad_syntax:X")


def test_options_that_do_not_fit_are_named(null_targets: Path) -> None:
    assert "missing 1 required positional argument: 'count'" in told("null_targets:Numbers")
    assert "unexpected keyword argument 'cuont'" in told("null_targets:Numbers", count=3, cuont=4)


def test_what_a_class_raises_is_in_one_line() -> None:
    with (
        pytest.raises(InputError, match=r"^here: raised TypeError: first \(test_targets.py, line \d+, in test_\w+\); check its options"),
        faults_of("here"),
    ):
        raise TypeError("first\nsecond")
    with pytest.raises(InputError, match=r"^/no/such: cannot be read: No such file"), faults_of("here"):
        Path("/no/such").read_bytes()
    with pytest.raises(InputError, match=r"^as it is$"), faults_of("here"):
        raise InputError("as it is")


def test_a_missing_code_folder_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"^code=nope: there is no such folder"):
        add_code_folders(["nope"])


def test_code_folders_come_after_everything_else_and_once(folder: Path) -> None:
    before = list(sys.path)
    add_code_folders([str(folder), str(folder)])
    assert sys.path == [*before, str(folder)]


def test_our_packages_are_where_they_should_be() -> None:
    check_packages()


def test_a_stray_module_that_hides_a_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hides the package orchestrator of tail-quality; rename it or start from another folder$"):
        check_packages(home=tmp_path)
