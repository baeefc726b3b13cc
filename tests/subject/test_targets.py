import re
import sys
from pathlib import Path

import pytest
from refusals import refused

from orchestrator.contracts import InputError
from orchestrator.subject.targets import add_code_folders, check_packages, faults_of, resolve


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
    assert re.match(r"here: raised TypeError: first \(test_targets.py, line \d+, in test_\w+\)", str(caught.value))
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
