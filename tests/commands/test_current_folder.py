"""When the program begins as ``python -m orchestrator``, it stops searching the current folder, which may be a stranger's results."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import orchestrator

ROOT = Path(orchestrator.__file__).parents[1]
LIBRARY = str(Path(os.__file__).parent)


def searched(monkeypatch: pytest.MonkeyPatch, current: Path, path: list[str], named: str = "") -> list[str]:
    """Return what is left of a search path in a folder, with these folders in PYTHONPATH."""
    monkeypatch.chdir(current)
    monkeypatch.setenv("PYTHONPATH", named)
    monkeypatch.setattr(sys, "path", path)
    orchestrator._leave_current_folder()
    return sys.path


def test_the_current_folder_is_left_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``python -m`` names it in full, an empty entry of PYTHONPATH not at all."""
    (tmp_path / "link").symlink_to(tmp_path)
    path = [str(tmp_path), "", str(tmp_path / "link"), "/opt/mine", LIBRARY, str(ROOT)]
    assert searched(monkeypatch, tmp_path, path, f"/opt/mine{os.pathsep}") == ["/opt/mine", LIBRARY, str(ROOT)]


def test_it_stays_where_the_user_has_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In PYTHONPATH, or behind Python's own modules, where an installation that can be edited puts it."""
    path = [str(tmp_path), LIBRARY]
    assert searched(monkeypatch, tmp_path, [*path], str(tmp_path)) == path
    assert searched(monkeypatch, tmp_path, [*path, str(tmp_path)]) == [LIBRARY, str(tmp_path)]


def test_a_checkout_runs_from_its_own_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both packages lie there."""
    assert searched(monkeypatch, ROOT, [str(ROOT), LIBRARY]) == [str(ROOT), LIBRARY]


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program says later what it needs of it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(sys, "path", ["", LIBRARY])
    orchestrator._leave_current_folder()
    assert sys.path == [LIBRARY]
