from pathlib import Path

import pytest
from refusals import refused

from tasks import assets, packages
from tasks.packages import ASSETS, USER, Need


def test_files_of_a_package_are_found_without_importing_it() -> None:
    found = packages.locate("foolbox", "foolbox/data/imagenet_*.jpg")
    assert len(found) == 20
    assert found == sorted(filter(Path.is_file, found))


def test_what_is_not_installed_is_refused() -> None:
    with refused("not_installed", value="no-such-package"):
        packages.locate("no-such-package", "*")
    packages.require_modules(("json", "numpy"), "this test")
    with refused("not_installed", value="no_such_module"):
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


@pytest.mark.parametrize(
    ("brought_by", "command"),
    [(ASSETS, packages.install_command()), *((extra, f"tail-quality[{extra}]") for extra in ("language", "timm"))],
)
def test_the_list_names_the_command_that_brings_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], brought_by: str, command: str
) -> None:
    wanted = [Need("a model", "no-such-package", "weights", brought_by), Need("a task", "task.root", "pictures", USER)]
    monkeypatch.setattr(assets, "needs", lambda: iter(wanted))
    assert assets.main() == 1
    assert command in capsys.readouterr().out
